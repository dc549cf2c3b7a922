"""An nvidia-ml-py that is older than the exporter (build/old_bindings), before and after today's drivers."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pynvml
import pytest

from exporters.gpu.catalogue import load
from exporters.gpu.nvml import resolve
from local.cluster import FAKE_NVML
from tests.exporters.gpu.machine import ROOT, Machine, samples, value
from tests.fake_nvml.control import Value

BINDINGS = ROOT / "build/old_bindings"
LISTS = sorted((ROOT / "tests/exporters/gpu/old_bindings").glob("*.txt"))
# Of the oldest: what it has no function for.
WITHOUT_GPM = re.compile(r"DCGM_FI_PROF_(?!(PCIE|NVLINK)_[TR]X_BYTES)\w+")
# Asked for where nvmlGpmQueryDeviceSupport says that there is GPM.
ONLY_WITH_GPM = {"c_nvmlGpmMetricsGet_t"}
PROFILING = re.compile(r"DCGM_FI_PROF_\w+")


class Old(Machine):
    """A machine whose environment has other bindings first."""

    bindings = BINDINGS

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": f"{self.bindings}:{ROOT}"}


@pytest.fixture(params=[path.stem for path in LISTS])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Old:
    folder = tmp_path / "old"
    folder.mkdir()
    made = Old(folder)
    made.bindings = BINDINGS / request.param
    assert made.bindings.exists(), "install them: make build/old_bindings/.ready"
    return made


def names(text: str) -> set[str]:
    return {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}


def test_what_they_lack_is_absent_and_named_once(old: Old, machine: Machine) -> None:
    gpu: dict[str, Value] = {
        "model": "h100",
        "processes": "7:2048:C",
        "pcie_tx_bytes": 5,
        "violation_sw_thermal_ns": 2_000_000_000,
    }
    old.install_driver()
    for one in (machine, old):
        one.gpus.write(gpus=[gpu, {"model": "a100"}], driver_version="580.65.06")
    newest = machine.once("--process-metrics")
    done = old.run("--once", "--collectors=all", "--process-metrics")
    assert done.returncode == 0, done.stderr
    text = done.stdout
    profiles = old.bindings.name.startswith("12")
    assert names(newest) - names(text) == (
        set() if profiles else {name for name in names(newest) if WITHOUT_GPM.fullmatch(name)}
    )
    others = [line for line in newest.splitlines() if re.match("DCGM_", line) and not PROFILING.match(line)]
    assert [line for line in others if line not in text.splitlines()] == []
    assert value(text, "gpu_watchdog_gpu_throttle_seconds_total", gpu="0", reason="sw_thermal") == 2
    assert value(text, "gpu_watchdog_gpu_process_memory_bytes", pid="7") == 2048
    (line,) = (line for line in done.stderr.splitlines() if "nvidia-ml-py" in line)
    assert f"WARNING nvidia-ml-py {old.bindings.name}." in line
    assert "NVML_FI_DEV_PCIE_COUNT_TX_BYTES" in line
    assert ("nvmlGpmSampleGet" in line) == (not profiles)
    assert "nvidia-ml-py" not in machine.run("--once").stderr


def test_an_old_driver_under_old_bindings(old: Old) -> None:
    old.install_driver(FAKE_NVML.parent / "old" / FAKE_NVML.name)
    old.gpus.write(gpus=[{"model": "t4", "clocks_event_reasons": 4, "processes": "1:2048:C"}])
    text = old.once("--process-metrics")
    assert value(text, "gpu_watchdog_gpu_up") == 1
    assert value(text, "DCGM_FI_DEV_CLOCKS_EVENT_REASONS") == 4
    assert value(text, "DCGM_FI_DEV_FB_TOTAL")
    assert not samples(text, "DCGM_FI_DEV_FB_USED")


def test_an_old_driver_under_the_newest_bindings_goes_on(bare: Machine) -> None:
    bare.install_driver(FAKE_NVML.parent / "old" / FAKE_NVML.name)
    bare.gpus.write(gpus=[{"model": "t4", "temperature": 40}, {"model": "t4", "temperature": 41}])
    bare.start("--collectors=all", "--process-metrics")
    bare.until_value(41, "DCGM_FI_DEV_GPU_TEMP", gpu="1")
    bare.gpus.update(0, temperature=47)
    bare.until_value(47, "DCGM_FI_DEV_GPU_TEMP", gpu="0")
    assert bare.get("/health") == (200, "ok\n")
    text = bare.text()
    refused = samples(text, "gpu_watchdog_nvml_call_errors_total", error="FUNCTION_NOT_FOUND")
    assert {labels["call"] for labels, _ in refused} >= {"nvmlDeviceGetMigMode", "nvmlDeviceGetMemoryInfo"}
    assert not samples(text, "DCGM_FI_DEV_FB_USED")


def test_old_bindings_go_on(old: Old) -> None:
    old.install_driver()
    old.gpus.write(gpus=[{"model": "h100"}])
    try:
        old.start("--collectors=all")
        old.gpus.update(0, temperature=48)
        old.until_value(48, "DCGM_FI_DEV_GPU_TEMP")
        assert old.get("/health") == (200, "ok\n")
        assert old.log.read_text().count("is older than this exporter") == 1
    finally:
        old.stop()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nvmlDeviceGetTemprature(0)", "has no function nvmlDeviceGetTemprature; this one is"),
        ("field(NVML_FI_DEV_TEMPERATRUE)", "has no constant NVML_FI_DEV_TEMPERATRUE (field); this one is"),
    ],
)
def test_a_typo_is_an_error_there_too(old: Old, tmp_path: Path, value: str, words: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"metrics: [{{name: mine, type: gauge, help: M., value: '{value}'}}]")
    done = old.run("--once", "-f", str(path))
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def bindings(folder: Path) -> ModuleType:
    """Loaded beside the installed ones."""
    name = f"pynvml_of_{folder.name.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, folder / "pynvml.py")
    assert spec and spec.loader
    sys.modules[name] = made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.parametrize("list", LISTS, ids=lambda path: path.stem)
def test_all_that_they_lack_is_made_up_for(list: Path) -> None:
    """Every name that the catalogue and the edge use."""
    edge = "".join(path.read_text() for path in (ROOT / "exporters/gpu/nvml").glob("*.py") if path.name != "resolve.py")
    used = set(re.findall(r"\bpynvml\.(\w+)", edge)) | set(re.findall(r"\bNVML_\w+", edge)) & vars(pynvml).keys()
    for metric in load((ROOT / "conf/gpu-metrics.yaml").read_text(), "conf"):
        for one in metric.values:
            used |= set(re.findall(r"\b(?:nvml|NVML_)\w+", one.text))
    lacking = used - vars(bindings(BINDINGS / list.stem)).keys()
    made_up = resolve.NEWER_NUMBERS.keys() | {*resolve.NEWER_FUNCTIONS, *resolve.NEWER_ERRORS}
    assert lacking - made_up - ONLY_WITH_GPM == set()
    if list == LISTS[0]:
        assert made_up <= lacking, "older than any that is tried"


def test_the_numbers_are_those_of_the_installed_ones() -> None:
    assert resolve.LACKING == ()
    assert {name: getattr(pynvml, name) & 0xFFFF for name in resolve.NEWER_NUMBERS} == resolve.NEWER_NUMBERS
    assert all(callable(getattr(pynvml, name)) for name in resolve.NEWER_FUNCTIONS)


def test_the_version_to_install_is_the_one_that_is_required() -> None:
    (required,) = re.findall(r"nvidia-ml-py >= ([\d.]+)", (ROOT / "setup.cfg").read_text())
    assert f"install nvidia-ml-py {required} or later" in Path(resolve.__file__).read_text()
