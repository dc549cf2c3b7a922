"""XIDs chosen alone: once, listed, and as a page of a running exporter has them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporters.exposition import render
from exporters.gpu import collect, show
from exporters.gpu.catalogue import load
from exporters.gpu.sample import GpuSample, GpuState, Identity, Snapshot, XidEvents
from exporters.gpu.xid import meaning
from tests.exporters.gpu.machine import Machine, samples, value

XID = "DCGM_FI_DEV_XID_ERRORS"
CATALOGUE = f"metrics: [{{name: {XID}, type: gauge, help: Last XID., value: xid()}}]"
LABELS = (
    'gpu="0",UUID="GPU-fa4e0000-0000-4000-8000-000000000000",pci_bus_id="00000000:1A:00.0",device="nvidia0",'
    'modelName="NVIDIA H100 80GB HBM3",Hostname="pod"'
)
SHORT = 'gpu="0",UUID="GPU-fa4e0000-0000-4000-8000-000000000000"'
PAGE = f"""\
# HELP {XID} Last XID.
# TYPE {XID} gauge
{XID}{{{LABELS},err_code="94",err_msg="Contained ECC error"}} 94
# HELP gpu_watchdog_gpu_xid_events_total XID events by code since this exporter started.
# TYPE gpu_watchdog_gpu_xid_events_total counter
gpu_watchdog_gpu_xid_events_total{{{SHORT},xid="79"}} 1
gpu_watchdog_gpu_xid_events_total{{{SHORT},xid="94"}} 2
# HELP gpu_watchdog_gpu_xid_last_timestamp_seconds Unix time of the last XID event of a code.
# TYPE gpu_watchdog_gpu_xid_last_timestamp_seconds gauge
gpu_watchdog_gpu_xid_last_timestamp_seconds{{{SHORT},xid="79"}} TIME
gpu_watchdog_gpu_xid_last_timestamp_seconds{{{SHORT},xid="94"}} TIME
"""


def of_xids(text: str) -> str:
    """The lines of these families, without times."""
    lines = [
        re.sub(r"^(\w+_last_timestamp_seconds\{.*\}) [\d.]+$", r"\1 TIME", line)
        for line in text.splitlines(keepends=True)
        if re.match(rf"(# (HELP|TYPE) )?({XID}|gpu_watchdog_gpu_xid_)", line)
    ]
    return "".join(lines)


@pytest.fixture
def catalogue(tmp_path: Path) -> str:
    path = tmp_path / "xid.yaml"
    path.write_text(CATALOGUE)
    return f"--collectors={path}"


def test_a_page(machine: Machine, catalogue: str) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}])
    machine.start(catalogue)
    machine.until_value(0, XID)
    for code in (79, 94, 94):
        before = machine.value("gpu_watchdog_gpu_xid_events_total", xid=str(code)) or 0
        machine.gpus.raise_xid(0, code)
        machine.until_value(before + 1, "gpu_watchdog_gpu_xid_events_total", xid=str(code))
    assert of_xids(machine.text()) == PAGE


def test_a_capture_keeps_them_without_their_times() -> None:
    identity = Identity(0, "GPU-fa4e0000-0000-4000-8000-000000000000", "00000000:1A:00.0", "NVIDIA H100 80GB HBM3")
    events = XidEvents(94, {79: 1, 94: 2}, {79: 1700000000.5, 94: 1700000001.5})
    snapshot = Snapshot("pod", "", "570.1", (GpuState(identity, GpuSample(), "", 0.1, 0, xids=events),), shown=1)
    metrics = load(CATALOGUE, "test")
    assert of_xids(render(collect.families(snapshot, metrics)).decode()) == PAGE
    captured = show.capture(snapshot)
    assert "1700000000" not in captured
    again = show.from_capture(captured)
    assert again.gpus[0].xids == XidEvents(94, {79: 1, 94: 2}, {79: 0.0, 94: 0.0})
    text = of_xids(render(collect.families(again, metrics)).decode())
    assert samples(text, XID, err_code="94", err_msg="Contained ECC error")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "Invalid or corrupted push buffer stream"),
        (44, "Graphics Engine fault during context switch"),
        (77, "Copy engine CE8 error"),
        (98, "NVDEC7 Error"),
        (105, "NVJPG7 Error"),
        (145, "NVLINK: RLW Error"),
        (158, "GPU Fatal Timeout"),
        (5, "Unknown Error"),
        (106, "Unknown Error"),
        (9999, "Unknown Error"),
    ],
)
def test_meaning(code: int, words: str) -> None:
    assert meaning(code) == words


def test_once_has_none_as_nobody_has_listened(machine: Machine, catalogue: str) -> None:
    """There is no history to ask for: a 0 would be a claim."""
    machine.gpus.write(gpus=[{"model": "h100", "xid": "79", "xid_seq": 3}])
    done = machine.run("--once", catalogue)
    assert (done.returncode, done.stderr) == (0, "")
    assert XID not in done.stdout
    assert value(done.stdout, "gpu_watchdog_xid_events_up") == 0
    assert value(done.stdout, "gpu_watchdog_gpu_up") == 1


def test_list_has_its_source(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}, {"model": "a100"}])
    rows = {line.split()[0]: line.split()[1:] for line in machine.run("--list").stdout.splitlines()}
    assert rows[XID] == ["default", "xid()", "?", "(events", "tell)"]


def test_a_gpu_that_tells_of_none_beside_one_that_does(machine: Machine, catalogue: str) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "event_types": 0}, {"model": "h100"}])
    machine.start(catalogue)
    machine.until_value(0, XID, gpu="1")
    machine.gpus.raise_xid(1, 31)
    machine.until_value(31, XID, gpu="1", err_msg="GPU memory page fault")
    assert samples(machine.text(), XID, gpu="0") == []
    assert machine.value("gpu_watchdog_xid_events_up") == 1


def test_the_xid_of_a_gpu_that_is_lost_at_once(machine: Machine, catalogue: str) -> None:
    """It does not answer any more when its event is looked at."""
    machine.gpus.write(gpus=[{"model": "h100"}, {"model": "h100"}])
    machine.start(catalogue)
    machine.until_value(0, XID, gpu="1")
    machine.gpus.update(1, xid="79", xid_seq=1, error="GPU_IS_LOST")
    machine.until_value(1, "gpu_watchdog_gpu_xid_events_total", gpu="1", xid="79")
    assert not samples(machine.text(), "gpu_watchdog_xid_events_unattributed_total")


@pytest.mark.parametrize("error", ["GPU_IS_LOST", "NO_PERMISSION", "UNKNOWN"])
def test_a_gpu_that_refuses_to_be_listened_to_is_asked_again(machine: Machine, catalogue: str, error: str) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "error.nvmlDeviceRegisterEvents": error}, {"model": "h100"}])
    machine.start(catalogue)
    machine.until_value(0, XID, gpu="1")
    machine.gpus.raise_xid(1, 31)
    machine.until_value(31, XID, gpu="1")
    assert machine.value("gpu_watchdog_xid_events_up") == 0
    assert machine.log.read_text().count("XID events: GPU 0 GPU-") == 1
    machine.gpus.update(0, **{"error.nvmlDeviceRegisterEvents": None})
    machine.until_value(1, "gpu_watchdog_xid_events_up")
    machine.gpus.raise_xid(0, 13)
    machine.until_value(13, XID, gpu="0")
    assert machine.value("gpu_watchdog_gpu_xid_events_total", gpu="1", xid="31") == 1
