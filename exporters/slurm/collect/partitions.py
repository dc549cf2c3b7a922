"""Partitions -> families: their nodes, CPUs, memory, GPUs and jobs; jobs that can never run. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from exporters.exposition import Family
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import label_text
from exporters.slurm.collect.queue import WHAT, oldest_wait, use
from exporters.slurm.collect.totals import Totals, total
from exporters.slurm.parse.jobs import Group, Queue, Request
from exporters.slurm.parse.nodes import STATES, Node
from exporters.slurm.parse.partitions import Partition
from exporters.slurm.sources import Snapshot

_JOB_STATES = ("pending", "running", "suspended", "completing", "configuring")
_REQUESTS = ("cpus", "gpus", "memory")


def families(snapshot: Snapshot, bounds: Bounds) -> Iterable[Family]:
    """Of every partition, with zeros. Partitions are an administrator's and few, so that they are not bounded."""
    partitions = snapshot.partitions or ()
    names = [partition.name for partition in partitions]
    up = [(label_text(("partition", one.name)), str(int(one.state == "UP"))) for one in partitions]
    yield Family("slurm_partition_up", "gauge", "1 if the partition is UP: it takes jobs and starts them.", up)
    sums = _totals(names, snapshot.nodes) if snapshot.nodes is not None else {}
    if sums:
        yield from _nodes(sums)
    if snapshot.jobs is not None:
        yield from _jobs(names, snapshot.jobs.groups, snapshot.jobs.taken, bounds)
        if sums:
            yield from _impossible(partitions, sums, snapshot.jobs)


def _totals(names: Sequence[str], nodes: Sequence[Node]) -> dict[str, Totals]:
    """A node counts in each of its partitions."""
    members: dict[str, list[Node]] = {name: [] for name in names}
    for node in nodes:
        for name in node.partitions:
            if name in members:
                members[name].append(node)
    return {name: total(found) for name, found in members.items()}


# vpenso's four first.
_SUMS: tuple[tuple[str, str, Callable[[Totals], int]], ...] = (
    ("cpus_allocated", "CPUs of the partition's nodes that are allocated.", lambda sums: sums.cpus_allocated),
    ("cpus_idle", "CPUs of the partition's nodes that are free for jobs.", lambda sums: sums.cpus_idle),
    ("cpus_other", "CPUs of the partition's nodes that take no jobs.", lambda sums: sums.cpus_other),
    ("cpus_total", "CPUs of the partition's nodes.", lambda sums: sums.cpus),
    ("nodes", "Nodes of the partition.", lambda sums: sums.nodes),
    ("memory_bytes", "Memory of its nodes.", lambda sums: sums.memory),
    ("memory_alloc_bytes", "Allocated memory of its nodes.", lambda sums: sums.memory_allocated),
    ("gpus", "GPUs of its nodes.", lambda sums: sums.gpus),
    ("gpus_alloc", "GPUs of its nodes that are allocated.", lambda sums: sums.gpus_allocated),
    ("gpus_idle", "GPUs of its nodes that are free for jobs.", lambda sums: sums.gpus_idle),
)


def _nodes(sums: Mapping[str, Totals]) -> Iterable[Family]:
    rows = [(label_text(("partition", name)), found) for name, found in sums.items()]
    for name, help, value in _SUMS:
        yield Family(f"slurm_partition_{name}", "gauge", help, [(text, str(value(found))) for text, found in rows])
    samples = [
        (label_text(("partition", name), ("state", state)), str(found.states.get(state, 0)))
        for name, found in sums.items()
        for state in STATES
    ]
    yield Family("slurm_partition_nodes_by_state", "gauge", "Nodes of the partition by their one state.", samples)
    kinds = [
        (label_text(("partition", name), ("type", kind)), kind, found)
        for name, found in sums.items()
        for kind in sorted(found.types)
    ]
    samples = [(text, str(found.types[kind])) for text, kind, found in kinds]
    yield Family("slurm_partition_gpus_by_type", "gauge", "GPUs of the partition's nodes by type.", samples)
    samples = [(text, str(found.types_allocated[kind])) for text, kind, found in kinds]
    yield Family("slurm_partition_gpus_alloc_by_type", "gauge", "Allocated GPUs of its nodes by type.", samples)


def _jobs(names: Sequence[str], groups: Sequence[Group], now: float, bounds: Bounds) -> Iterable[Family]:
    """A job that may run in several partitions counts in each of them."""
    uses: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in names}
    pending: dict[str, list[Group]] = {name: [] for name in names}
    for group in groups:
        found = use(group)
        for name in group.kind.partitions:
            if name in uses:
                for key, value in found.items():
                    uses[name][key] += value
                if group.kind.state == "PENDING":
                    pending[name].append(group)
    rows = [(label_text(("partition", name)), uses[name]) for name in names]
    for state in _JOB_STATES:
        samples = [(text, str(row["jobs", state])) for text, row in rows]
        yield Family(f"slurm_partition_jobs_{state}", "gauge", f"Jobs in state {state.upper()} by partition.", samples)
    for what in _REQUESTS:
        name = f"slurm_partition_{what}_pending" + ("_bytes" if what == "memory" else "")
        samples = [(text, str(row[what, "pending"])) for text, row in rows]
        yield Family(name, "gauge", f"{WHAT[what]} in state PENDING by partition.", samples)
    samples = []
    for name in names:
        reasons: Counter[str] = Counter()
        for group in pending[name]:
            reasons[group.kind.reason] += group.count
        bounded = bounds.largest("reason", reasons, float, lambda one, other: one + other)
        samples += [
            (label_text(("partition", name), ("reason", reason)), str(bounded[reason])) for reason in sorted(bounded)
        ]
    help = "Pending jobs of the partition by why they wait."
    yield Family("slurm_partition_pending_by_reason", "gauge", help, samples)
    waits = [(name, oldest_wait(pending[name], now)) for name in names]
    samples = [(label_text(("partition", name)), str(wait)) for name, wait in waits if wait is not None]
    help = "Seconds that the partition's job waits which could run since longest, as far as its user is concerned."
    yield Family("slurm_partition_oldest_wait_seconds", "gauge", help, samples)


def _impossible(partitions: Iterable[Partition], sums: Mapping[str, Totals], queue: Queue) -> Iterable[Family]:
    most_nodes = {
        one.name: sums[one.name].nodes if one.max_nodes is None else min(one.max_nodes, sums[one.name].nodes)
        for one in partitions
    }
    counted: Counter[str] = Counter()
    for names, request, count in queue.pending:
        lacking = [_lacking(request, sums[name], most_nodes[name]) for name in names if name in sums]
        if lacking and all(lacking):
            counted[lacking[0]] += count
    samples = [(label_text(("resource", name)), str(counted[name])) for name in ("nodes", "cpus", "memory", "gpus")]
    help = "Pending jobs that ask for more of a resource than all nodes of their partitions have together."
    yield Family("slurm_queue_pending_impossible", "gauge", help, samples)


def _lacking(request: Request, sums: Totals, most_nodes: int) -> str:
    """Of what a job asks for more than a partition has, whatever its nodes' state; empty if of nothing."""
    if request.nodes > most_nodes:
        return "nodes"
    if request.cpus > sums.cpus:
        return "cpus"
    if request.memory > sums.memory:
        return "memory"
    typed = any(count > sums.types.get(kind, 0) for kind, count in request.gpus.items() if kind)
    return "gpus" if typed or request.all_gpus > sums.gpus else ""
