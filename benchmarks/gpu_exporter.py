"""The GPU exporter beside nvitop-exporter and beside bare NVML calls, on the fake NVML.

Run as root: make bench-gpu. Every figure has beside it, from the same run:
- scrape latency and throughput: nvitop-exporter (PyPI) on the same fake library, asked by the same client (wrk); and
  the same exporter on GPUs whose every call takes 20 ms;
- CPU per interval: the same NVML calls and one rendering, without the exporter around them, as often; nvitop-exporter;
- memory: the limit of 40 MiB, and its growth over 100,000 samples and 100,000 scrapes; nvitop-exporter.
"""

from __future__ import annotations

import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from local.cluster import BUILD, get
from local.pod import REPOSITORY
from tests.fake_nvml.control import FakeNvml

PEER_PYTHON = BUILD / "bench/bin/python"
LIBRARY = BUILD / "fake_nvml"
SECONDS = 3
TURNS = 30
SETTLE_S = 10
CPU_SECONDS = 20
WARM_UP_SCRAPES = 10_000
LATENCY_RATIO_LIMIT = 10.0
INDEPENDENCE_LIMIT = 0.10
CPU_RATIO_LIMIT = 1.5
CPU_LIMIT_PERCENT = 0.5
MEMORY_LIMIT_MIB = 40.0
GROWTH_LIMIT_MIB = 1.0
REPETITIONS = 100_000


def main() -> int:
    """Print every figure; exit status 1 where a limit is not kept."""
    kept = True
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeNvml(Path(folder) / "state.conf")
        environment = {"FAKE_NVML_STATE": str(fake.path), "LD_LIBRARY_PATH": str(LIBRARY), "PATH": os.environ["PATH"]}
        print("scrape, ms: p50 / p99 with 1 scraper, with 50 at once")
        for count in (1, 8, 16):
            fake.write(gpus=[{"model": "h100"}] * count, realistic=1)
            ours = latencies(our_command, environment)
            peer = latencies(peer_command, environment)
            ratios = [theirs / own for own, theirs in zip(ours, peer, strict=True)]
            print(f"  {count:2} GPUs, this             {shown(ours)}")
            print(f"  {count:2} GPUs, nvitop-exporter  {shown(peer)}   ratios {' '.join(f'{r:.1f}' for r in ratios)}")
            kept &= verdict(f"{count} GPUs against nvitop-exporter", -min(ratios), -LATENCY_RATIO_LIMIT, "x faster")
        kept &= independent_of_nvml(Path(folder), environment)
        fake.write(gpus=[{"model": "h100"}] * 8)
        kept &= cpu_and_memory(environment)
    return 0 if kept else 1


def independent_of_nvml(folder: Path, environment: dict[str, str]) -> bool:
    """The p99 of an exporter whose calls are fast beside one whose calls take 20 ms.

    Both run all the while and are asked in short turns, and each turn is compared with the other's beside it: what
    else this machine does, which changes a p99 several times over, hits both alike.
    """
    p99s: dict[str, list[float]] = {"fast": [], "slow": []}
    with ExitStack() as stack:
        urls = {}
        for name, latency in (("fast", 0), ("slow", 20)):
            fake = FakeNvml(folder / f"{name}.conf")
            fake.write(gpus=[{"model": "h100"}] * 8, latency_ms=latency)
            its_own = {**environment, "FAKE_NVML_STATE": str(fake.path)}
            urls[name] = stack.enter_context(running(our_command, its_own))[1]
        for turn in range(TURNS):
            for name in sorted(urls, reverse=turn % 2 == 1):
                p99s[name].append(wrk(urls[name], 50, 1)[1])
    fast, slow = (statistics.median(p99s[name]) for name in ("fast", "slow"))
    print(f"   8 GPUs, p99 with 50 scrapers, medians of {TURNS}: 20 ms a call {slow:.2f}, fast calls {fast:.2f}")
    ratio = statistics.median(slow / fast for slow, fast in zip(p99s["slow"], p99s["fast"], strict=True))
    return verdict("p99 with slow calls", (ratio - 1) * 100, INDEPENDENCE_LIMIT * 100, "% more")


