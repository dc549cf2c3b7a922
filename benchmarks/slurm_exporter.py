"""The Slurm exporter beside one squeue, vpenso's commands and Slurm's own endpoint, on a real slurmctld.

Run as root: make bench-slurm (JOBS="1000 10000" for fewer). 1,000 nodes, jobs of 200 users. Beside each figure, from
the same run: the floor (one squeue with the same columns and one scontrol show nodes), the commands that
vpenso/prometheus-slurm-exporter 0.20 runs per scrape, one after the other and side by side (without what the exporter
itself uses for parsing), and from Slurm 25.11 on a scrape of slurmctld's own OpenMetrics pages.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from benchmarks.slurm.cluster import FIRST_UID, USERS, Cluster, command_cpu
from benchmarks.slurm.scrapers import percentiles, scrape
from exporters.slurm.commands import FIXED
from exporters.slurm.parse import jobs, nodes
from local.pod import REPOSITORY
from tests.controller.daemons import free_port

# slurm_command of the reference of vpenso's metrics (0.20, ten commands), without shell quoting.
VPENSO = (
    ("squeue", "-a", "-r", "-h", "-o", " %A|%a|%T|%C"),
    ("sinfo", "-h", "-o", " %C"),
    ("sinfo", "-h", "-N", "-O", "NodeList,AllocMem,Memory,CPUsState,StateLong"),
    ("sinfo", "-h", "-o", "%D,%T"),
    ("sinfo", "-h", "-o", "%R,%C"),
    ("squeue", "-a", "-r", "-h", "-o%P", "--states=PENDING"),
    ("squeue", "-a", "-r", "-h", "-o", " %A,%T,%r", "--states=all"),
    ("sdiag",),
    ("sshare", "-n", "-P", "-o", "account,fairshare"),
    ("squeue", "-a", "-r", "-h", "-o", " %A|%u|%T|%C"),
)
NATIVE = ("jobs", "jobs-users-accts", "nodes", "partitions", "scheduler")
ROUNDS, PEER_ROUNDS = 5, 3
FLAT_ROUNDS = 1000
FLOOR_LIMIT, PEER_LIMIT, NATIVE_LIMIT, P99_LIMIT_MS, MEMORY_LIMIT_MIB, GROWTH_LIMIT_MIB = 1.4, 5.0, 5.0, 5.0, 60.0, 1.0
DISTURBANCE_LIMIT = 1.1
LARGEST = 100_000


def main() -> int:
    """Print every figure; exit status 1 where a limit is not kept."""
    if not os.environ.get("BENCH_HAS_USERS"):
        return with_users()
    sizes = [int(word) for word in os.environ.get("JOBS", f"1000 10000 {LARGEST}").split()]
    kept = arrays()
    with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder), native_endpoint()) as cluster:
        there = 0
        for size in sizes:
            cluster.fill(size - there, there)
            there = size
            kept &= refreshes(cluster, size)
            if size == sizes[0]:
                kept &= flat(cluster, size)
        kept &= scrapes(cluster, there)
        kept &= disturbance(cluster, there)
    return 0 if kept else 1


def with_users() -> int:
    """Again in a mount namespace, where /etc/passwd has the jobs' users."""
    with tempfile.NamedTemporaryFile("w") as file:
        users = "".join(f"bench{uid}:x:{uid}:{uid}::/:/bin/sh\n" for uid in range(FIRST_UID, FIRST_UID + USERS))
        file.write(Path("/etc/passwd").read_text() + users)
        file.flush()
        Path(file.name).chmod(0o644)
        script = f"mount --bind {file.name} /etc/passwd && exec {sys.executable} -m benchmarks.slurm_exporter"
        environment = {**os.environ, "BENCH_HAS_USERS": "1"}
        return subprocess.run(["unshare", "--mount", "sh", "-c", script], env=environment).returncode


def native_endpoint() -> str:
    """The line of slurm.conf that switches it on, from 25.11 on; else none."""
    text = subprocess.run(["slurmctld", "-V"], capture_output=True, text=True, check=True).stdout
    version = tuple(map(int, re.findall(r"\d+", text)[:2]))
    print(f"Slurm {'.'.join(map(str, version))}, {os.cpu_count()} cores")
    return "MetricsType=metrics/openmetrics" if version >= (25, 11) else ""


