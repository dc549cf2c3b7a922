from __future__ import annotations

import pytest

from exporters.exposition import Family
from exporters.slurm.collect import partitions as collected
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import Memory
from exporters.slurm.parse.nodes import Node
from exporters.slurm.parse.partitions import Partition
from exporters.slurm.sources import Snapshot
from tests.exporters.slurm.building import MIB, NOW, jobs, node, queue, values

GPU, LONG, EMPTY = Partition("gpu", "UP", None), Partition("long", "DRAIN", 1), Partition("empty", "UP", None)
BOTH = ("gpu", "long")
NODES = (
    node("a", "MIXED", 8, 3, {"h100": 8}, {"h100": 2}, BOTH, memory_allocated=5 * MIB),
    node("b", "IDLE+DRAIN", 8, 0, {"a100": 4}, {}, ("gpu",)),
    node("c", "DOWN*", 4, 0, {}, {}, ()),
)


def families(
    *lines: bytes,
    partitions: tuple[Partition, ...] | None = (GPU, LONG, EMPTY),
    nodes: tuple[Node, ...] | None = NODES,
    with_jobs: bool = True,
    limit: int = 50,
) -> list[Family]:
    snapshot = Snapshot(now=NOW, partitions=partitions, nodes=nodes, jobs=queue(*lines) if with_jobs else None)
    return [*collected.families(snapshot, Bounds(limit, Memory()))]


def by_partition(found: dict[str, str], name: str) -> list[str]:
    return [found[f'slurm_partition_{name}{{partition="{partition}"}}'] for partition in ("gpu", "long", "empty")]


def test_what_takes_jobs() -> None:
    assert by_partition(values(families()), "up") == ["1", "0", "1"]


def test_a_node_counts_in_each_of_its_partitions() -> None:
    found = values(families())
    wanted = {
        "cpus_allocated": ["3", "3", "0"],
        "cpus_idle": ["5", "5", "0"],
        "cpus_other": ["8", "0", "0"],
        "cpus_total": ["16", "8", "0"],
        "nodes": ["2", "1", "0"],
        "memory_bytes": [str(2000 * MIB), str(1000 * MIB), "0"],
        "memory_alloc_bytes": [str(5 * MIB), str(5 * MIB), "0"],
        "gpus": ["12", "8", "0"],
        "gpus_alloc": ["2", "2", "0"],
        "gpus_idle": ["6", "6", "0"],
    }
    assert {name: by_partition(found, name) for name in wanted} == wanted
    assert found['slurm_partition_gpus_by_type{partition="gpu",type="a100"}'] == "4"
    assert found['slurm_partition_gpus_alloc_by_type{partition="gpu",type="a100"}'] == "0"
    assert found['slurm_partition_gpus_alloc_by_type{partition="long",type="h100"}'] == "2"
    assert found['slurm_partition_nodes_by_state{partition="gpu",state="drained"}'] == "1"
    assert found['slurm_partition_nodes_by_state{partition="empty",state="drained"}'] == "0"


def test_a_job_counts_in_each_of_its_partitions() -> None:
    found = values(
        families(
            jobs(5, partitions=BOTH, cpus=2, gpus={"": 1}, memory=MIB),
            jobs(1, partitions=("gpu",), cpus=4),
            jobs(2, state="RUNNING", partitions=("long",)),
            jobs(1, state="SUSPENDED", partitions=("long",)),
            jobs(9, state="COMPLETED", partitions=BOTH),
            jobs(9, partitions=("hidden",)),
        )
    )
    wanted = {
        "jobs_pending": ["6", "5", "0"],
        "jobs_running": ["0", "2", "0"],
        "jobs_suspended": ["0", "1", "0"],
        "jobs_completing": ["0", "0", "0"],
        "jobs_configuring": ["0", "0", "0"],
        "cpus_pending": ["14", "10", "0"],
        "gpus_pending": ["5", "5", "0"],
        "memory_pending_bytes": [str(6 * MIB), str(5 * MIB), "0"],
    }
    assert {name: by_partition(found, name) for name in wanted} == wanted


