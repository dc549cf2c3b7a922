"""EDGE: the Slurm exporter's rounds: sources that are due, each in its own thread -> the metrics and the targets."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from exporters import exposition, sampling
from exporters.pages import Page, PageHolder
from exporters.sampling import Source
from exporters.slurm import collect, commands, discovery, pace
from exporters.slurm.collect import own
from exporters.slurm.collect.memory import Memory
from exporters.slurm.parse import ParseError
from exporters.slurm.parse.controller import Config
from exporters.slurm.sources import KINDS, Kind, Options, Snapshot

_GRACE_S = 2.0
"""A source counts as hung only when the command's own deadline did not end it."""
_LONGEST_S = max(kind.deadline for kind in KINDS) + _GRACE_S

log = logging.getLogger(__name__)


class Asked:
    """One source: its command, and when it is due. Its thread reads, the rounds' thread does all else."""

    def __init__(self, kind: Kind, options: Options, interval: float) -> None:
        self.kind = kind
        self._argv = kind.command(options)
        self._parser = kind.parser(options)
        self._least = max(interval, kind.every)
        self._asked = 0.0
        self._pause = self._least
        self._failures = 0
        self._seen: tuple[int, float | None] = (0, None)
        self.due = 0.0
        self.bytes: int | None = None
        self.lines: int | None = None
        self.error_class = ""
        self.source: Source[Any] = Source(kind.name, self._read, deadline=kind.deadline + _GRACE_S, max_age=0.0)
        self._set_pause(self._least)

    def _read(self) -> object:
        size = lines = 0
        self._parser.begin(time.time())

        def take(chunk: bytes) -> None:
            nonlocal size, lines
            size += len(chunk)
            lines += chunk.count(b"\n")
            self._parser.feed(chunk)

        failure = "internal"
        try:
            commands.run(self._argv, self.kind.deadline, take, any_status=self.kind.any_status)
            value: object = self._parser.finish()
            failure = ""
        except commands.CommandError as error:
            failure = error.kind
            raise
        except ParseError:
            failure = "parse"
            raise
        finally:
            self.error_class = failure
        self.bytes, self.lines = size, lines
        return value

    def ask(self, now: float) -> None:
        """It is about to be read (monotonic seconds)."""
        self._asked = now
        self.due = now + self._pause

    def judge(self) -> bool:
        """After a round: when it is asked again. True where it works again after failures."""
        reading = self.source.reading()
        failed = bool(reading.error)
        recovered = self._failures > 0 and not failed
        if not failed:
            self._failures = 0
        elif (reading.failures, reading.duration) != self._seen:
            self._failures += 1
        self._seen = (reading.failures, reading.duration)
        self._set_pause(pace.pause(self._least, reading.duration or 0.0, self._failures))
        return recovered

    def _set_pause(self, seconds: float) -> None:
        if seconds > max(2 * self._pause, self._least) and seconds >= 2 * self._least:
            log.info("%s: asked every %.0f s now", self.kind.name, seconds)
        self._pause = seconds
        self.due = self._asked + seconds if self._asked else 0.0
        self.source.max_age = 2 * seconds + self.kind.deadline + _GRACE_S

    def state(self) -> own.State:
        """What is said of it."""
        kind, reading = self.kind, self.source.reading()
        return own.State(kind.name, kind.core, reading, self.error_class, self.bytes, self.lines, self._pause)


class Exporter:
    """The sources of one cluster."""

    def __init__(
        self, interval: float, options: Options, gpu_port: int, own_port: int, kinds: Sequence[Kind] = KINDS
    ) -> None:
        """interval in seconds; gpu_port: of the nodes' GPU exporters."""
        self.metrics = PageHolder()
        self.targets = PageHolder()
        self._interval = interval
        self._options = options
        self._ports = gpu_port, own_port
        self._asked = {kind.name: Asked(kind, options, interval) for kind in kinds}
        self._memory = Memory()
        self._renderer = exposition.Renderer()
        self._config: Config | None = None

    def run(self) -> None:
        """Sample for ever."""
        sampling.run_rounds(self._interval, self.due, self.publish)

    def _wanted(self) -> list[Asked]:
        accounting = self._config is not None and self._config.accounting
        return [asked for asked in self._asked.values() if accounting or not asked.kind.accounting]

    def due(self, everything: bool = False) -> list[Source[Any]]:
        """What is to be read in this round."""
        now = time.monotonic()
        # A little early rather than a whole interval late.
        due = [asked for asked in self._wanted() if everything or asked.due <= now + self._interval / 10]
        for asked in due:
            asked.ask(now)
        return [asked.source for asked in due]

    def publish(self) -> None:
        """Make the pages of what was read."""
        # Who failed may find slurmctld well as soon as anyone does.
        recovered = [asked for asked in self._wanted() if asked.judge()]
        if recovered:
            for asked in self._wanted():
                if asked.source.reading().error:
                    asked.due = 0.0
        states = [asked.state() for asked in self._wanted()]
        values = {state.name: state.reading.value for state in states}
        snapshot = Snapshot(now=time.time(), **values)  # type: ignore[arg-type]
        if snapshot.config is not None:
            self._config = snapshot.config
        families = [*collect.families(snapshot, self._options, self._memory), *own.families(states)]
        problems = own.problems(states)
        max_age = 2 * self._interval + _LONGEST_S
        self.metrics.put(Page(self._renderer.render(families), problems, max_age))
        # Without a list Prometheus keeps the last one that it got. Labels must not change as the configuration fails.
        if snapshot.nodes is not None and self._config is not None:
            body = discovery.targets(snapshot.nodes, self._config, *self._ports)
            self.targets.put(Page(body, [], max_age, discovery.CONTENT_TYPE))
