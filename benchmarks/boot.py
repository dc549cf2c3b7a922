"""How long a head takes to serve, how long each program takes to come back, and how much memory is ours.

Run as root: make bench. Floors, measured in the same run in the same kind of pod:
- boot: the same daemons started by hand in the best order, after and beside the bare start (imports only) of the
  Python processes that the product needs;
- memory: the limit of 120 MiB for supervisord and both exporters, and bare interpreters with the same imports.
"""

from __future__ import annotations

import os
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local import cluster
from local.network import Bridge
from local.pod import Pod, PodError
from local.spec import PYTHON_IN_POD, File

RUNS = 7
DEADLINE_S = 30
BOOT_LIMIT_S = 2.0
BOOT_LIMIT_RATIO = 3.0
BACK_LIMIT_S = 2.0
MEMORY_LIMIT_MIB = 120
KEY = "benchmark-secret-" + "0123456789abcdef" * 2
GPUS = [{"model": "h100"}] * 8
PROGRAMS = ("munged", "slurmctld", "slurmd", "gpu-exporter", "slurm-exporter")

# What each Python process of the product imports, without doing anything with it.
BARE = {
    "bootstrap": "import argparse, datetime, difflib, hashlib, hmac, socket, subprocess, yaml",
    "supervisord": "import supervisor.supervisord",
    "gpu-exporter": "import argparse, gzip, logging, pynvml, yaml",
    "slurm-exporter": "import argparse, gzip, logging, subprocess",
}


def main() -> int:
    """Print every figure; exit status 1 where a limit is not kept."""
    kept = True
    bridge = Bridge(f"gwb{os.getpid()}", 210)
    bridge.create()
    try:
        with tempfile.TemporaryDirectory() as folder, Bench(Path(folder), bridge) as bench:
            ours, floor = [], []
            for _ in range(RUNS):  # in turn, so that the machine's mood is the same for both
                floor.append(bench.floor())
                ours.append(bench.boot())
            ratio = statistics.median(a / b for a, b in zip(ours, floor, strict=True))
            print(f"boot, seconds to node idle and both endpoints answering, {RUNS} runs: median (min to max)")
            print(f"  by hand    {spread(floor)}")
            print(f"  this       {spread(ours)}   ratio {ratio:.2f}")
            kept &= verdict("boot", statistics.median(ours), BOOT_LIMIT_S, "s")
            kept &= verdict("boot ratio", ratio, BOOT_LIMIT_RATIO, "x")
            print("kill -9 to serving again, seconds, 5 kills each: median (min to max)")
            head = bench.start()
            for program in PROGRAMS:
                times = [bench.kill(head, program) for _ in range(5)]
                print(f"  {program:<15} {spread(times)}")
                kept &= verdict(program, statistics.median(times), BACK_LIMIT_S, "s")
            print("memory of a head with 8 simulated GPUs, MiB: resident (proportional)")
            total = 0.0
            for name, (resident, proportional) in bench.memory(head).items():
                total += resident
                print(f"  {name:<15} {resident:6.1f} ({proportional:.1f})   bare imports {bench.bare(head, name):.1f}")
            print(f"  {'together':<15} {total:6.1f}")
            kept &= verdict("memory", total, MEMORY_LIMIT_MIB, "MiB")
    finally:
        bridge.delete()
    return 0 if kept else 1


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def verdict(what: str, value: float, limit: float, unit: str) -> bool:
    """Print how a figure stands to its limit."""
    print(f"    {what}: {value:.2f} {unit}, {value / limit:.2f} of the limit of {limit:g} {unit}")
    return value <= limit