def cpu_and_memory(environment: dict[str, str]) -> bool:
    """CPU per interval beside the floor, and memory before and after many samples and scrapes."""
    with running(peer_command, environment) as (process, _):
        peer_used = cpu_per_second(process.pid)
        peer_memory = resident_mib(process.pid)
    with running(our_command, environment) as (process, url):
        used = cpu_per_second(process.pid)
        idle = resident_mib(process.pid)
        scrape(url, WARM_UP_SCRAPES)
        start = resident_mib(process.pid)
        asked = scrape(url, REPETITIONS)
        scraped = resident_mib(process.pid)
    code = (REPOSITORY / "benchmarks/gpu_floor.py").read_text()
    done = subprocess.run(
        [sys.executable, "-c", code, str(CPU_SECONDS), str(REPETITIONS // 8)],
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=True,
    )
    floor, hot, sampled_before, sampled_after = (float(word) for word in done.stdout.split())
    print("CPU and memory with 8 GPUs at an interval of 1 s")
    print(f"  this             {used * 1000:6.2f} ms a second {max(idle, scraped):6.1f} MiB")
    print(f"  nvitop-exporter  {peer_used * 1000:6.2f} ms a second {peer_memory:6.1f} MiB")
    print(
        f"  bare calls and one rendering {floor * 1000:.2f} ms once a second, {hot * 1000:.2f} ms one after the other"
    )
    kept = verdict("CPU", used * 100, CPU_LIMIT_PERCENT, "% of a core")
    kept &= verdict("CPU ratio", used / floor, CPU_RATIO_LIMIT, "x")
    kept &= verdict("memory", max(idle, start, scraped), MEMORY_LIMIT_MIB, "MiB")
    kept &= verdict(f"growth over {asked} scrapes", scraped - start, GROWTH_LIMIT_MIB, "MiB")
    return kept & verdict(f"growth over {REPETITIONS} samples", sampled_after - sampled_before, GROWTH_LIMIT_MIB, "MiB")


def latencies(command: object, environment: dict[str, str]) -> tuple[float, float, float, float]:
    """p50 and p99 in ms with 1 scraper, then with 50."""
    with running(command, environment) as (_, url):
        one, many = wrk(url, 1, SECONDS), wrk(url, 50, SECONDS)
    return one[0], one[1], many[0], many[1]


def our_command(port: int) -> list[str]:
    """The exporter, as a pod runs it."""
    return [sys.executable, "-m", "exporters.gpu", f"--address=127.0.0.1:{port}", "--collectors=extended"]


def peer_command(port: int) -> list[str]:
    """nvitop-exporter at the same interval."""
    return [str(PEER_PYTHON), "-m", "nvitop_exporter", "--bind-address=127.0.0.1", f"--port={port}", "--interval=1"]


@contextmanager
def running(command: object, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An exporter that answers with metrics, and its address."""
    assert callable(command)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command(port), cwd=REPOSITORY, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}/metrics"
            deadline = time.monotonic() + 60
            while "utilization" not in (body := get(url)[1]).lower():
                if time.monotonic() > deadline or process.poll() is not None:
                    log.seek(0)
                    raise RuntimeError(f"{command(port)} does not serve: {body[:200]}\n{log.read().decode()}")
                time.sleep(0.05)
            yield process, url
        finally:
            process.kill()
            process.wait()


def wrk(url: str, connections: int, seconds: int) -> tuple[float, float, int]:
    """p50 and p99 in ms, and how many requests were answered."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = [re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)", text) for percent in (50, 99)]
    requests = re.search(r"(\d+) requests in", text)
    if not all(found) or not requests or "Non-2xx" in text:
        raise RuntimeError(text)
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}
    p50, p99 = (float(match[1]) * unit[match[2]] for match in found if match)
    return p50, p99, int(requests[1])


def scrape(url: str, count: int) -> int:
    """Ask at least so many times."""
    asked = 0
    while asked < count:
        asked += wrk(url, 8, 1 if count == WARM_UP_SCRAPES else 5)[2]
    return asked


def cpu_per_second(pid: int) -> float:
    """CPU seconds per second of a process that does nothing but sample, once what is made once is made."""
    time.sleep(SETTLE_S)  # measurements, not waits
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(CPU_SECONDS)
    return (cpu_seconds(pid) - before) / (time.monotonic() - began)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, by its clock (clock_getcpuclockid(3)): /proc/PID/stat has ticks of 10 ms."""
    return time.clock_gettime((~pid << 3) | 2)


def resident_mib(pid: int) -> float:
    """VmRSS."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def shown(values: tuple[float, ...]) -> str:
    """Four latencies."""
    return f"{values[0]:6.2f} /{values[1]:6.2f}, {values[2]:6.2f} /{values[3]:6.2f}"


def verdict(what: str, value: float, limit: float, unit: str) -> bool:
    """Print one line; whether the value keeps its limit (negative ones: is at least)."""
    good = value <= limit
    word = "at least" if limit < 0 else "limit"
    shown_value = -value if limit < 0 else value
    print(f"    {'ok  ' if good else 'MISS'} {what}: {shown_value:.2f} {unit} ({word} {abs(limit):g})")
    return good


if __name__ == "__main__":
    sys.exit(main())
