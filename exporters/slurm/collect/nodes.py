"""Nodes -> families: by state, each node, CPUs, memory and GPUs of the cluster. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from exporters.exposition import Family, labels, number, single
from exporters.slurm.collect.memory import Memory, label_text
from exporters.slurm.collect.totals import Totals, allocated_types, total
from exporters.slurm.parse.nodes import STATES, VPENSO_STATES, Node

_MIB = 1024**2
_REASON_LENGTH = 200

_Value = Callable[[Node], "float | None"]


def families(nodes: Sequence[Node], memory: Memory) -> Iterable[Family]:
    """All of them; every zero of the cluster's sums is a series."""
    sums = total(nodes)
    yield from _states(nodes, sums)
    yield from _resources(sums)
    yield from _each_node(nodes, memory)
    yield from _reasons(nodes)


def _states(nodes: Sequence[Node], sums: Totals) -> Iterable[Family]:
    counted: Counter[str] = Counter()
    for name, count in sums.states.items():
        counted[STATES[name]] += count
    for state in VPENSO_STATES:
        help = f"Nodes in state {state}."
        if state == "other":
            help = "Nodes in any other state (not responding, planned ...)."
        yield single(f"slurm_nodes_{state}", help, counted[state])
    yield single("slurm_nodes", "Nodes of the cluster.", sums.nodes)
    samples = [(label_text(("state", name)), str(sums.states.get(name, 0))) for name in STATES]
    yield Family("slurm_nodes_by_state", "gauge", "Nodes by their one state, as sinfo names it.", samples)
    silent = sum(not node.state.responds for node in nodes)
    yield single("slurm_nodes_not_responding", "Nodes that do not respond, whatever their state.", silent)


def _resources(sums: Totals) -> Iterable[Family]:
    yield single("slurm_cpus_alloc", "CPUs allocated to jobs.", sums.cpus_allocated)
    yield single("slurm_cpus_idle", "CPUs free for jobs.", sums.cpus_idle)
    yield single(
        "slurm_cpus_other", "CPUs of nodes that take no jobs (down, drained, not responding).", sums.cpus_other
    )
    yield single("slurm_cpus_total", "CPUs of the cluster.", sums.cpus)
    yield single("slurm_memory_bytes", "Memory of the cluster.", sums.memory)
    yield single("slurm_memory_alloc_bytes", "Memory allocated to jobs.", sums.memory_allocated)
    yield single("slurm_gpus_alloc", "GPUs allocated to jobs.", sums.gpus_allocated)
    yield single("slurm_gpus_idle", "GPUs free for jobs.", sums.gpus_idle)
    yield single(
        "slurm_gpus_other", "GPUs of nodes that take no jobs (down, drained, not responding).", sums.gpus_other
    )
    yield single("slurm_gpus_total", "GPUs of the cluster.", sums.gpus)
    if sums.gpus:
        yield single("slurm_gpus_utilization", "GPUs allocated, of all (0 to 1).", sums.gpus_allocated / sums.gpus)
    rows = [(label_text(("type", kind)), kind) for kind in sorted(sums.types)]
    samples = [(text, str(sums.types[kind])) for text, kind in rows]
    help = "GPUs of the cluster by type, empty where Slurm knows none."
    yield Family("slurm_gpus_by_type", "gauge", help, samples)
    samples = [(text, str(sums.types_allocated[kind])) for text, kind in rows]
    yield Family("slurm_gpus_alloc_by_type", "gauge", "GPUs allocated to jobs by type.", samples)


def _idle(node: Node) -> int:
    return node.cpus - node.cpus_allocated if node.state.usable else 0


