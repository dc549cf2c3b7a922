from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from exporters.slurm.discovery import targets
from exporters.slurm.parse.controller import Config
from exporters.slurm.parse.nodes import Node
from tests.exporters.slurm.building import ODD_TEXT, node

CONFIG = Config("pods", "24.11.5", accounting=False, host="head", address="")
NODES = (
    node("head", address="10.0.0.1", partitions=("gpu", "long")),
    node("w1", "MIXED+DRAIN", address="10.0.0.2"),
)


def groups(*nodes: Node, config: Config | None = CONFIG) -> list[dict[str, Any]]:
    body = targets(nodes, config, gpu_port=9400, own_port=9341)
    assert body.endswith(b"\n")
    found: list[dict[str, Any]] = json.loads(body)
    assert all(group.keys() == {"targets", "labels"} for group in found)
    return found


def of_gpus(*nodes: Node, config: Config | None = CONFIG) -> list[str]:
    """Addresses of GPU exporters."""
    found = groups(*nodes, config=config)
    return [target for one in found if one["labels"]["job"] == "gpu-exporter" for target in one["targets"]]


def test_every_node_and_this_exporter() -> None:
    common = {"cluster": "pods", "partition": "gpu,long", "node": "head", "role": "head"}
    assert groups(*NODES) == [
        {"targets": ["10.0.0.1:9400"], "labels": {"job": "gpu-exporter", **common}},
        {
            "targets": ["10.0.0.2:9400"],
            "labels": {"job": "gpu-exporter", "cluster": "pods", "node": "w1", "partition": "gpu", "role": "worker"},
        },
        {"targets": ["10.0.0.1:9341"], "labels": {"job": "slurm-exporter", "cluster": "pods"}},
    ]


@pytest.mark.parametrize(
    "gone",
    [
        node("x", "DOWN*"),
        node("x", "IDLE*"),
        node("x", "IDLE+DRAIN+NOT_RESPONDING"),
        node("x", "DOWN", version=""),
        node("x", "IDLE+CLOUD+POWERED_DOWN"),
        node("x", "IDLE+CLOUD+POWERING_DOWN"),
        node("x", "IDLE+CLOUD+POWERING_UP"),
        node("x", "IDLE+REBOOT_ISSUED"),
        node("x", "FUTURE"),
    ],
    ids=lambda one: one.state.name,
)
def test_a_node_that_is_not_there_is_no_target(gone: Node) -> None:
    assert of_gpus(*NODES, gone) == ["10.0.0.1:9400", "10.0.0.2:9400"]


@pytest.mark.parametrize("state", ["DOWN", "IDLE+DRAIN", "IDLE+MAINTENANCE", "ALLOCATED+COMPLETING", "IDLE+PLANNED"])
def test_a_node_that_runs_is_a_target_whatever_its_state(state: str) -> None:
    assert of_gpus(node("x", state)) == ["x.example:9400"]


def test_addresses() -> None:
    assert of_gpus(node("a", address="fd00::1"), node("b", address=""), node("c", address="c.example")) == [
        "[fd00::1]:9400",
        "b:9400",
        "c.example:9400",
    ]


@pytest.mark.parametrize(
    ("address", "nodes", "target"),
    [
        ("10.9.9.9", NODES, "10.9.9.9:9341"),
        ("fd00::1", NODES, "[fd00::1]:9341"),
        ("", NODES, "10.0.0.1:9341"),
        ("", (), "head:9341"),
        ("", (node("head", "DOWN*", address="fd00::2"),), "[fd00::2]:9341"),
    ],
)
def test_where_this_exporter_is(address: str, nodes: tuple[Node, ...], target: str) -> None:
    config = Config("pods", "24.11.5", accounting=False, host="head", address=address)
    *_, own = groups(*nodes, config=config)
    assert (own["targets"], own["labels"]["job"]) == ([target], "slurm-exporter")
    assert own["labels"].keys() == {"job", "cluster"}


@pytest.mark.parametrize("config", [None, Config("", "24.11.5", accounting=False, host="", address="")])
def test_before_slurms_configuration_is_known(config: Config | None) -> None:
    found = groups(*NODES, config=config)
    assert [one["targets"] for one in found] == [["10.0.0.1:9400"], ["10.0.0.2:9400"]]
    assert {one["labels"]["role"] for one in found} == {"worker"}
    assert all("cluster" not in one["labels"] for one in found)


def test_no_nodes() -> None:
    assert groups(config=None) == []


@given(ODD_TEXT)
def test_any_name_is_read_back_as_it_was(name: str) -> None:
    (found,) = groups(node(name, partitions=(name,)), config=None)
    assert (found["labels"]["node"], found["labels"]["partition"]) == (name, name)