class Bench:
    """Starts pods and waits for them, all in the same way."""

    def __init__(self, folder: Path, bridge: Bridge) -> None:
        self._folder = folder
        self._bridge = bridge
        self._count = 0
        self._pods: list[Pod] = []

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        for pod in self._pods:
            pod.kill()

    def _pod(self, **options: object) -> Pod:
        self._count += 1
        folder = self._folder / str(self._count)
        environment = {"NODE_ROLE": "head", "MUNGE_KEY": KEY}
        address = self._bridge.address(2 + self._count % 200)
        spec = cluster.spec("head", folder, environment, address=address, gpus=GPUS, **options)  # type: ignore[arg-type]
        self._pods.append(Pod(spec, self._bridge))
        return self._pods[-1]

    def start(self) -> Pod:
        """A head that serves."""
        head = self._pod()
        head.start()
        self._await(head, lambda: self._serves(head))
        return head

    def boot(self) -> float:
        """Seconds from the pod's start until it serves."""
        head = self._pod()
        head.start()
        started = time.monotonic()
        try:
            self._await(head, lambda: self._serves(head))
            return time.monotonic() - started
        finally:
            head.kill()

    def floor(self) -> float:
        """The same, by hand."""
        head = self._pod(command=("/bin/sh", "/by-hand"), files={"/by-hand": File(text=self._by_hand())})
        head.start()
        started = time.monotonic()
        try:
            self._await(head, lambda: self._done_by_hand(head))
            return time.monotonic() - started
        finally:
            head.kill()

    def _by_hand(self) -> str:
        """Our own plan, carried out by a shell that knows it beforehand."""
        head = self._pod(command=("/bin/sleep", "1000"))
        head.start()
        environment = {"NODE_ROLE": "head", "MUNGE_KEY": KEY}
        plan = head.exec(PYTHON_IN_POD, "-m", "bootstrap", "--print-only", environment=environment)
        head.kill()
        address = head.spec.address
        # The next pod has the next address.
        plan = plan.replace(address, self._bridge.address(2 + (self._count + 1) % 200))
        conf = plan.partition("# file /etc/slurm/slurm.conf 0644 root\n")[2].partition("# file ")[0]
        cgroup = plan.partition("# file /etc/slurm/cgroup.conf 0644 root\n")[2].partition("# ")[0]
        slurmd = next(line for line in plan.splitlines() if "-- slurmd " in line).rpartition(" -- ")[2]
        bare = {name: shlex.join([PYTHON_IN_POD, "-c", imports]) for name, imports in BARE.items()}
        return f"""
mkdir -p /run/munge /var/lib/munge /var/log/munge /var/spool/slurmd /var/lib/gpu-watchdog/gpu-watchdog/slurmctld
printf %s {KEY}{KEY} >/etc/munge/munge.key
chown munge /etc/munge /etc/munge/munge.key /run/munge /var/lib/munge /var/log/munge
chmod 700 /etc/munge /var/log/munge; chmod 400 /etc/munge/munge.key
chown slurm /var/lib/gpu-watchdog/gpu-watchdog/slurmctld
cat >/etc/slurm/slurm.conf <<'X'
{conf}
X
cat >/etc/slurm/cgroup.conf <<'X'
{cgroup}
X
{bare["bootstrap"]}
{bare["supervisord"]}
( {bare["gpu-exporter"]}; : >/run/gpu ) &
( {bare["slurm-exporter"]}; : >/run/slurm-exporter ) &
setpriv --reuid=munge --regid=munge --clear-groups munged --foreground >/dev/null 2>&1 &
until [ -S /run/munge/munge.socket.2 ]; do sleep 0.01; done
slurmctld -D >/dev/null 2>&1 &
until grep -q ':1AA1 .* 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.01; done
{slurmd} >/dev/null 2>&1 &
wait
"""

    def _done_by_hand(self, head: Pod) -> bool:
        ready = "[ -e /run/gpu ] && [ -e /run/slurm-exporter ] && sinfo -h -N -o %T"
        return head.exec("sh", "-c", ready, check=False).strip() == "idle"

    def _serves(self, head: Pod) -> bool:
        answers = all(cluster.get(f"http://{head.spec.address}:{port}/metrics")[0] == 200 for port in (9400, 9341))
        return answers and head.exec("sinfo", "-h", "-N", "-o", "%T", check=False).strip() == "idle"

    def _await(self, head: Pod, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not ready():
            if time.monotonic() > end or head.exit_status is not None:
                raise PodError(f"the pod did not get ready:\n{cluster.tail(head.logs())}")
            time.sleep(0.01)

    def kill(self, head: Pod, program: str) -> float:
        """Seconds from kill -9 of a program until what it does is done again."""
        pid = head.exec("supervisorctl", "pid", program).strip()
        serves: dict[str, Callable[[], bool]] = {
            "munged": lambda: bool(head.exec("munge", "-n", check=False)),
            "slurmctld": lambda: "UP" in head.exec("scontrol", "ping", check=False),
            "slurmd": lambda: head.exec("srun", "-w", "head", "hostname", check=False).strip() == "head",
            "gpu-exporter": lambda: cluster.get(f"http://{head.spec.address}:9400/metrics")[0] == 200,
            "slurm-exporter": lambda: cluster.get(f"http://{head.spec.address}:9341/metrics")[0] == 200,
        }
        started = time.monotonic()
        head.exec("kill", "-9", pid)
        self._await(head, serves[program])
        taken = time.monotonic() - started
        # The next kill finds a program that counts as running.
        self._await(head, lambda: head.exec("supervisorctl", "status", check=False).count("RUNNING") == len(PROGRAMS))
        return taken

    def memory(self, head: Pod) -> dict[str, tuple[float, float]]:
        """Program of ours -> resident and proportional set size in MiB."""
        pids = {"supervisord": "1"}
        for name in ("gpu-exporter", "slurm-exporter"):
            pids[name] = head.exec("supervisorctl", "pid", name).strip()
        return {name: self._sizes(head.read(f"/proc/{pid}/smaps_rollup")) for name, pid in pids.items()}

    def bare(self, head: Pod, name: str) -> float:
        """Resident MiB of an interpreter that only imports what a program of ours imports."""
        script = f"{BARE[name]}; print(open('/proc/self/smaps_rollup').read())"
        return self._sizes(head.exec(PYTHON_IN_POD, "-c", script))[0]

    @staticmethod
    def _sizes(rollup: str) -> tuple[float, float]:
        fields = {line.split(":")[0]: line.split()[1] for line in rollup.splitlines()[1:] if ":" in line}
        return int(fields["Rss"]) / 1024, int(fields["Pss"]) / 1024


if __name__ == "__main__":
    sys.exit(main())
