"""The processes on a simulated GPU: they end, are many, have no name, and no list must cost the GPU its readings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exporters.gpu.nvml.edge import Edge

COMPUTE, GRAPHICS = "nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"


@pytest.fixture
def used(edge: Edge) -> Edge:
    edge.open(processes=True)
    edge.gpus.write(
        gpus=[{"processes": "31:1024:C 30:2048:C 32:4096:G 33:10:CG"}],
        **{"process_name.30": "/usr/bin/python3", "process_name.31": "a b", "process_name.32": "/opt/x y/z\x01"},
    )
    return edge


def listed(edge: Edge) -> list[tuple[int, str, int | None]]:
    return [(one["pid"], one["kind"], one["memory"]) for one in processes(edge)]


def processes(edge: Edge) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = edge.sample()["processes"]
    return found


def test_both_lists_by_pid(used: Edge) -> None:
    assert listed(used) == [
        (30, "compute", 2048),
        (31, "compute", 1024),
        (32, "graphics", 4096),
        (33, "compute", 10),
        (33, "graphics", 10),
    ]


def test_names_without_their_path(used: Edge) -> None:
    assert {one["pid"]: one["name"] for one in processes(used) if one["pid"] < 32} == {30: "python3", 31: "a b"}


def test_one_that_has_ended_has_no_name_but_stands_while_it_is_listed(edge: Edge) -> None:
    edge.open(processes=True)
    edge.gpus.write(gpus=[{"processes": f"{2**22 + 1}:1024:C"}])  # beyond the highest pid
    assert [(one["pid"], one["name"]) for one in processes(edge)] == [(2**22 + 1, "")]


def test_they_come_and_go(used: Edge) -> None:
    assert len(listed(used)) == 5
    used.gpus.update(0, processes="32:4096:G")
    assert listed(used) == [(32, "graphics", 4096)]
    used.gpus.update(0, processes="")
    assert listed(used) == []
    used.gpus.update(0, processes="32:5:C")
    assert listed(used) == [(32, "compute", 5)]


@pytest.mark.parametrize("call", [COMPUTE, GRAPHICS])
@pytest.mark.parametrize("error", ["NO_PERMISSION", "NOT_SUPPORTED", "INVALID_ARGUMENT", "INSUFFICIENT_SIZE"])
def test_a_list_that_is_refused_leaves_the_rest(used: Edge, call: str, error: str) -> None:
    """INSUFFICIENT_SIZE: more processes have begun between its two calls than it has made room for."""
    used.gpus.update(0, **{f"error.{call}": error})
    sample = used.sample()
    assert sample["values"] == {"temperature": "34"}
    kinds = {one["kind"] for one in sample["processes"]}
    assert kinds == {"graphics" if call == COMPUTE else "compute"}
    used.gpus.update(0, **{f"error.{call}": None})
    assert len(listed(used)) == 5


def test_a_lost_gpu_is_lost(used: Edge) -> None:
    used.gpus.update(0, **{f"error.{COMPUTE}": "GPU_IS_LOST"})
    assert used.error("sample", used.uuid(0)) == "GPU is lost"


def test_a_crowd_is_cut(edge: Edge) -> None:
    """No job can make any number of series."""
    edge.open(processes=True)
    edge.gpus.write(gpus=[{"processes": " ".join(f"{1000 + number}:1:C" for number in range(60))}])
    assert len(listed(edge)) == 60
    edge.gpus.write(gpus=[{"processes": " ".join(f"{1000 + number}:1:CG" for number in range(300))}])
    assert len(listed(edge)) <= 256


def test_of_instances(edge: Edge) -> None:
    edge.open(processes=True)
    edge.gpus.write(gpus=[{"mig_mode": 1, "mig": "0:1g.10gb:7 1:1g.10gb:8", "mig.7.processes": "40:1024:C"}])
    assert listed(edge) == [(40, "compute", 1024)]


def test_a_driver_without_the_newest_lists(old_edge: Edge) -> None:
    old_edge.open(processes=True)
    old_edge.gpus.write(gpus=[{"model": "t4", "processes": "30:2048:C"}])
    sample = old_edge.sample()
    assert (sample["processes"], sample["values"].keys()) == ([], {"temperature"})


def test_nobody_asks_where_they_are_not_wanted(edge: Edge) -> None:
    edge.gpus.write(gpus=[{f"error.{COMPUTE}": "GPU_IS_LOST"}])
    assert edge.sample()["processes"] is None
