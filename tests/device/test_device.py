"""How the device test judges, on made-up readings and on simulated GPUs; it itself needs a real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.device import compare
from tests.device.compare import FIELDS, differences, of_nvidia_smi, of_page
from tests.exporters.gpu.machine import ROOT, Machine

UUID = "GPU-1"
STAND_IN = """#!{python}
import sys
values = {values!r}
query = next(word for word in sys.argv if word.startswith("--query-gpu=")).partition("=")[2].split(",")
for gpu in values:
    print(", ".join(gpu.get(name, "[N/A]") for name in query))
"""


def page(metric: str, value: float | None) -> dict[str, dict[str, float | None]]:
    return {UUID: {metric: value} if value is not None else {}}


def smi(query: str, value: float | None) -> dict[str, dict[str, float | None]]:
    return {UUID: {**dict.fromkeys((field.query for field in FIELDS), None), query: value}}


@pytest.mark.parametrize(
    ("before", "between", "after", "wrong"),
    [
        (50, 50, 50, False),
        (50, 55, 60, False),
        (60, 55, 50, False),
        (50, 52.9, 50, False),
        (50, 53, 50, True),
        (50, 48, 50, False),
        (50, 47, 50, True),
        (None, 50, 50, False),  # the GPU was read in between for the first time
        (None, 50, None, True),
        (50, None, 50, True),
        (None, None, None, False),
    ],
)
def test_temperature(before: float | None, between: float | None, after: float | None, wrong: bool) -> None:
    metric, query = "DCGM_FI_DEV_GPU_TEMP", "temperature.gpu"
    found = differences(page(metric, before), smi(query, between), page(metric, after))
    assert list(found) == ([f"{UUID} {metric}"] if wrong else [])


def test_a_gpu_that_one_of_them_lacks() -> None:
    assert differences({}, smi("pstate", 0), {}) == {UUID: "the exporter does not show it"}
    shown = page("DCGM_FI_DEV_PSTATE", 0)
    assert differences(shown, {}, shown) == {UUID: "nvidia-smi does not show it"}


def test_nvidia_smis_words() -> None:
    values = ["N/A" if field.query != "pstate" else "P8" for field in FIELDS]
    values[0], values[1], values[2] = "44", "[Not Supported]", "71.25"
    readings = of_nvidia_smi(f"{UUID}, {', '.join(values)}\n")[UUID]
    assert {name: value for name, value in readings.items() if value is not None} == {
        "temperature.gpu": 44,
        "power.draw": 71.25,
        "pstate": 8,
    }
    with pytest.raises(ValueError, match="No devices"):
        of_nvidia_smi("No devices were found\n")


def test_instances_are_no_gpus() -> None:
    text = (
        'DCGM_A{gpu="0",UUID="GPU-1",Hostname="h"} 5\nDCGM_A{gpu="0",UUID="GPU-1",GPU_I_ID="3"} 7\nother{UUID="x"} 1\n'
    )
    assert of_page(text) == {"GPU-1": {"DCGM_A": 5.0}}


def test_every_metric_compared_is_one() -> None:
    text = (ROOT / "conf/gpu-metrics.yaml").read_text()
    assert [field.metric for field in FIELDS if f"name: {field.metric}," not in text] == []
    assert len({field.query for field in FIELDS}) == len({field.metric for field in FIELDS}) == len(FIELDS)


def device_test(machine: Machine, gpus: list[dict[str, str]], *flags: str) -> subprocess.CompletedProcess[str]:
    """On simulated GPUs, with a stand-in for nvidia-smi that prints these readings."""
    programs = machine.folder / "bin"
    programs.mkdir(exist_ok=True)
    path = programs / "nvidia-smi"
    path.write_text(STAND_IN.format(python=sys.executable, values=gpus))
    path.chmod(0o755)
    environment = {**machine.environment, "PATH": f"{programs}:/usr/bin:/bin"}
    command = [sys.executable, "-m", "tests.device", "--rounds=2", "--no-load", *flags]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_simulated_gpus(machine: Machine, tmp_path: Path) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "temperature": 61, "power_mw": 400000}])
    uuid = "GPU-fa4e0000-0000-4000-8000-000000000000"
    capture = tmp_path / "capture.json"
    page = of_page(machine.once())[uuid]
    same = {field.query: f"{page[field.metric]:g}" for field in FIELDS if field.metric in page}
    assert len(same) > 15
    done = device_test(machine, [{**same, "uuid": uuid}], f"--capture={capture}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"1 GPUs, {len(FIELDS)} readings, 0 differ\n")
    assert "DCGM_FI_DEV_GPU_TEMP" in capture.read_text()
    done = device_test(machine, [{**same, "uuid": uuid, "temperature.gpu": "70"}], f"--capture={capture}")
    assert done.returncode == 1
    assert f"{uuid} DCGM_FI_DEV_GPU_TEMP: 61 before and 61 after, nvidia-smi says 70 (2 of 2 rounds)" in done.stdout


def test_without_a_gpu_it_says_so_in_one_line(bare: Machine) -> None:
    done = device_test(bare, [])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "device-test: there is no NVIDIA GPU here: nvidia-smi lists none\n"
    (bare.folder / "bin/nvidia-smi").write_text("#!/bin/sh\necho No devices were found; exit 6\n")
    done = subprocess.run(
        [sys.executable, "-m", "tests.device"],
        env={**bare.environment, "PATH": f"{bare.folder / 'bin'}:/usr/bin:/bin"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.stderr == "device-test: there is no NVIDIA GPU here: No devices were found\n"
    assert compare.QUERY.startswith("uuid,")
