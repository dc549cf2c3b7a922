"""The whole GPU exporter as a process, on the real nvidia-ml-py over the simulated library."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from local.cluster import FAKE_NVML, get
from tests.fake_nvml.control import FakeNvml

REPOSITORY = Path(__file__).resolve().parents[3]
GOLDEN = REPOSITORY / "tests/captures/gpu"
DEADLINE_S = 30.0


class Exporter:
    """A running exporter and the machine it sees."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "lib"
        self.library.mkdir()
        self.gpus = FakeNvml(folder / "state.conf")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def install_driver(self) -> None:
        """The driver's library appears, as it does when a container's runtime mounts it late."""
        assert FAKE_NVML.exists(), "build it: make build/fake_nvml/libnvidia-ml.so.1"
        (self.library / "libnvidia-ml.so.1").symlink_to(FAKE_NVML)

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),
            "LD_LIBRARY_PATH": str(self.library),
            "FAKE_NVML_STATE": str(self.gpus.path),
        }
        command = [sys.executable, "-m", "exporters.gpu", f"--address=127.0.0.1:{self.port}", "--hostname=pod"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen([*command, "--collect-interval=100"], env=environment, stderr=log)
        self.until("it answers", lambda: self.metrics()[0] == 200)

    def metrics(self) -> tuple[int, str]:
        """Status and text."""
        return get(f"http://127.0.0.1:{self.port}/metrics")

    def value(self, series: str) -> float | None:
        """Of the first series that begins so."""
        found = re.search(rf"^{re.escape(series)}.* (\S+)$", self.metrics()[1], re.MULTILINE)
        return float(found[1]) if found else None

    def until(self, what: str, ready: Callable[[], bool]) -> None:
        """Poll; on failure show the log."""
        end = time.monotonic() + DEADLINE_S
        while not ready():
            assert time.monotonic() < end, (
                f"{what}: not within {DEADLINE_S} s\n{self.metrics()}\n{self.log.read_text()}"
            )
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill it."""
        if self._process:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def exporter(tmp_path: Path) -> Iterator[Exporter]:
    made = Exporter(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("model", ["h100", "a100", "l40s", "rtx4090", "t4"])
def test_the_exposition_of_each_model_is_the_golden_one(exporter: Exporter, model: str) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": model}, {"model": model, "temperature": 55, "utilization_gpu": 97}])
    exporter.start()
    exporter.until("both GPUs are read", lambda: exporter.metrics()[1].count("\nDCGM_FI_DEV_GPU_TEMP{") == 2)
    text = re.sub(r"(gpu_watchdog_gpu_sample_age_seconds\{.*\}) .*", r"\1 0.001", exporter.metrics()[1])
    golden = GOLDEN / f"simulated-{model}.txt"
    if os.environ.get("UPDATE_CAPTURES"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text()
    assert list(text_string_to_metric_families(text))


def test_the_driver_may_come_later(exporter: Exporter) -> None:
    exporter.gpus.write(gpus=[{"model": "h100"}])
    exporter.start()
    assert exporter.value("gpu_watchdog_nvml_up") == 0
    assert "no NVIDIA driver here" in exporter.metrics()[1]
    exporter.install_driver()
    exporter.until("it is found", lambda: exporter.value("DCGM_FI_DEV_GPU_TEMP{") is not None)
    assert exporter.value("gpu_watchdog_nvml_up") == 1


def test_nvml_that_does_not_initialise_is_told_and_tried_again(exporter: Exporter) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": "h100"}], init_error="DRIVER_NOT_LOADED")
    exporter.start()
    assert exporter.value("gpu_watchdog_nvml_up") == 0
    exporter.gpus.update_machine(init_error=None)
    exporter.until("it works", lambda: exporter.value("gpu_watchdog_gpu_up{") == 1)


def test_nvml_that_hangs_at_its_start_is_told(exporter: Exporter) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": "h100"}], init_hang=1)
    exporter.start()
    exporter.until("it is told", lambda: "no answer for" in exporter.metrics()[1])
    exporter.gpus.update_machine(init_hang=None)
    exporter.until("it works", lambda: exporter.value("gpu_watchdog_gpu_up{") == 1)


def test_a_driver_that_was_reloaded_is_used_again(exporter: Exporter) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": "h100"}])
    exporter.start()
    exporter.until("it works", lambda: exporter.value("gpu_watchdog_gpu_up{") == 1)
    exporter.gpus.update_machine(error="UNINITIALIZED")
    exporter.until("it is gone", lambda: exporter.value("gpu_watchdog_gpu_up{") == 0)
    assert exporter.value("DCGM_FI_DEV_GPU_TEMP{") is None
    exporter.gpus.update_machine(error=None)
    exporter.until("it works again", lambda: exporter.value("gpu_watchdog_gpu_up{") == 1)


def test_impossible_readings_are_left_out(exporter: Exporter) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": "h100", "temperature": 255, "utilization_gpu": 101, "power_mw": "N/A"}])
    exporter.start()
    exporter.until("it is read", lambda: exporter.value("DCGM_FI_DEV_SM_CLOCK{") is not None)
    for metric in ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_POWER_USAGE"):
        assert metric not in exporter.metrics()[1]
    assert exporter.value("gpu_watchdog_gpu_up{") == 1


def test_gpus_come_and_go(exporter: Exporter) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": "h100"}])
    exporter.start()
    exporter.until("one", lambda: exporter.value("gpu_watchdog_gpus") == 1)
    exporter.gpus.write(gpus=[{"model": "h100"}, {"model": "h100"}])
    exporter.until("two", lambda: exporter.metrics()[1].count("\nDCGM_FI_DEV_GPU_TEMP{") == 2)
    exporter.gpus.write(gpus=[{"model": "h100"}])
    exporter.until("one", lambda: exporter.metrics()[1].count("\ngpu_watchdog_gpu_up{") == 1)


def test_a_gpu_that_refuses_every_call_is_not_up(exporter: Exporter) -> None:
    exporter.install_driver()
    exporter.gpus.write(gpus=[{"model": "h100"}])
    exporter.start()
    exporter.until("it works", lambda: exporter.value("gpu_watchdog_gpu_up{") == 1)
    exporter.gpus.update(0, error="NO_PERMISSION")
    exporter.until("it is told", lambda: exporter.value("gpu_watchdog_gpu_up{") == 0)