# vpenso's, with its labels and units (MiB); its status without suffixes.
_WITH_STATUS: tuple[tuple[str, str, _Value], ...] = (
    ("cpu_alloc", "CPUs of the node that are allocated.", lambda node: node.cpus_allocated),
    ("cpu_idle", "CPUs of the node that are free for jobs.", _idle),
    ("cpu_other", "CPUs of a node that takes no jobs.", lambda node: node.cpus - node.cpus_allocated - _idle(node)),
    ("cpu_total", "CPUs of the node.", lambda node: node.cpus),
    ("mem_alloc", "Memory of the node that is allocated, in MiB.", lambda node: node.memory_allocated // _MIB),
    ("mem_total", "Memory of the node in MiB.", lambda node: node.memory // _MIB),
)
_BY_NODE: tuple[tuple[str, str, _Value], ...] = (
    ("responding", "1 if the node responds to slurmctld.", lambda node: int(node.state.responds)),
    ("cpus", "CPUs of the node.", lambda node: node.cpus),
    ("cpus_alloc", "CPUs of the node that are allocated.", lambda node: node.cpus_allocated),
    ("cpu_load", "Load average of the node over one minute.", lambda node: node.cpu_load),
    ("memory_bytes", "Memory of the node.", lambda node: node.memory),
    ("memory_alloc_bytes", "Memory of the node that is allocated.", lambda node: node.memory_allocated),
    ("memory_free_bytes", "Memory of the node that its system calls free.", lambda node: node.memory_free),
    ("gpus", "GPUs of the node.", lambda node: sum(node.gpus.values())),
    ("gpus_alloc", "GPUs of the node that are allocated.", lambda node: sum(node.gpus_allocated.values())),
    ("boot_timestamp_seconds", "Unix time of the node's boot.", lambda node: node.boot_time),
    ("slurmd_start_timestamp_seconds", "Unix time of its slurmd's start.", lambda node: node.slurmd_start_time),
    ("last_busy_timestamp_seconds", "Unix time at which it was last busy.", lambda node: node.last_busy_time),
)
_ONE: tuple[tuple[str, str], ...] = (
    ("info", "Address of the node and version of its slurmd, empty before it registers."),
    ("state", "1 for the state that the node is in."),
)
_BY_TYPE: tuple[tuple[str, str], ...] = (
    ("gpus_by_type", "GPUs of the node by type."),
    ("gpus_alloc_by_type", "GPUs of the node that are allocated by type."),
)
_HELPS = (*_ONE, *((name, help) for name, help, _ in (*_WITH_STATUS, *_BY_NODE)), *_BY_TYPE)


def _each_node(nodes: Sequence[Node], memory: Memory) -> Iterable[Family]:
    """Most nodes are as they were in the round before: their samples are those of then."""
    rows = memory.rows_of(nodes, _samples)
    for place, (name, help) in enumerate(_HELPS):
        yield Family(f"slurm_node_{name}", "gauge", help, [sample for row in rows for sample in row[place]])


def _samples(node: Node) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Of one node, for each of _HELPS."""
    name = ("node", node.name)
    info = labels({"node": node.name, "address": node.address, "version": node.version})
    one = [((info, "1"),), ((label_text(name, ("state", node.state.name)), "1"),)]
    text = label_text(name, ("status", node.state.name))
    with_status = [_sample(text, value(node)) for _, _, value in _WITH_STATUS]
    text = label_text(name)
    by_node = [_sample(text, value(node)) for _, _, value in _BY_NODE]
    allocated = allocated_types(node)
    kinds = [(label_text(name, ("type", kind)), kind) for kind in sorted(node.gpus)]
    by_type = [
        tuple((text, str(node.gpus[kind])) for text, kind in kinds),
        tuple((text, str(allocated.get(kind, 0))) for text, kind in kinds),
    ]
    return (*one, *with_status, *by_node, *by_type)


def _sample(text: str, value: float | None) -> tuple[tuple[str, str], ...]:
    return () if value is None else ((text, number(value)),)


def _reasons(nodes: Sequence[Node]) -> Iterable[Family]:
    why = [node for node in nodes if node.reason]
    samples = [
        (labels({"node": node.name, "reason": node.reason[:_REASON_LENGTH], "user": node.reason_user}), "1")
        for node in why
    ]
    yield Family("slurm_node_reason_info", "gauge", "Why a node is not used, and who said so.", samples)
    told = [(node.name, node.reason_time) for node in why if node.reason_time is not None]
    times = [(label_text(("node", name)), number(moment)) for name, moment in told]
    yield Family("slurm_node_reason_timestamp_seconds", "gauge", "Unix time at which its reason was given.", times)
