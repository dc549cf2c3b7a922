"""The NVML probe as the boot runs it, over the simulated library."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.gpus import Gpu, GpuProbe, Search
from local.cluster import FAKE_NVML
from tests.fake_nvml.control import FakeNvml


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeNvml:
    assert FAKE_NVML.exists(), "build it: make build/fake_nvml/libnvidia-ml.so.1"
    monkeypatch.setenv("LD_LIBRARY_PATH", str(FAKE_NVML.parent))
    monkeypatch.setenv("FAKE_NVML_STATE", str(tmp_path / "state.conf"))
    return FakeNvml(tmp_path / "state.conf")


def test_gpus_are_listed(machine: FakeNvml) -> None:
    machine.write(gpus=[{"model": "h100", "uuid": "GPU-1"}, {"model": "t4", "uuid": "GPU-2"}])
    found = Search().result(30)
    assert found.error == ""
    assert [gpu.uuid for gpu in found.gpus] == ["GPU-1", "GPU-2"]
    assert found.gpus[0] == Gpu(0, "GPU-1", "NVIDIA H100 80GB HBM3", found.gpus[0].memory_mb)
    assert 70_000 < found.gpus[0].memory_mb < 90_000


def test_nothing_is_taken_from_the_working_directory_or_pythonpath(
    machine: FakeNvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bootstrap").mkdir()
    for name in ("bootstrap/__init__.py", "bootstrap/gpus.py", "pynvml.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('not ours')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    machine.write(gpus=[{"model": "h100", "uuid": "GPU-1"}])
    found = Search().result(30)
    assert (found.error, [gpu.uuid for gpu in found.gpus]) == ("", ["GPU-1"])


def test_no_gpu_is_no_error(machine: FakeNvml) -> None:
    machine.write(gpus=[])
    assert Search().result(30) == GpuProbe()


def test_no_driver_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert Search().result(30) == GpuProbe()


def test_a_driver_that_fails_is_told(machine: FakeNvml) -> None:
    machine.write(gpus=[{"model": "h100"}], init_error="DRIVER_NOT_LOADED")
    assert "river" in Search().result(30).error


def test_a_driver_that_hangs_is_left_behind(machine: FakeNvml) -> None:
    machine.write(gpus=[{"model": "h100"}], init_hang=1)
    assert Search().result(1).error == "the driver did not answer within 1 s"
