"""Captures of several models -> their expositions (tests/captures/gpu/README.md)."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import render
from exporters.gpu import collect, show
from exporters.gpu.catalogue import load
from tests.exporters.gpu.machine import ROOT, Machine
from tests.fake_nvml.control import Value

FOLDER = ROOT / "tests/captures/gpu"
METRICS = load((ROOT / "conf/gpu-metrics.yaml").read_text(), "conf")
MODELS: dict[str, list[dict[str, Value]]] = {
    "simulated-h100": [{"model": "h100"}, {"model": "h100", "temperature": 55, "utilization_gpu": 97}],
    "simulated-h100-mig": [{"model": "h100", "mig_mode": 1, "mig": "0:1g.10gb:7 1:2g.20gb:3"}],
    "simulated-a100": [{"model": "a100"}, {"model": "a100", "error": "GPU_IS_LOST"}],
    "simulated-rtx4090": [{"model": "rtx4090", "power_mw": 431000}],
    "simulated-rtx3090": [{"model": "rtx3090", "fan_speed": 62}],
}


def exposition(capture: str) -> str:
    """Without what tells this exporter's version from another's."""
    rendered = render(collect.families(show.from_capture(capture), METRICS)).decode()
    return re.sub(r"(gpu_exporter_build_info)\{.*\}", r"\1{}", rendered)


def golden(path: Path, text: str) -> None:
    """Compare with a file, or write it where UPDATE_CAPTURES says so."""
    if os.environ.get("UPDATE_CAPTURES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_captured_as_it_was(machine: Machine, name: str, tmp_path: Path) -> None:
    machine.gpus.write(gpus=MODELS[name])
    path = tmp_path / "capture.json"
    done = machine.run("--collectors=all", f"--capture={path}")
    assert (done.returncode, done.stdout) == (0, "")
    capture = path.read_text()
    assert "fa4e" not in capture
    assert "pod" not in capture
    golden(FOLDER / f"{name}.json", capture)
    golden(FOLDER / f"{name}.txt", exposition(capture))


def test_every_capture_has_its_exposition() -> None:
    captures = {path.stem: path for path in FOLDER.glob("*.json")}
    assert captures.keys() == {path.stem for path in FOLDER.glob("*.txt")} >= MODELS.keys()
    for name, path in captures.items():
        text = exposition(path.read_text())
        assert (FOLDER / f"{name}.txt").read_text() == text
        assert len(list(text_string_to_metric_families(text))) == text.count("# TYPE ")


# In dcgm-exporter's order (internal/pkg/rendermetrics).
LABELS = re.compile(
    r'gpu="(\d+)",UUID="GPU-[^"]+",pci_bus_id="[0-9A-F]{8}:[0-9A-F]{2}:[0-9A-F]{2}\.0",device="nvidia\1",modelName="[^"]+",'
    r'(GPU_I_PROFILE="[^"]+",GPU_I_ID="\d+",)?Hostname="host",(?P<metrics>(?:DCGM_FI_\w+="[^"]*",?)+)'
)
PRINTED = {"integer": re.compile(r"\d+"), "double": re.compile(r"\d+\.\d{6}")}


@pytest.mark.parametrize("name", MODELS)
def test_labels_and_values_are_written_as_dcgm_exporter_does(name: str) -> None:
    by_name = {metric.name: metric for metric in METRICS}
    of_type_label = {metric.name for metric in METRICS if metric.type == "label"}
    lines = [line for line in (FOLDER / f"{name}.txt").read_text().splitlines() if line.startswith("DCGM_")]
    assert len(lines) > 20
    for line in lines:
        metric, _, rest = line.partition("{")
        labels, _, value = rest.rpartition("} ")
        found = LABELS.fullmatch(labels)
        assert found, line
        names = re.findall(r'(\w+)="', found["metrics"])
        assert names == sorted(names)
        assert set(names) <= of_type_label
        assert PRINTED[by_name[metric].print].fullmatch(value), line


def test_a_capture_shows_what_was_served(machine: Machine, tmp_path: Path) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "mig_mode": 1, "mig": "0:1g.10gb:7", "processes": "4242:2048:C"}])
    path = tmp_path / "capture.json"
    assert machine.run("--collectors=all", "--process-metrics", f"--capture={path}").returncode == 0
    masked = re.compile(r'UUID="[^"]*"|pci_bus_id="[^"]*"|Hostname="[^"]*"|pid="\d+",process_name="[^"]*"|SERIAL="\d*"')
    lines = [
        [masked.sub("", line) for line in text.splitlines() if not re.search(r"nvml_call|sample_age|build_info", line)]
        for text in (exposition(path.read_text()), machine.once("--process-metrics"))
    ]
    assert lines[0] == lines[1]
