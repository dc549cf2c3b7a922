"""Both exporters in real pods, against what Slurm and the simulated GPUs really have."""

from __future__ import annotations

import re

from exporters.slurm.sources import KINDS
from tests.system.harness import GPU_PORT, SLURM_PORT, Cluster
from tests.system.logs import SLURM_IS_AWAY

DCGM = (
    "DCGM_FI_DEV_GPU_UTIL",
    "DCGM_FI_DEV_MEM_COPY_UTIL",
    "DCGM_FI_DEV_FB_USED",
    "DCGM_FI_DEV_FB_FREE",
    "DCGM_FI_DEV_GPU_TEMP",
    "DCGM_FI_DEV_POWER_USAGE",
    "DCGM_FI_DEV_SM_CLOCK",
    "DCGM_FI_DEV_MEM_CLOCK",
)


def gpu_values(cluster: Cluster, pod: str, metric: str) -> dict[str, float]:
    """GPU index -> value of one metric."""
    _, series = cluster.metrics(pod, GPU_PORT)
    found = {}
    for key, value in series.items():
        match = re.fullmatch(metric + r'\{gpu="(\d+)".*\}', key)
        if match:
            found[match[1]] = value
    return found


def test_every_gpu_has_every_metric_with_dcgms_labels(three: Cluster) -> None:
    status, series = three.metrics("worker1", GPU_PORT)
    assert status == 200
    for metric in DCGM:
        keys = [key for key in series if key.startswith(metric + "{")]
        assert len(keys) == 2, metric
        for index, key in enumerate(sorted(keys)):
            names = re.findall(r'(\w+)="', key)
            assert names == ["gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "DCGM_FI_DRIVER_VERSION"]
            assert f'gpu="{index}"' in key and f'device="nvidia{index}"' in key and 'Hostname="worker1"' in key
            assert re.search(r'pci_bus_id="[0-9A-F]{8}:[0-9A-F]{2}:00\.0"', key)
    assert series["gpu_watchdog_nvml_up"] == 1
    assert series["gpu_watchdog_gpus"] == 2


def test_readings_follow_the_gpu(three: Cluster) -> None:
    three.pods["worker1"].gpus.update(1, temperature=77, power_mw=123456, utilization_gpu=42)
    three.until("temperature", lambda: gpu_values(three, "worker1", "DCGM_FI_DEV_GPU_TEMP").get("1") == 77)
    assert gpu_values(three, "worker1", "DCGM_FI_DEV_POWER_USAGE")["1"] == 123.456
    assert gpu_values(three, "worker1", "DCGM_FI_DEV_GPU_UTIL")["1"] == 42


def test_a_lost_gpu_loses_its_own_series_only_and_returns(three: Cluster) -> None:
    three.expect(
        r"\[gpu-exporter\] .* WARNING GPU 0 GPU-[0-9a-f-]+: GPU is lost",
        r"\[gpu-exporter\] .* WARNING XID events: .*GPU is lost",
    )
    gpus = three.pods["worker2"].gpus
    gpus.update(0, error="GPU_IS_LOST")
    three.until("it is seen", lambda: gpu_values(three, "worker2", "gpu_watchdog_gpu_up") == {"0": 0, "1": 1})
    for metric in DCGM:
        assert list(gpu_values(three, "worker2", metric)) == ["1"]
    status, body = three.health("worker2", GPU_PORT)
    assert status == 503 and "GPU 0" in body and "lost" in body.lower()
    gpus.update(0, error=None)
    three.until("it is back", lambda: gpu_values(three, "worker2", "gpu_watchdog_gpu_up") == {"0": 1, "1": 1})
    three.until("it is healthy", lambda: three.health("worker2", GPU_PORT) == (200, "ok\n"))


def test_a_gpu_that_hangs_is_alone_with_it(three: Cluster) -> None:
    hangs = r"(GPU 0 GPU-[0-9a-f-]+|GPU at index 0|NVML|XID events): .*no answer from nvml"
    three.expect(rf"\[gpu-exporter\] .* WARNING {hangs}")
    pod = three.pods["worker2"]
    gpus = pod.gpus
    pid = three.pids("worker2")["gpu-exporter"]
    threads = pod.exec("sh", "-c", f"ls /proc/{pid}/task | wc -l")
    gpus.update(0, hang=1)
    three.until("it is seen", lambda: gpu_values(three, "worker2", "gpu_watchdog_gpu_up") == {"0": 0, "1": 1})
    assert "no answer" in three.health("worker2", GPU_PORT)[1]
    gpus.update(1, temperature=66)
    three.until("the other goes on", lambda: gpu_values(three, "worker2", "DCGM_FI_DEV_GPU_TEMP") == {"1": 66})
    assert pod.exec("sh", "-c", f"ls /proc/{pid}/task | wc -l") == threads
    gpus.update(0, hang=None)
    three.until("it is back", lambda: gpu_values(three, "worker2", "gpu_watchdog_gpu_up") == {"0": 1, "1": 1})
    assert three.pids("worker2")["gpu-exporter"] == pid


def test_a_pod_without_a_driver_says_so_and_keeps_looking(cluster: Cluster) -> None:
    cluster.add_head()
    cluster.until_idle(["head"])
    status, series = cluster.metrics("head", GPU_PORT)
    assert status == 200
    assert series["gpu_watchdog_nvml_up"] == 0 and series["gpu_watchdog_gpus"] == 0
    assert any(key.startswith("gpu_watchdog_nvml_error_info{") for key in series)
    assert not any(key.startswith("DCGM") for key in series)
    assert cluster.health("head", GPU_PORT)[0] == 200


def test_slurm_metrics_are_what_sinfo_and_squeue_say(three: Cluster) -> None:
    job = three.head.exec("sbatch", "--parsable", "--hold", "--array=0-9%2", "--wrap=hostname").strip()
    running = three.head.exec("sbatch", "--parsable", "--nodelist=worker1", "--wrap=sleep 60").strip()
    nodes = three.nodes()
    cpus = sum(int(node["cpus"]) for node in nodes.values())

    def seen() -> bool:
        series = three.metrics("head", SLURM_PORT)[1]
        return series.get("slurm_queue_pending") == 10 and series.get("slurm_queue_running") == 1

    three.until("jobs", seen)
    series = three.metrics("head", SLURM_PORT)[1]
    assert series["slurm_cpus_total"] == cpus
    assert series["slurm_cpus_alloc"] == 1
    assert series["slurm_cpus_idle"] == cpus - 1
    assert series["slurm_nodes_idle"] + series["slurm_nodes_mix"] + series["slurm_nodes_alloc"] == 3
    assert series["slurm_nodes"] == 3
    assert series["slurm_queue_pending_dependency"] == 0
    assert series["slurm_scheduler_threads"] >= 1
    assert series["slurm_up"] == 1
    three.head.exec("scancel", job, running)
    three.until("they are gone", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_queue_pending") == 0)


def test_a_drained_node_is_not_idle(three: Cluster) -> None:
    three.head.exec("scontrol", "update", "nodename=worker2", "state=drain", "reason=test, | and 'quotes'")
    three.until("drain", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_nodes_drain") == 1)
    assert three.metrics("head", SLURM_PORT)[1]["slurm_nodes_idle"] == 2
    three.head.exec("scontrol", "update", "nodename=worker2", "state=resume")
    three.until("idle", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_nodes_idle") == 3)


def test_without_slurmctld_the_exporter_serves_says_so_and_recovers(three: Cluster) -> None:
    three.expect(SLURM_IS_AWAY)
    pid = three.pids("head")["slurm-exporter"]
    three.head.exec("supervisorctl", "stop", "slurmctld")
    three.until("it is seen", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_up") == 0, deadline=60)

    def all_gone() -> bool:
        status, series = three.metrics("head", SLURM_PORT)
        assert status == 200
        return not any(key.startswith(("slurm_nodes", "slurm_cpus", "slurm_queue", "slurm_sch")) for key in series)

    three.until("no old number is served", all_gone, deadline=60)
    assert three.metrics("head", SLURM_PORT)[1]['slurm_exporter_source_up{source="nodes"}'] == 0
    assert three.health("head", SLURM_PORT)[0] == 503
    three.head.exec("supervisorctl", "start", "slurmctld")
    three.until("it recovers", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_up") == 1, deadline=60)
    assert three.health("head", SLURM_PORT) == (200, "ok\n")
    assert three.pids("head")["slurm-exporter"] == pid
    three.until_idle(["head", "worker1", "worker2"])


def test_a_frozen_slurmctld_leaves_no_commands_behind(three: Cluster) -> None:
    three.expect(
        SLURM_IS_AWAY,
        # slurmctld answers commands that were given up meanwhile.
        # Which of the two it says depends on whether it had read the command's request by then.
        r"\[slurmctld\] .*error: slurm_\w+.*: (Unexpected missing socket error|Zero Bytes were transmitted)",
    )
    pid = str(three.pids("head")["slurmctld"])
    three.head.exec("kill", "-STOP", pid)
    three.until("it is seen", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_up") == 0, deadline=60)
    commands = three.head.exec("sh", "-c", "ps -u nobody -o comm= | grep -cE 'squeue|sdiag|scontrol|sshare' || true")
    assert int(commands) <= len(KINDS)
    three.head.exec("kill", "-CONT", pid)
    three.until("it recovers", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_up") == 1, deadline=60)
    three.until_idle(["head", "worker1", "worker2"])
