"""A head and two workers: what Slurm shows, what jobs can do, how the pods are made."""

from __future__ import annotations

import re

from bootstrap.limits import host_cpus, host_memory_mb
from bootstrap.slurm_conf import memory_reserve_mb
from local.spec import File
from tests.system.harness import MUNGE_KEY, Cluster

NODES = ("head", "worker1", "worker2")
DEFAULT_CONTAINER_CAPABILITIES = "00000000a80425fb"


def test_sinfo_shows_true_cpus_and_memory(three: Cluster) -> None:
    memory = host_memory_mb()
    for name, node in three.nodes().items():
        assert name in NODES
        assert node["cpus"] == str(host_cpus())
        assert node["memory"] == str(memory - memory_reserve_mb(memory))


def test_there_is_one_default_partition_with_all_nodes(three: Cluster) -> None:
    assert three.head.exec("sinfo", "-h", "-o", "%P %D").split() == ["gpu*", "3"]


def test_a_batch_job_runs_steps_on_all_pods(three: Cluster) -> None:
    script = "#!/bin/sh\nsrun --label hostname\n"
    command = ("sbatch", "--wait", "--nodes=3", "--output=/root/steps", "--chdir=/root")
    three.head.exec(*command, input=script, timeout=60)
    output = three.pods[_batch_host(three)].exec("cat", "/root/steps")
    assert sorted(line.split(": ")[1] for line in output.splitlines()) == sorted(NODES)


def _batch_host(cluster: Cluster) -> str:
    output = cluster.head.exec("sh", "-c", "scontrol -o show job | tail -n 1")
    found = re.search(r"BatchHost=(\S+)", output)
    assert found, output
    return found[1]


def test_a_worker_submits_and_sees_the_queue(three: Cluster) -> None:
    output = three.pods["worker2"].exec("srun", "--nodes=3", "hostname", timeout=60)
    assert sorted(output.split()) == sorted(NODES)
    assert "JOBID" in three.pods["worker1"].exec("squeue")


def test_small_jobs_share_a_node(three: Cluster) -> None:
    """A job that names no memory must not take all of it."""
    held = "--wrap=sleep 60"
    job_ids = [three.head.exec("sbatch", "--parsable", "--nodelist=head", held).strip() for _ in range(host_cpus())]
    three.until("all of them run", lambda: _running(three, job_ids))
    three.head.exec("scancel", *job_ids)
    three.until_idle(["head"])


def _running(cluster: Cluster, job_ids: list[str]) -> bool:
    lines = cluster.head.exec("squeue", "-h", "-o", "%i %T").splitlines()
    return {f"{job_id} RUNNING" for job_id in job_ids} <= set(lines)


def test_supervisord_is_pid_1_with_the_capabilities_of_a_default_container(three: Cluster) -> None:
    for pod in three.pods.values():
        assert "supervisord" in pod.exec("ps", "-o", "args=", "1")
        assert f"CapEff:\t{DEFAULT_CONTAINER_CAPABILITIES}" in pod.exec("cat", "/proc/1/status")


def test_programs_run_under_their_users(three: Cluster) -> None:
    users = {"munged": "munge", "slurmctld": "slurm", "slurmd": "root", "gpu-exporter": "nobody"}
    users["slurm-exporter"] = "nobody"
    pids = three.pids("head")
    assert set(pids) == set(users)
    for program, user in users.items():
        assert three.head.exec("ps", "-o", "user=", str(pids[program])).strip() == user, program
    assert set(three.pids("worker1")) == {"munged", "slurmd", "gpu-exporter"}


def test_orphans_are_reaped(three: Cluster) -> None:
    three.head.exec("sh", "-c", "(sleep 0.2 &)")

    def none_left() -> bool:
        lines = three.head.exec("ps", "-eo", "ppid=,stat=,args=").splitlines()
        return not any(line.split()[0] == "1" and ("Z" in line.split()[1] or "sleep 0.2" in line) for line in lines)

    three.until("the orphan is gone", none_left)


def test_each_program_has_a_log_file_and_its_name_in_the_pods_stdout(three: Cluster) -> None:
    log = three.head.logs()
    for program in three.pids("head"):
        assert f"\n[{program}] " in log
        assert three.head.exec("supervisorctl", "tail", program).strip()
    assert all(re.match(r"\[[a-z-]+\] ", line) for line in log.splitlines()), "a line without a program's name"


def test_the_munge_key_is_the_same_private_file_everywhere(three: Cluster) -> None:
    sums = set()
    for pod in three.pods.values():
        assert pod.exec("stat", "-c", "%a %U", "/etc/munge/munge.key").strip() == "400 munge"
        sums.add(pod.exec("sha256sum", "/etc/munge/munge.key").split()[0])
    assert len(sums) == 1


def test_the_secret_is_in_no_log_argument_environment_or_other_file(three: Cluster) -> None:
    leak = (
        "for p in /proc/[0-9]*; do tr '\\0' '\\n' <$p/environ; tr '\\0' ' ' <$p/cmdline; done; cat /run/gpu-watchdog/*"
    )
    files = "grep -rlF {} /etc /run /var/log /var/spool /tmp /root 2>/dev/null || true"
    for pod in three.pods.values():
        assert MUNGE_KEY not in pod.logs()
        # Fed through stdin, so that the search itself is no find.
        assert MUNGE_KEY not in pod.exec("sh", input=f"({leak}) 2>/dev/null || true")
        assert pod.exec("sh", input=files.format(MUNGE_KEY)) == ""


def test_the_plan_is_what_was_written(three: Cluster) -> None:
    """--print-only touches nothing and shows the very files, the key hidden."""
    environment = {"NODE_ROLE": "head", "MUNGE_KEY": MUNGE_KEY}
    before = three.pids("head")
    command = ("/opt/gpu-watchdog/venv/bin/python", "-I", "-m", "bootstrap", "--print-only")
    first = three.head.exec(*command, environment=environment)
    assert three.head.exec(*command, environment=environment) == first
    assert MUNGE_KEY not in first
    assert three.pids("head") == before
    parts = re.split(r"^# (?=(?:file|removed|command) )", first, flags=re.MULTILINE)
    files = [part for part in parts if part.startswith("file ")]
    assert len(files) > 5
    for part in files:
        header, _, content = part.partition("\n")
        _, path, mode, _ = header.split()
        if int(mode, 8) & 0o077 == 0:
            assert content == "(hidden)\n"
        elif path != "/etc/hosts":
            assert content.rstrip("\n") == three.head.read(path).rstrip("\n"), path
    assert "file /etc/munge/munge.key 0400 munge\n(hidden)\n" in files


def test_only_the_products_own_code_runs(cluster: Cluster) -> None:
    """Whatever lies in the working directory or where PYTHONPATH leads, as in a user's /workspace."""
    names = ("bootstrap", "exporters", "supervisor", "yaml", "pynvml", "json")
    files = {f"/{name}/__init__.py": File(text="raise SystemExit('not ours')\n") for name in names}
    cluster.add_head({"PYTHONPATH": "/"}, files=files)
    cluster.until_idle(["head"])
    cluster.until("all programs run", lambda: cluster.pids("head"))
    assert cluster.until("it answers", lambda: cluster.metrics("head", 9400)[0]) == 200
