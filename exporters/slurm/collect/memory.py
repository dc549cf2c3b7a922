"""What outlasts a reading: counters that go on where Slurm's begin anew, waits, what was rendered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from exporters.exposition import labels
from exporters.slurm.parse.jobs import Queue
from exporters.slurm.parse.nodes import Node
from exporters.slurm.parse.sdiag import Scheduler
from exporters.slurm.sources import Snapshot

BUCKETS_S = (1, 10, 30, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 86400, 3 * 86400, 7 * 86400)


@lru_cache(maxsize=65536)
def label_text(*pairs: tuple[str, str]) -> str:
    """Rendered labels: most are the same in every round."""
    return labels(dict(pairs))


class Counters:
    """Sums that never go back. sdiag's figures begin at 0 again at midnight, at a reset and with slurmctld."""

    def __init__(self) -> None:
        self._last: dict[Hashable, int] = {}
        self._before: dict[Hashable, int] = {}

    def follow(self, values: Mapping[Hashable, int]) -> None:
        """Take the figures of a new reading."""
        for key, value in values.items():
            last = self._last.get(key, 0)
            if value < last:
                self._before[key] = self._before.get(key, 0) + last
            self._last[key] = value

    def total(self, key: Hashable) -> int | None:
        """The sum so far; None for what was never there."""
        return self._before.get(key, 0) + self._last[key] if key in self._last else None

    def known(self, kind: str) -> list[str]:
        """Names of all keys (kind, name, ...) of a kind."""
        return list(dict.fromkeys(str(key[1]) for key in self._last if isinstance(key, tuple) and key[0] == kind))


@dataclass
class Histogram:
    """Of waits in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum: int = 0

    def add(self, seconds: int, count: int) -> None:
        """Observe."""
        place = next((place for place, most in enumerate(BUCKETS_S) if seconds <= most), len(BUCKETS_S))
        self.counts[place] += count
        self.sum += seconds * count

    def plus(self, other: Histogram) -> Histogram:
        """Of both."""
        return Histogram([a + b for a, b in zip(self.counts, other.counts, strict=True)], self.sum + other.sum)


class Memory:
    """Of one exporter, as long as it runs."""

    def __init__(self) -> None:
        self.counters = Counters()
        self.waits: dict[str, Histogram] = {}
        """By partition."""
        self.names: dict[str, dict[str, None]] = {}
        """Values of labels of counters, in the order in which they came."""
        self._rows: dict[str, tuple[Node, Any]] = {}
        self._queue: Queue | None = None
        self._scheduler: Scheduler | None = None

    def rows_of(self, nodes: Sequence[Node], make: Callable[[Node], Any]) -> list[Any]:
        """What `make` makes of each node, anew only of those that are not the object that they were before."""
        found: dict[str, tuple[Node, Any]] = {}
        for node in nodes:
            before = self._rows.get(node.name)
            found[node.name] = before if before and before[0] is node else (node, make(node))
        self._rows = found
        return [row for _, row in found.values()]

    def follow(self, snapshot: Snapshot) -> None:
        """Count what is new; a reading that is shown again is not counted again."""
        for one in snapshot.partitions or ():
            # From the beginning: a rate sees no start from nothing.
            self.waits.setdefault(one.name, Histogram())
        if snapshot.jobs is not None and snapshot.jobs is not self._queue:
            self._queue = snapshot.jobs
            for partition, seconds, count in snapshot.jobs.waits:
                self.waits.setdefault(partition, Histogram()).add(seconds, count)
        if snapshot.sdiag is not None and snapshot.sdiag is not self._scheduler:
            self._scheduler = snapshot.sdiag
            self.counters.follow(_counted(snapshot.sdiag))


def _counted(scheduler: Scheduler) -> dict[Hashable, int]:
    found: dict[Hashable, int] = {
        figure: value for figure, value in scheduler.figures.items() if figure.type == "counter"
    }
    for kind, table in (("type", scheduler.by_type), ("user", scheduler.by_user)):
        for name, rpcs in table.items():
            found[kind, name, "count"] = rpcs.count
            found[kind, name, "microseconds"] = rpcs.microseconds
    return found
