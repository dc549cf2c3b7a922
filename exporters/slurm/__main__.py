"""EDGE: the Slurm exporter: python -m exporters.slurm, or slurm-exporter."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from exporters import command_line, exposition, sampling
from exporters.exposition import Family
from exporters.pages import Page, PageHolder
from exporters.sampling import Source
from exporters.serving import serve
from exporters.slurm import collect, commands, parse

NAME = "slurm-exporter"
PORT = 9341
INTERVAL_MS = 5000
COMMAND_DEADLINE_S = 10.0
_HANG_S = COMMAND_DEADLINE_S + 2
"""A source counts as hung only when the command's own deadline did not end it."""


@dataclass(frozen=True)
class Kind:
    """One source: a command, how its output is read, and the families of what was read."""

    name: str
    command: tuple[str, ...]
    parse: Callable[[str], Any]
    families: Callable[[Any], Iterable[Family]]


KINDS = (
    Kind("nodes", parse.NODES_COMMAND, parse.nodes, collect.node_families),
    Kind("jobs", parse.JOBS_COMMAND, parse.jobs, collect.queue_families),
    Kind("sdiag", parse.SDIAG_COMMAND, parse.sdiag, collect.scheduler_families),
)


def read(kind: Kind) -> list[Family]:
    """Run a source's command and make its families; raises CommandError or ParseError."""
    return list(kind.families(kind.parse(commands.run(kind.command, COMMAND_DEADLINE_S))))


class Exporter:
    """The sources of one cluster."""

    def __init__(self, interval: float, pages: PageHolder) -> None:
        self._interval = interval
        self._pages = pages
        self._sources = [
            Source(kind.name, partial(read, kind), deadline=_HANG_S, max_age=2 * interval + _HANG_S) for kind in KINDS
        ]

    def run(self) -> None:
        """Sample for ever."""
        sampling.run_rounds(self._interval, lambda: self._sources, self._publish)

    def _publish(self) -> None:
        readings = [(source.name, source.reading()) for source in self._sources]
        families = [family for _, reading in readings for family in reading.value or ()]
        body = exposition.render([*families, *collect.own_families(readings)])
        max_age = 2 * self._interval + len(self._sources) * _HANG_S
        self._pages.put(Page(body, collect.problems(readings), max_age))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve Slurm metrics until told to stop."""
    parser = command_line.parser(NAME, "Slurm metrics for Prometheus.", PORT, INTERVAL_MS, "SLURM_EXPORTER")
    arguments = parser.parse_args(argv)
    command_line.log_to_stderr()
    interval = command_line.or_exit(NAME, lambda: command_line.interval_seconds(arguments.collect_interval))
    listener = command_line.listen_or_exit(NAME, arguments.address)
    pages = PageHolder()
    command_line.in_background(Exporter(interval, pages).run, "rounds")
    serve(NAME, {"/metrics": pages}, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
