from __future__ import annotations

import pytest

from exporters.slurm.collect.totals import Totals, total
from tests.exporters.slurm.building import MIB, node


def test_no_nodes() -> None:
    sums = total([])
    assert sums == Totals()
    assert (sums.cpus_other, sums.gpus_other) == (0, 0)


@pytest.mark.parametrize(
    ("state", "idle", "other"),
    [
        ("IDLE", 5, 0),
        ("MIXED", 5, 0),
        ("ALLOCATED+COMPLETING", 5, 0),
        ("IDLE+MAINTENANCE", 5, 0),
        ("IDLE+RESERVED", 5, 0),
        ("MIXED+DRAIN", 0, 5),
        ("DOWN", 0, 5),
        ("IDLE*", 0, 5),
        ("IDLE+FAIL", 0, 5),
        ("IDLE+CLOUD+POWERED_DOWN", 0, 5),
    ],
)
def test_what_is_left_of_a_node_that_takes_no_jobs_is_other(state: str, idle: int, other: int) -> None:
    sums = total([node("a", state, 8, 3, {"h100": 7}, {"h100": 2})])
    assert (sums.cpus, sums.cpus_allocated, sums.cpus_idle, sums.cpus_other) == (8, 3, idle, other)
    assert (sums.gpus, sums.gpus_allocated, sums.gpus_idle, sums.gpus_other) == (7, 2, idle, other)


def test_sums() -> None:
    sums = total([node("a", gpus={"a": 1, "b": 2}), node("b", "DOWN", gpus={"b": 4}, memory_allocated=MIB), node("c")])
    assert (sums.nodes, sums.memory, sums.memory_allocated) == (3, 3000 * MIB, MIB)
    assert sums.states == {"idle": 2, "down": 1}
    assert (sums.types, sums.types_allocated) == ({"a": 1, "b": 6}, {"a": 0, "b": 0})