def test_why_jobs_of_a_partition_wait_is_bounded() -> None:
    lines = [jobs(number, reason=f"r{number}", partitions=("gpu",)) for number in range(1, 6)]
    found = values(families(*lines, limit=2))
    assert {text: value for text, value in found.items() if text.startswith("slurm_partition_pending_by_reason")} == {
        'slurm_partition_pending_by_reason{partition="gpu",reason="r4"}': "4",
        'slurm_partition_pending_by_reason{partition="gpu",reason="r5"}': "5",
        'slurm_partition_pending_by_reason{partition="gpu",reason="other"}': "6",
    }


def test_oldest_wait() -> None:
    lines = [jobs(eligibletime=NOW - 5, partitions=BOTH), jobs(eligibletime=NOW - 9, partitions=("gpu",))]
    found = values(families(*lines, jobs(eligibletime=NOW - 99, reason="JobHeldAdmin", partitions=("empty",))))
    waits = {text: value for text, value in found.items() if text.startswith("slurm_partition_oldest_wait_seconds")}
    assert waits == {
        'slurm_partition_oldest_wait_seconds{partition="gpu"}': "9",
        'slurm_partition_oldest_wait_seconds{partition="long"}': "5",
    }


@pytest.mark.parametrize(
    ("asked", "lacking"),
    [
        (jobs(2, partitions=("gpu",), nodes=2, cpus=16, memory=2000 * MIB, gpus={"": 12}), ""),
        (jobs(2, partitions=("gpu",), nodes=3), "nodes"),
        (jobs(2, partitions=("gpu",), cpus=17), "cpus"),
        (jobs(2, partitions=("gpu",), memory=2001 * MIB), "memory"),
        (jobs(2, partitions=("gpu",), gpus={"": 13}), "gpus"),
        (jobs(2, partitions=("gpu",), gpus={"h100": 8, "a100": 4}), ""),
        (jobs(2, partitions=("gpu",), gpus={"h100": 9}), "gpus"),
        (jobs(2, partitions=("gpu",), gpus={"b200": 1}), "gpus"),
        (jobs(2, partitions=("long",), nodes=2), "nodes"),
        (jobs(2, partitions=BOTH, cpus=16), ""),
        (jobs(2, partitions=("long", "gpu"), cpus=16), ""),
        (jobs(2, partitions=BOTH, cpus=17), "cpus"),
        (jobs(2, partitions=("long", "hidden"), gpus={"a100": 1}), "gpus"),
        (jobs(2, partitions=("empty",)), "nodes"),
        (jobs(2, partitions=("hidden",), cpus=999), ""),
        (jobs(2, state="RUNNING", partitions=("gpu",), cpus=999), ""),
    ],
)
def test_jobs_that_can_never_run(asked: bytes, lacking: str) -> None:
    found = values(families(asked))
    for name in ("nodes", "cpus", "memory", "gpus"):
        wanted = "2" if name == lacking else "0"
        assert found[f'slurm_queue_pending_impossible{{resource="{name}"}}'] == wanted


def test_what_needs_a_source_that_fails_is_left_out() -> None:
    whole, no_nodes, no_jobs = (
        {family.name for family in found if family.samples}
        for found in (families(jobs()), families(jobs(), nodes=None), families(with_jobs=False))
    )
    assert "slurm_queue_pending_impossible" not in no_nodes | no_jobs
    assert not any("cpus_total" in name or "nodes" in name for name in no_nodes)
    assert not any("_jobs_" in name or "pending" in name for name in no_jobs)
    assert no_nodes | no_jobs == whole - {"slurm_queue_pending_impossible"}
    assert no_nodes & no_jobs == {"slurm_partition_up"}


def test_no_partitions() -> None:
    found = values(families(jobs(), partitions=()))
    assert {name: value for name, value in found.items() if value != "0"} == {}
