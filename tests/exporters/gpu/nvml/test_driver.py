"""The driver as one process sees it: absent, failing, hanging, reloaded; and GPUs that do not say who they are."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.exporters.gpu.nvml.edge import Edge
from tests.fake_nvml.control import Value

NO_LIBRARY = "no NVIDIA driver here (libnvidia-ml.so.1 is not found)"


def indexes(inventory: dict[str, Any]) -> list[int]:
    return [gpu["index"] for gpu in inventory["gpus"]]


def test_who_is_there(edge: Edge) -> None:
    edge.gpus.write(gpus=[{}, {"model": "a100"}], driver_version="570.1")
    inventory = edge.inventory()
    assert (inventory["driver_version"], inventory["unreadable"]) == ("570.1", {})
    first, second = inventory["gpus"]
    assert (first["index"], first["model"]) == (0, "NVIDIA H100 80GB HBM3")
    assert (second["index"], second["pci_bus_id"]) == (1, "00000000:25:00.0")
    assert first["uuid"] != second["uuid"]


def test_no_gpu_is_no_error(edge: Edge) -> None:
    edge.gpus.write()
    assert edge.inventory()["gpus"] == []
    edge.gpus.write(gpus=[{}])
    assert indexes(edge.inventory()) == [0]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("DRIVER_NOT_LOADED", "Driver Not Loaded"),
        ("NO_PERMISSION", "Insufficient Permissions"),
        ("LIB_RM_VERSION_MISMATCH", "RM has detected an NVML/RM version mismatch."),
        ("UNKNOWN", "Unknown Error"),
        ("GPU_IS_LOST", "GPU is lost"),
    ],
)
def test_init_that_fails_is_tried_again_each_time(edge: Edge, error: Value, words: str) -> None:
    edge.gpus.write(gpus=[{}], init_error=error)
    for _ in range(3):
        assert edge.error("inventory") == words
    edge.gpus.update_machine(init_error=None)
    assert indexes(edge.inventory()) == [0]
    assert edge.values() == {"temperature": "34"}


def test_init_that_hangs_goes_on_when_it_returns(edge: Edge, tmp_path: Path) -> None:
    """It cannot be broken off; the thread that waits for it is the one that has the answer."""
    edge.gpus.write(gpus=[{}], init_hang=1)
    began = time.monotonic()
    child = os.fork()
    if child == 0:  # this process waits for the answer below
        try:
            while time.monotonic() < began + 0.3:
                os.sched_yield()
            edge.gpus.update_machine(init_hang=None)
        finally:
            os._exit(0)
    assert indexes(edge.inventory()) == [0]
    assert time.monotonic() - began >= 0.3
    os.waitpid(child, 0)


@pytest.mark.parametrize(
    "error", ["UNINITIALIZED", "DRIVER_NOT_LOADED", "LIB_RM_VERSION_MISMATCH"], ids=lambda error: str(error).lower()
)
def test_a_driver_that_goes_is_started_anew(edge: Edge, error: str) -> None:
    edge.gpus.write(gpus=[{}, {}])
    assert edge.values(1) == {"temperature": "34"}
    edge.gpus.update_machine(error=error)
    assert edge.error("sample", edge.uuid(0))
    assert edge.error("sample", edge.uuid(1)) == "the driver was unloaded"
    assert edge.error("inventory")
    edge.gpus.update_machine(error=None)
    edge.gpus.reload_driver()
    edge.gpus.update(1, temperature=44)
    assert edge.error("sample", edge.uuid(1)) == "the driver was unloaded"
    assert indexes(edge.inventory()) == [0, 1]
    assert edge.values(1) == {"temperature": "44"}
    assert edge.values(0) == {"temperature": "34"}


def test_readers_of_before_a_reload_go_on_after_it(edge: Edge) -> None:
    edge.gpus.write(gpus=[{}])
    for temperature in (41, 42, 43):
        edge.gpus.update(0, temperature=temperature)
        edge.inventory()
        assert edge.values() == {"temperature": str(temperature)}
        edge.gpus.reload_driver()
        assert edge.error("sample", edge.uuid(0))


@pytest.mark.parametrize("call", ["nvmlDeviceGetHandleByIndex", "nvmlDeviceGetUUID", "nvmlDeviceGetName"])
def test_one_that_does_not_say_who_it_is_hides_no_other(edge: Edge, call: str) -> None:
    edge.gpus.write(gpus=[{}, {f"error.{call}": "UNKNOWN"}, {}])
    inventory = edge.inventory()
    assert indexes(inventory) == [0, 2]
    assert inventory["unreadable"] == {"1": "Unknown Error"}
    edge.gpus.update(1, **{f"error.{call}": None})
    assert indexes(edge.inventory()) == [0, 1, 2]


def test_one_that_hangs_hides_no_other_and_is_not_asked_twice(edge: Edge) -> None:
    edge.gpus.write(gpus=[{"hang.nvmlDeviceGetHandleByIndex": 1}, {}])
    edge.open(deadline=0.3)
    for _ in range(3):
        inventory = edge.inventory()
        assert indexes(inventory) == [1]
        assert inventory["unreadable"] == {"0": "no answer from nvmlDeviceGetHandleByIndex"}
    edge.gpus.update(0, **{"hang.nvmlDeviceGetHandleByIndex": None})
    edge.until("it is back", "inventory", has=lambda found: indexes(found) == [0, 1])


def test_labels(edge: Edge) -> None:
    edge.open(kind="label", serial="nvmlDeviceGetSerial()", driver="nvmlSystemGetDriverVersion()")
    edge.gpus.write(gpus=[{"serial": 17}, {"error.nvmlDeviceGetSerial": "NOT_SUPPORTED"}], driver_version="570.1")
    first, second = (dict(gpu["labels"]) for gpu in edge.inventory()["gpus"])
    assert (first, second) == ({"serial": "17", "driver": "570.1"}, {"driver": "570.1"})


def test_no_library(tmp_path: Path) -> None:
    """In a folder without one, and with the machine's own out of sight."""
    library = tmp_path / "empty" / "libnvidia-ml.so.1"
    library.parent.mkdir()
    library.write_text("this is no library")
    edge = Edge(library, tmp_path / "state.conf")
    try:
        for _ in range(2):
            assert edge.error("inventory") == NO_LIBRARY
    finally:
        edge.end()
