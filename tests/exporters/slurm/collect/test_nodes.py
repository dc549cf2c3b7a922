from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from exporters.slurm.collect import nodes as collected
from exporters.slurm.collect.memory import Memory
from exporters.slurm.parse import Whole
from exporters.slurm.parse.nodes import STATES, VPENSO_STATES, Nodes
from tests.exporters.slurm.building import MIB, NOW, ODD_TEXT, node, node_line, read, read_back, values

CLUSTER = [
    node("a", "IDLE", 8, 0, {"h100": 8}),
    node("b", "MIXED", 8, 3, {"h100": 8}, {"h100": 3}),
    node("c", "ALLOCATED", 8, 8, {"a100": 4, "": 2}, {"a100": 4}),
    node("d", "MIXED+DRAIN", 8, 2, {"h100": 8}, {"h100": 2}),
    node("e", "DOWN*", 4, 0, {"1g.10gb": 7}),
    node("f", "IDLE*", 2, 0),
    node("g", "IDLE+COMPLETING", 1, 0),
    node("h", "IDLE+CLOUD+POWERED_DOWN", 16, 0, {"h100": 8}),
]


def test_nodes_by_state() -> None:
    found = values(collected.families(CLUSTER, Memory()))
    counted = {"idle": 1, "mix": 1, "alloc": 1, "drain": 1, "down": 1, "comp": 1, "other": 2}
    for state in VPENSO_STATES:
        assert found[f"slurm_nodes_{state}"] == str(counted.get(state, 0))
    assert found["slurm_nodes"] == "8"
    names = {name: int(found[f'slurm_nodes_by_state{{state="{name}"}}']) for name in STATES}
    assert {name for name, count in names.items() if count} == {
        "idle", "mixed", "allocated", "draining", "down", "not_responding", "completing", "powered_down",
    }  # fmt: skip
    assert sum(names.values()) == 8
    assert found["slurm_nodes_not_responding"] == "2"


def test_cpus_and_memory_of_the_cluster() -> None:
    found = values(collected.families(CLUSTER, Memory()))
    assert {name: found[f"slurm_cpus_{name}"] for name in ("alloc", "idle", "other", "total")} == {
        "alloc": "13",
        "idle": "14",
        "other": "28",
        "total": "55",
    }
    assert found["slurm_memory_bytes"] == str(8 * 1000 * MIB)
    assert found["slurm_memory_alloc_bytes"] == "0"


def test_gpus_of_the_cluster() -> None:
    found = values(collected.families(CLUSTER, Memory()))
    gpus = {name: found[f"slurm_gpus_{name}"] for name in ("alloc", "idle", "other", "total", "utilization")}
    assert gpus == {"alloc": "9", "idle": "15", "other": "21", "total": "45", "utilization": "0.2"}
    by_type = {"h100": (32, 5), "a100": (4, 4), "": (2, 0), "1g.10gb": (7, 0)}
    for name, place in (("slurm_gpus_by_type", 0), ("slurm_gpus_alloc_by_type", 1)):
        series = {text: value for text, value in found.items() if text.startswith(f"{name}{{")}
        assert series == {f'{name}{{type="{kind}"}}': str(count[place]) for kind, count in by_type.items()}


def test_an_empty_cluster_has_every_sum_at_zero() -> None:
    found = values(collected.families([], Memory()))
    assert set(found.values()) == {"0"}
    assert len(found) == len(VPENSO_STATES) + 1 + len(STATES) + 1 + 4 + 2 + 4
    assert "slurm_gpus_utilization" not in found


def test_gpus_that_are_used_without_a_type_count_for_the_only_type() -> None:
    found = values(collected.families([node(gpus={"h100": 8}, gpus_allocated={"": 3})], Memory()))
    assert found['slurm_gpus_alloc_by_type{type="h100"}'] == "3"
    assert found['slurm_node_gpus_alloc_by_type{node="n1",type="h100"}'] == "3"
    assert found["slurm_gpus_alloc"] == "3"


def test_more_gpus_in_use_than_there_are_make_nothing_negative() -> None:
    found = values(collected.families([node(gpus={"h100": 2}, gpus_allocated={"h100": 3})], Memory()))
    assert (found["slurm_gpus_idle"], found["slurm_gpus_other"]) == ("0", "0")


