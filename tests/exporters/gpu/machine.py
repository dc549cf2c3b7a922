"""A machine with simulated GPUs, and the exporter as a process on it: the real nvidia-ml-py over the fake library."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from local.cluster import FAKE_NVML, get
from tests.fake_nvml.control import FakeNvml

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 30.0
CALL_DEADLINE_S = 1.0
# The exporter with short times: nobody waits five seconds for a hang here.
LAUNCH = f"""
import sys
from exporters.gpu import __main__, exporter
from exporters.gpu.nvml import events, reader
exporter.CALL_DEADLINE_S, exporter.INVENTORY_INTERVAL_S = {CALL_DEADLINE_S}, 0.3
reader.MIG_LOOK_S, reader.RETRY_S, events.PAUSE_S, events.HUNG_S = 0.2, 0.5, 0.2, 1.5
events.WAIT_MS = 1000
sys.exit(__main__.main(sys.argv[1:]))
"""
Sample = tuple[dict[str, str], str]


class Machine:
    """Its GPUs, its driver's library, and at most one exporter."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.library = folder / "lib"
        self.library.mkdir()
        self.gpus = FakeNvml(folder / "state.conf")
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def install_driver(self, library: Path = FAKE_NVML) -> None:
        """The driver's library appears, as it does when a container's runtime mounts it late."""
        assert library.exists(), "build it: make build/fake_nvml/libnvidia-ml.so.1"
        (self.library / "libnvidia-ml.so.1").symlink_to(library)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "LD_LIBRARY_PATH": str(self.library),
            "FAKE_NVML_STATE": str(self.gpus.path),
        }

    def run(self, *flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """The exporter until it ends by itself."""
        command = [sys.executable, "-m", "exporters.gpu", "--hostname=pod", *flags]
        environment = {**self.environment, **environ}
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60, check=False, cwd=self.folder
        )

    def once(self, *flags: str) -> str:
        """One exposition of all metrics."""
        done = self.run("--once", "--collectors=all", *flags)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, *flags: str) -> None:
        """Start the exporter and wait until it answers."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        command = [sys.executable, "-c", LAUNCH, f"--address=127.0.0.1:{self._port}", "--hostname=pod"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--collect-interval=100", *flags], env=self.environment, stderr=log
            )
        self.until("it answers", lambda: self.get("/metrics")[0] == 200)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        return get(f"http://127.0.0.1:{self._port}{path}")

    def text(self) -> str:
        """The exposition now."""
        return self.get("/metrics")[1]

    def value(self, name: str, **labels: str) -> float | None:
        """Of the only series with this name and these labels."""
        return value(self.text(), name, **labels)

    def until(self, what: str, ready: Callable[[], bool]) -> None:
        """Poll; on failure show the page and the log."""
        end = time.monotonic() + DEADLINE_S
        while not ready():
            assert time.monotonic() < end, f"{what}: not in {DEADLINE_S} s\n{self.text()}\n{self.log.read_text()}"
            time.sleep(0.02)

    def until_value(self, wanted: float | None, name: str, **labels: str) -> None:
        """Poll until a series has a value, or is absent."""
        self.until(f"{name} {labels} is {wanted}", lambda: self.value(name, **labels) == wanted)

    def threads(self) -> int:
        """Of the exporter."""
        assert self._process
        return len(list(Path(f"/proc/{self._process.pid}/task").iterdir()))

    def stop(self) -> None:
        """Kill it."""
        if self._process:
            self._process.kill()
            self._process.wait()


def samples(text: str, name: str, **labels: str) -> list[Sample]:
    """Labels and value of the series with this name and at least these labels."""
    found = []
    for line in text.splitlines():
        if matched := re.fullmatch(re.escape(name) + r"(?:\{(.*)\})? (\S+)", line):
            has = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', matched[1] or ""))
            if labels.items() <= has.items():
                found.append((has, matched[2]))
    return found


def value(text: str, name: str, **labels: str) -> float | None:
    """Of the only series with this name and these labels."""
    found = samples(text, name, **labels)
    assert len(found) <= 1, found
    return float(found[0][1]) if found else None
