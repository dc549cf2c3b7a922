"""No label that people make up has more values than a limit: the rest is summed as `other`. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from exporters.exposition import Family, labels, number, single
from exporters.slurm.collect.memory import Memory

Row = TypeVar("Row")

OTHER = "other"


class Bounds:
    """The limits of one page, and what fell under them."""

    def __init__(self, limit: int, memory: Memory) -> None:
        self.limit = limit
        self._memory = memory
        self._folded: dict[str, int] = {}

    def largest(
        self, label: str, rows: Mapping[str, Row], weight: Callable[[Row], float], add: Callable[[Row, Row], Row]
    ) -> dict[str, Row]:
        """The rows that weigh most under their names, the others added up."""
        if len(rows) <= self.limit:
            self._folded.setdefault(label, 0)
            return dict(rows)
        return self._fold(label, rows, sorted(rows, key=lambda name: (-weight(rows[name]), name))[: self.limit], add)

    def first(self, label: str, rows: Mapping[str, Row], add: Callable[[Row, Row], Row]) -> dict[str, Row]:
        """The rows whose names came first, ever: for counters, whose sum would go back if its parts changed."""
        known = self._memory.names.setdefault(label, {})
        for name in rows:
            if len(known) >= self.limit:
                break
            known[name] = None
        return self._fold(label, rows, [name for name in rows if name in known], add)

    def _fold(
        self, label: str, rows: Mapping[str, Row], kept: Iterable[str], add: Callable[[Row, Row], Row]
    ) -> dict[str, Row]:
        found = {name: rows[name] for name in kept}
        rest = [row for name, row in rows.items() if name not in found]
        for row in rest:
            found[OTHER] = add(found[OTHER], row) if OTHER in found else row
        self._folded[label] = max(self._folded.get(label, 0), len(rest))
        return found

    def folded(self, label: str, count: int) -> None:
        """Tell of values that were left out elsewhere."""
        self._folded[label] = max(self._folded.get(label, 0), count)

    def families(self) -> Iterable[Family]:
        """What was folded."""
        help = "Values of a label beyond its limit, which are summed as `other` (of jobs: left out)."
        samples = [(labels({"label": label}), number(count)) for label, count in sorted(self._folded.items())]
        yield Family("slurm_exporter_label_values_folded", "gauge", help, samples)
        yield single("slurm_exporter_label_values_limit", "Most values of a label that people make up.", self.limit)
