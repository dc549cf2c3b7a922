"""Pods that come late, go, and come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap.slurm_conf import OLDEST_IPV6_SLURM, memory_reserve_mb
from tests.system.harness import MUNGE_KEY, Cluster


def test_a_worker_booted_before_its_head_joins_when_the_head_comes(cluster: Cluster) -> None:
    worker = cluster.add_worker("early")
    waits = f"slurmd waits for controller {cluster.head_address}:6817"
    cluster.until("it says what it waits for", lambda: waits in worker.logs())
    cluster.until("its programs run meanwhile", lambda: cluster.pids("early"))
    cluster.add_head()
    cluster.until_idle(["head", "early"], deadline=10)
    assert "FATAL" not in worker.exec("supervisorctl", "status")
    assert worker.logs().count(waits) <= 3, "it repeats itself"


def test_the_heads_name_is_resolved_anew_at_each_attempt(cluster: Cluster) -> None:
    worker = cluster.add_worker("late-name", {"HEAD_NODE_IP": "abc123.runpod.internal"})
    cluster.until("it says that the name is unknown", lambda: "does not resolve" in worker.logs())
    cluster.add_head()
    cluster.until_idle(["head"])
    worker.exec("sh", "-c", f"echo {cluster.head_address} abc123.runpod.internal >>/etc/hosts")
    cluster.until_idle(["head", "late-name"])


def test_a_restarted_slurmd_follows_the_heads_name_to_another_address(cluster: Cluster, tmp_path: Path) -> None:
    volumes = {str(tmp_path): "/workspace"}
    tmp_path.chmod(0o755)
    name = "abc123.runpod.internal"
    worker = cluster.add_worker("follower", {"HEAD_NODE_IP": name})
    worker.exec("sh", "-c", f"echo {cluster.head_address} {name} >>/etc/hosts")
    cluster.add_head(volumes=volumes)
    cluster.until_idle(["head", "follower"])
    cluster.head.stop()
    elsewhere = cluster.backend.address(77)
    environment = {"NODE_ROLE": "head", "MUNGE_KEY": MUNGE_KEY}
    cluster.add("head", environment, host=77, volumes=volumes)
    cluster.until_idle(["head"])
    worker.exec("sh", "-c", f"grep -v {name} /etc/hosts >/tmp/hosts; echo {elsewhere} {name} >>/tmp/hosts")
    worker.exec("sh", "-c", "cat /tmp/hosts >/etc/hosts; supervisorctl restart slurmd")
    cluster.until("it asks the new head", lambda: elsewhere in worker.exec("scontrol", "show", "config"))
    cluster.until("it works", lambda: cluster.head.exec("srun", "-w", "follower", "hostname").strip() == "follower")


def test_a_restarted_head_keeps_nodes_and_jobs(cluster: Cluster, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    volumes = {str(volume): "/workspace"}
    head = cluster.add_head(volumes=volumes)
    cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    job = head.exec("sbatch", "--parsable", "--hold", "--wrap=hostname").strip()
    assert head.stop() == 0
    assert (volume / ".gpu-watchdog" / "gpu-watchdog" / "slurmctld" / "node_state").exists()
    head = cluster.add_head(volumes=volumes)
    cluster.until_idle(["head", "worker1"])
    assert head.exec("squeue", "-h", "-o", "%i").split() == [job]
    head.exec("scontrol", "release", job)
    cluster.until("it runs", lambda: "COMPLETED" in head.exec("scontrol", "show", "job", job))


def test_a_worker_comes_back_with_another_address(cluster: Cluster) -> None:
    head = cluster.add_head()
    cluster.add_worker("roamer")
    cluster.until_idle(["head", "roamer"])
    first = cluster.nodes()["roamer"]["address"]
    cluster.pods["roamer"].kill()
    cluster.add_worker("roamer", cpus=1)
    cluster.until("its address is new", lambda: cluster.nodes().get("roamer", {}).get("address", first) != first)
    cluster.until_idle(["roamer"])
    assert cluster.nodes()["roamer"]["cpus"] == "1"
    cluster.until("it works", lambda: head.exec("srun", "-w", "roamer", "hostname").strip() == "roamer")


def test_a_name_is_not_taken_from_a_living_pod(cluster: Cluster) -> None:
    cluster.expect(
        r"WARNING node twin is another pod, alive at [\d.]+: give this one a NODE_NAME of its own",
        # The second asks whether the first still listens: a connection that says nothing.
        r"\[slurmd\] .*error: .*Zero Bytes were transmitted or received",
    )
    head = cluster.add_head()
    cluster.add_worker("twin")
    cluster.until_idle(["head", "twin"])
    address = cluster.nodes()["twin"]["address"]
    first = cluster.pods.pop("twin")
    second = cluster.add_worker("twin")
    try:
        cluster.until("it says so", lambda: f"node twin is another pod, alive at {address}" in second.logs())
        assert cluster.nodes()["twin"]["address"] == address
        assert head.exec("srun", "-w", "twin", "hostname", timeout=60).strip() == "twin"
    finally:
        first.kill()
    cluster.until("it takes the name over", lambda: cluster.nodes().get("twin", {}).get("address") != address)
    cluster.until_idle(["twin"])


def test_a_worker_whose_job_died_with_it_comes_back(cluster: Cluster) -> None:
    # While the job that died is not cleaned up.
    cluster.expect(r"Node 'worker1' can't be delete because it's still in use", r"failed to delete node 'worker1'")
    head = cluster.add_head()
    cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    job = head.exec("sbatch", "--parsable", "--no-requeue", "-w", "worker1", "--wrap=sleep 600").strip()
    cluster.until("it runs", lambda: head.exec("squeue", "-h", "-j", job, "-o", "%T").strip() == "RUNNING")
    cluster.pods["worker1"].kill()
    cluster.add_worker("worker1")
    cluster.until_idle(["worker1"], deadline=60)
    cluster.until("it works", lambda: head.exec("srun", "-w", "worker1", "hostname").strip() == "worker1")


def test_named_workers_are_shown_before_they_boot_and_join_under_their_name(cluster: Cluster) -> None:
    names = {"alpha": cluster.backend.address(50), "beta": cluster.backend.address(51)}
    head = cluster.add_head({"WORKER_NODES": ",".join(f"{name}:{address}" for name, address in names.items())})
    cluster.until_idle(["head"])
    nodes = cluster.until("they are shown", lambda: {"alpha", "beta"} <= set(cluster.nodes()) and cluster.nodes())
    for name, address in names.items():
        assert nodes[name]["state"].startswith("down")
        assert "has not joined yet" in nodes[name]["reason"]
        assert head.exec("getent", "hosts", name).split()[0] == address
    cluster.add_worker("alpha", host=50)
    cluster.until_idle(["head", "alpha"])
    nodes = cluster.nodes()
    assert nodes["alpha"]["cpus"] == nodes["head"]["cpus"]
    assert nodes["alpha"]["memory"] == nodes["head"]["memory"]
    assert sorted(head.exec("srun", "-N2", "hostname", timeout=60).split()) == ["alpha", "head"]
    assert nodes["beta"]["state"].startswith("down"), "one that never boots harms nobody"


def test_named_workers_that_boot_first_get_their_true_hardware(cluster: Cluster) -> None:
    """No placeholder may be made under the feet of a worker that is just joining."""
    names = [f"early{number}" for number in range(3)]
    for number, name in enumerate(names):
        cluster.add_worker(name, host=60 + number)
    listed = ",".join(f"{name}:{cluster.backend.address(60 + number)}" for number, name in enumerate(names))
    cluster.add_head({"WORKER_NODES": listed})
    cluster.until_idle(["head", *names])
    nodes = cluster.nodes()
    assert {nodes[name]["cpus"] for name in names} == {nodes["head"]["cpus"]}


def test_limits_of_the_container_are_what_slurm_sees(cluster: Cluster) -> None:
    cluster.add_head(cpus=1.5, memory=2048 * 2**20)
    cluster.until_idle(["head"])
    node = cluster.nodes()["head"]
    assert node["cpus"] == "1"
    assert node["memory"] == str(2048 - memory_reserve_mb(2048))


def test_node_name_and_address_can_be_set(cluster: Cluster) -> None:
    head = cluster.add_head({"NODE_NAME": "boss", "NODE_IP": cluster.head_address}, own_name_in_hosts=False)
    cluster.add_worker("w", {"NODE_NAME": "trainer-1"})
    cluster.until_idle(["boss", "trainer-1"])
    assert sorted(head.exec("srun", "-N2", "--label", "hostname").split()) == ["0:", "1:", "head", "w"]


def test_a_cut_network_heals(cluster: Cluster) -> None:
    head = cluster.add_head()
    worker = cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    before = cluster.until("all programs run", lambda: cluster.pids("worker1"))
    worker.cut()
    cluster.until("the head cannot reach it", lambda: "no" in head.exec("sh", "-c", _reach("worker1", cluster)))
    worker.heal()
    cluster.until("it works", lambda: head.exec("srun", "-w", "worker1", "hostname").strip() == "worker1")
    assert cluster.pids("worker1") == before


def _reach(name: str, cluster: Cluster) -> str:
    address = cluster.nodes()[name]["address"]
    return f"timeout 1 bash -c '</dev/tcp/{address}/9400' 2>/dev/null && echo yes || echo no"


@pytest.mark.ipv6
def test_an_ipv6_cluster(cluster: Cluster) -> None:
    """slurmd fetches its configuration over IPv6 since Slurm 24.11; before, the pod says so."""
    head_address = cluster.backend.address6(cluster.HEAD)
    head = cluster.add_head({"NODE_IP": head_address})
    version = cluster.until("its Slurm's version", lambda: re.search(r"[Ss]lurmd? (\d+)\.(\d+)\.(\d+)", head.logs()))
    if tuple(map(int, version.groups())) < OLDEST_IPV6_SLURM:
        cluster.expect(r"ERROR 1 problem;", r"ERROR   The head's address fd00:.* is IPv6")
        assert head.wait(10) == 2
        assert "IPv6" in head.logs() and "Slurm 24.11" in head.logs()
        return
    worker = cluster.add_worker("worker6", {"HEAD_NODE_IP": head_address})
    cluster.until_idle(["head", "worker6"])
    assert "fd00" in worker.exec("cat", "/etc/hosts")
    assert sorted(head.exec("srun", "-N2", "hostname", timeout=60).split()) == ["head", "worker6"]
