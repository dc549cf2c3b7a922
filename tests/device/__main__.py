"""Runs the exporter beside nvidia-smi under load, compares, and keeps a capture: make device-test."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from local.cluster import get
from tests.device import compare

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 30.0
WARM_UP_S = 3.0
"""For which a load must have run: averages of the last second have to be full of it."""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="device-test")
    made.add_argument("--rounds", type=int, default=10)
    made.add_argument("--no-load", action="store_true")
    made.add_argument(
        "--capture", type=Path, default=Path(os.environ.get("CAPTURE") or ROOT / "build/device/capture.json")
    )
    return made


def nvidia_smi() -> str:
    """Raises OSError and CalledProcessError."""
    command = ["nvidia-smi", f"--query-gpu={compare.QUERY}", "--format=csv,noheader,nounits"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def poll(what: str, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"device-test: {what}: not in {DEADLINE_S:.0f} s")
        time.sleep(0.05)


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        readings = compare.of_nvidia_smi(nvidia_smi())
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        why = error.output.strip() if isinstance(error, subprocess.CalledProcessError) and error.output else error
        sys.exit(f"device-test: there is no NVIDIA GPU here: {' '.join(str(why).split())}")
    if not readings:
        sys.exit("device-test: there is no NVIDIA GPU here: nvidia-smi lists none")
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    exporter = [sys.executable, "-m", "exporters.gpu", "--collectors=all"]
    started = [subprocess.Popen([*exporter, f"--address={address}", "--collect-interval=200"], cwd=ROOT)]
    try:
        poll(
            "the exporter has all GPUs",
            lambda: compare.of_page(get(f"http://{address}/metrics")[1]).keys() >= readings.keys(),
        )
        load = None if arguments.no_load else start_load(arguments.rounds)
        if load:
            started.append(load)
        wrong, texts = rounds(arguments.rounds, f"http://{address}/metrics")
    finally:
        for process in started:
            process.kill()
            process.wait()
    arguments.capture.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*exporter, f"--capture={arguments.capture}"], cwd=ROOT, check=True, timeout=120)
    print(f"capture: {arguments.capture}")
    # What differs in single rounds changed between the two pages' samples and nvidia-smi's.
    lasting = [name for name, count in wrong.items() if 2 * count > arguments.rounds]
    for name in lasting:
        print(f"{name}: {texts[name]} ({wrong[name]} of {arguments.rounds} rounds)")
    print(f"{len(readings)} GPUs, {len(compare.FIELDS)} readings, {len(lasting)} differ")
    return 1 if lasting else 0


def start_load(rounds: int) -> subprocess.Popen[bytes] | None:
    """By whatever Python here has torch; None where none has."""
    for python in (sys.executable, *filter(None, map(shutil.which, ("python3", "python")))):
        seconds = str(WARM_UP_S + 10 * rounds)
        process = subprocess.Popen([python, ROOT / "tests/device/load.py", seconds], stderr=subprocess.DEVNULL)
        try:
            process.wait(20 + WARM_UP_S)
        except subprocess.TimeoutExpired:
            print(f"load: matrices by {python}")
            return process
    print("load: none, no Python here has torch; the GPUs are compared as they are")
    return None


def rounds(count: int, url: str) -> tuple[Counter[str], dict[str, str]]:
    """How often each reading differed, and how it did last."""
    wrong: Counter[str] = Counter()
    texts: dict[str, str] = {}
    for _ in range(count):
        before = compare.of_page(get(url)[1])
        smi = compare.of_nvidia_smi(nvidia_smi())
        after = compare.of_page(get(url)[1])
        found = compare.differences(before, smi, after)
        wrong.update(found.keys())
        texts.update(found)
    return wrong, texts


if __name__ == "__main__":
    sys.exit(main())
