"""`scontrol show partitions` -> partitions. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.text import fields, records, whole

COMMAND = ("scontrol", "-o", "-a", "show", "partitions")


@dataclass(frozen=True)
class Partition:
    """One partition; which nodes it has, the nodes say."""

    name: str
    state: str
    """UP, DOWN, DRAIN or INACTIVE."""
    max_nodes: int | None
    """Most nodes of one job; None for no limit."""


def partitions(text: str) -> tuple[Partition, ...]:
    """Every partition, hidden ones too."""
    found = []
    for line in records(text, "PartitionName", "scontrol show partitions"):
        get = fields(line).get
        state = get("State")
        if state is None:
            raise ParseError(f"scontrol show partitions: a partition's line is not whole: {line[:80]!r}")
        found.append(Partition(get("PartitionName", ""), state, whole(get("MaxNodes", ""))))
    return tuple(found)
