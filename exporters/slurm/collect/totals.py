"""Sums over nodes, as sinfo counts: what is left of nodes that take no jobs is other. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from exporters.slurm.parse.nodes import Node


@dataclass
class Totals:
    """Of the cluster or of a partition. Memory in bytes."""

    nodes: int = 0
    cpus: int = 0
    cpus_allocated: int = 0
    cpus_idle: int = 0
    memory: int = 0
    memory_allocated: int = 0
    gpus: int = 0
    gpus_allocated: int = 0
    gpus_idle: int = 0
    states: dict[str, int] = field(default_factory=dict)
    """By name of state."""
    types: dict[str, int] = field(default_factory=dict)
    """GPUs by type."""
    types_allocated: dict[str, int] = field(default_factory=dict)

    @property
    def cpus_other(self) -> int:
        """Neither allocated nor free."""
        return self.cpus - self.cpus_allocated - self.cpus_idle

    @property
    def gpus_other(self) -> int:
        """Neither allocated nor free."""
        return max(0, self.gpus - self.gpus_allocated - self.gpus_idle)


def total(nodes: Iterable[Node]) -> Totals:
    """Add up."""
    sums = Totals()
    for node in nodes:
        sums.nodes += 1
        name = node.state.name
        sums.states[name] = sums.states.get(name, 0) + 1
        sums.cpus += node.cpus
        sums.cpus_allocated += node.cpus_allocated
        sums.memory += node.memory
        sums.memory_allocated += node.memory_allocated
        if node.state.usable:
            sums.cpus_idle += node.cpus - node.cpus_allocated
        if node.gpus:
            _add_gpus(sums, node)
    return sums


def _add_gpus(sums: Totals, node: Node) -> None:
    there, used = sum(node.gpus.values()), sum(node.gpus_allocated.values())
    sums.gpus += there
    sums.gpus_allocated += used
    if node.state.usable:
        sums.gpus_idle += max(0, there - used)
    allocated = allocated_types(node)
    for kind, count in node.gpus.items():
        sums.types[kind] = sums.types.get(kind, 0) + count
        sums.types_allocated[kind] = sums.types_allocated.get(kind, 0) + allocated.get(kind, 0)


def allocated_types(node: Node) -> Mapping[str, int]:
    """Allocated GPUs by type. A request without a type shows as untyped use: it counts for the only type."""
    if set(node.gpus_allocated) <= set(node.gpus) or len(node.gpus) != 1:
        return node.gpus_allocated
    (kind,) = node.gpus
    return {kind: sum(node.gpus_allocated.values())}