@pytest.mark.parametrize(
    ("state", "idle", "other"), [("MIXED", 5, 0), ("MIXED+DRAIN", 0, 5), ("DOWN", 0, 5), ("IDLE*", 0, 5)]
)
def test_vpensos_series_of_a_node(state: str, idle: int, other: int) -> None:
    one = node("n1", state, 8, 3, memory_allocated=100 * MIB)
    found = values(collected.families([one], Memory()))
    labels = f'{{node="n1",status="{one.state.name}"}}'
    cpus = {name: found[f"slurm_node_cpu_{name}{labels}"] for name in ("alloc", "idle", "other", "total")}
    assert cpus == {"alloc": "3", "idle": str(idle), "other": str(other), "total": "8"}
    assert found[f"slurm_node_mem_alloc{labels}"] == "100"
    assert found[f"slurm_node_mem_total{labels}"] == "1000"


def test_each_node() -> None:
    one = node("n1", "MIXED", 8, 3, {"h100": 8, "a": 1}, {"h100": 2}, memory_allocated=5 * MIB)
    found = values(collected.families([one], Memory()))
    assert found['slurm_node_info{node="n1",address="n1.example",version="24.11.5"}'] == "1"
    assert found['slurm_node_state{node="n1",state="mixed"}'] == "1"
    single = {
        "responding": 1,
        "cpus": 8,
        "cpus_alloc": 3,
        "cpu_load": 0.5,
        "memory_bytes": 1000 * MIB,
        "memory_alloc_bytes": 5 * MIB,
        "memory_free_bytes": 300 * MIB,
        "gpus": 9,
        "gpus_alloc": 2,
        "boot_timestamp_seconds": NOW - 500,
        "slurmd_start_timestamp_seconds": NOW - 400,
        "last_busy_timestamp_seconds": NOW - 300,
    }
    for name, value in single.items():
        assert found[f'slurm_node_{name}{{node="n1"}}'] == str(value)
    assert found['slurm_node_gpus_by_type{node="n1",type="a"}'] == "1"
    assert found['slurm_node_gpus_alloc_by_type{node="n1",type="a"}'] == "0"
    assert found['slurm_node_gpus_alloc_by_type{node="n1",type="h100"}'] == "2"
    assert not any(name.startswith("slurm_node_reason") for name in found)


def test_what_slurm_does_not_know_of_a_node_is_left_out() -> None:
    unknown: dict[str, Any] = dict.fromkeys(
        ("cpu_load", "memory_free", "boot_time", "slurmd_start_time", "last_busy_time")
    )
    found = values(collected.families([node("n1", "DOWN*", version="", **unknown)], Memory()))
    assert found['slurm_node_info{node="n1",address="n1.example",version=""}'] == "1"
    assert found['slurm_node_responding{node="n1"}'] == "0"
    for name in ("cpu_load", "memory_free_bytes", "boot_timestamp_seconds", "slurmd_start_timestamp_seconds"):
        assert f'slurm_node_{name}{{node="n1"}}' not in found


def test_reasons() -> None:
    nodes = [
        node("a", "DOWN", reason="why", reason_user="root", reason_time=5),
        node("b", "DOWN", reason="x" * 500),
        node("c"),
    ]
    found = values(collected.families(nodes, Memory()))
    assert {name: value for name, value in found.items() if name.startswith("slurm_node_reason")} == {
        'slurm_node_reason_info{node="a",reason="why",user="root"}': "1",
        f'slurm_node_reason_info{{node="b",reason="{"x" * 200}",user=""}}': "1",
        'slurm_node_reason_timestamp_seconds{node="a"}': "5",
    }


@given(ODD_TEXT, ODD_TEXT)
def test_any_reason_is_read_back_as_it_was_given(reason: str, user: str) -> None:
    # Slurm prints the lines of a reason behind each other, blank ones not at all (slurm_sprint_node_table).
    first, *more = [part for part in reason.split("\n") if part] or ["x"]
    user = user.translate({ord(odd): "_" for odd in "\n[]"})
    printed = f"{first} [{user}@5]" + "".join(" " * 8 + part for part in more)
    found = read(Whole(Nodes()), node_line(rest=f" Reason={printed}").encode())
    shown = [
        labels for name, labels, _ in read_back(collected.families(found, Memory())) if name == "slurm_node_reason_info"
    ]
    assert shown == [{"node": "pod-1", "reason": "\n".join([first, *more]), "user": user}]