def environment(cluster: Cluster) -> dict[str, str]:
    """As the exporter gives it to its commands."""
    return {**cluster.environment, **FIXED}


def refresh(cluster: Cluster, count: int, how: str = "rounds") -> tuple[float, float, float, list[float]]:
    """CPU seconds of one refresh: the exporter's own, its commands', slurmctld's; and what refresh.py says besides."""
    before = cluster.cpu()
    argv = [sys.executable, "-m", "benchmarks.slurm.refresh", how, str(count)]
    done = subprocess.run(argv, cwd=REPOSITORY, env=cluster.environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    own, commands, *more = map(float, done.stdout.split())
    return own, commands, (cluster.cpu() - before) / (count + 2), more


def refreshes(cluster: Cluster, size: int) -> bool:
    """One refresh with all sources, parsed, rendered and compressed."""
    used = environment(cluster)
    before = cluster.cpu()
    floor = sum(command_cpu(argv, used) for _ in range(ROUNDS) for argv in (jobs.command(), nodes.COMMAND)) / ROUNDS
    floor_controller = (cluster.cpu() - before) / ROUNDS
    own, commands, controller, (_, memory, plain, packed) = refresh(cluster, ROUNDS)
    fresh_own, fresh_commands, *_ = refresh(cluster, ROUNDS, "fresh")
    before = cluster.cpu()
    peer = sum(command_cpu(argv, cluster.environment, check=argv[0] != "sshare") for argv in VPENSO * PEER_ROUNDS)
    peer, peer_controller = peer / PEER_ROUNDS, (cluster.cpu() - before) / PEER_ROUNDS
    began = time.monotonic()
    with ThreadPoolExecutor(len(VPENSO)) as pool:
        silent = {"env": cluster.environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        list(pool.map(lambda argv: subprocess.run(argv, **silent), VPENSO))  # type: ignore[call-overload]
    side_by_side = time.monotonic() - began
    ours, theirs = own + commands + controller, peer + peer_controller
    print(f"{size} jobs, 1000 nodes: CPU seconds of one refresh or scrape (slurmctld's in brackets)")
    print(f"  one squeue and one scontrol    {floor:.3f} ({floor_controller:.3f})")
    print(
        f"  this                           {own + commands:.3f} ({controller:.3f}), of it the exporter's own {own:.3f}"
    )
    print(
        f"  this, every node changed       {fresh_own + fresh_commands:.3f}, of it the exporter's own {fresh_own:.3f}"
    )
    print(f"  vpenso's ten commands          {peer:.3f} ({peer_controller:.3f}); side by side in {side_by_side:.2f} s")
    print(f"  page {plain / 1024:.0f} KiB, compressed {packed / 1024:.0f} KiB; memory {memory:.1f} MiB")
    kept = verdict("refresh against one squeue and scontrol", (own + commands) / floor, FLOOR_LIMIT, "x", size)
    kept &= verdict("vpenso's commands against this, all CPU", theirs / ours, PEER_LIMIT, "x", size, least=True)
    kept &= verdict("memory", memory, MEMORY_LIMIT_MIB, "MiB", size)
    if "MetricsType" in (cluster.folder / "slurm.conf").read_text():
        before = cluster.cpu()
        for page in NATIVE:
            with urllib.request.urlopen(f"http://127.0.0.1:{cluster.port}/metrics/{page}", timeout=120) as answer:
                answer.read()
        native = cluster.cpu() - before
        print(f"  Slurm's own five pages         slurmctld {native:.3f}")
        kept &= verdict(
            "Slurm's own pages against this, slurmctld's CPU", native / controller, NATIVE_LIMIT, "x", size, True
        )
    return kept


def arrays() -> bool:
    """A refresh with one array of 100,000 tasks, and with 100 jobs."""
    found = []
    for kind, count in (("held", 100), ("array", 100_000)):
        with tempfile.TemporaryDirectory() as folder, Cluster(Path(folder)) as cluster:
            cluster.submit(kind, count)
            own, commands, controller, _ = refresh(cluster, 20)
            found.append(own + commands + controller)
    print(f"CPU seconds of one refresh: 100 jobs {found[0]:.4f}, one array of 100000 tasks {found[1]:.4f}")
    return verdict("the array against the jobs", found[1] / found[0], 1.0, "x", LARGEST, slack=0.05)


def flat(cluster: Cluster, size: int) -> bool:
    """Memory over many refreshes."""
    *_, (early, late, _, _) = refresh(cluster, FLAT_ROUNDS)
    return verdict(
        f"growth over {FLAT_ROUNDS} refreshes at {size} jobs", late - early, GROWTH_LIMIT_MIB, "MiB", LARGEST
    )


@contextmanager
def serving(cluster: Cluster, *argv: str) -> Iterator[int]:
    """An exporter that answers, by its port; {port} in argv is filled in."""
    port = free_port()
    command = [sys.executable, "-m", *(word.format(port=port) for word in argv)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, cwd=REPOSITORY, env=cluster.environment, stdout=log, stderr=log)
        try:
            end = time.monotonic() + 60
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                        if b"slurm_queue_pending" in answer.read():
                            break
                except OSError:
                    pass
                if time.monotonic() > end or process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"{command} does not serve: {log.read().decode()}")
                time.sleep(0.1)
            yield port
        finally:
            process.kill()
            process.wait()


def scrapes(cluster: Cluster, size: int) -> bool:
    """50 scrapers, once a second each, while refreshes follow each other without a pause."""
    with serving(cluster, "benchmarks.slurm.refresh", "serve", "{port}") as port:
        busy = percentiles(scrape(port, 50, 20))
    with serving(cluster, "exporters.slurm", "-a", "127.0.0.1:{port}") as port:
        usual = percentiles(scrape(port, 50, 20))
    print(f"{size} jobs: 50 scrapers, p50 / p99 in ms")
    print(
        f"  while it refreshes all the time {busy[0]:.2f} / {busy[1]:.2f}, as it runs {usual[0]:.2f} / {usual[1]:.2f}"
    )
    return verdict("p99 while it refreshes", busy[1], P99_LIMIT_MS, "ms", size)


def disturbance(cluster: Cluster, size: int) -> bool:
    """How fast slurmctld answers others, with the exporter scraped by ten servers a second, and with none."""

    def calls() -> tuple[int, int]:
        text = cluster.run("sdiag").stdout
        found = re.search(r"REQUEST_JOB_INFO_SINGLE .*count:(\d+) +ave_time:\d+ +total_time:(\d+)", text)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def asked(seconds: float) -> float:
        """Mean microseconds of one call, by sdiag."""
        before, end = calls(), time.monotonic() + seconds
        while time.monotonic() < end:
            cluster.run("scontrol", "show", "job", "1")
            time.sleep(0.02)
        after = calls()
        return (after[1] - before[1]) / max(1, after[0] - before[0])

    alone, beside = [], []
    for _ in range(3):
        alone.append(asked(10))
        with serving(cluster, "exporters.slurm", "-a", "127.0.0.1:{port}") as port, ThreadPoolExecutor(1) as pool:
            scraping = pool.submit(scrape, port, 10, 12)
            beside.append(asked(10))
            scraping.result()
    one, other = sorted(alone)[1], sorted(beside)[1]
    print(
        f"{size} jobs: slurmctld answers another user's call in {one:.0f} us alone, {other:.0f} us beside the exporter"
    )
    return verdict("calls of others", other / one, DISTURBANCE_LIMIT, "x", size)


def verdict(
    what: str, value: float, limit: float, unit: str, size: int, least: bool = False, slack: float = 0.0
) -> bool:
    """Print whether a limit is kept; it is one at the largest size only."""
    kept = value >= limit if least else value <= limit + slack
    word = "ok  " if kept else "MISS" if size >= LARGEST else "    "
    print(f"    {word} {what}: {value:.2f} {unit} (at {'least' if least else 'most'} {limit:g})")
    return kept or size < LARGEST


if __name__ == "__main__":
    sys.exit(main())
