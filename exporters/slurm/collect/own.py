"""What the exporter says of itself: each source's success, age, duration, size and last error. Pure."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporters import VERSION
from exporters.exposition import Family, labels, number, single
from exporters.sampling import Reading
from exporters.slurm.collect.memory import label_text


@dataclass(frozen=True)
class State:
    """One source now."""

    name: str
    core: bool
    reading: Reading[object]
    error_class: str
    """Of the last reading that failed; empty before the first."""
    bytes: int | None
    """Of the last output that came whole; None before the first."""
    lines: int | None
    interval: float
    """Seconds from one reading to the next, now."""


def families(states: Sequence[State]) -> Iterable[Family]:
    """Of all sources that are asked."""
    info = labels({"version": VERSION, "python": platform.python_version()})
    yield Family("slurm_exporter_build_info", "gauge", "Version of this exporter.", [(info, "1")])
    up = not any(state.reading.error for state in states if state.core)
    help = "1 if nodes, partitions, jobs and the scheduler were read; 0 if slurmctld or a command fails."
    yield single("slurm_up", help, int(up))
    each: tuple[tuple[str, str, str, Callable[[State], float | None]], ...] = (
        ("up", "gauge", "1 if the source's last reading is good and fresh.", lambda one: 0 if one.reading.error else 1),
        (
            "age_seconds",
            "gauge",
            "Seconds from the source's last good reading to this page.",
            lambda one: _rounded(one.reading.age, 3),
        ),
        (
            "duration_seconds",
            "gauge",
            "Seconds the source's last reading took.",
            lambda one: _rounded(one.reading.duration, 6),
        ),
        (
            "interval_seconds",
            "gauge",
            "Seconds between two readings now: more where the command is slow or fails.",
            lambda one: _rounded(one.interval, 3),
        ),
        ("bytes", "gauge", "Bytes of the command's last output.", lambda one: one.bytes),
        ("lines", "gauge", "Lines of the command's last output.", lambda one: one.lines),
        ("failures_total", "counter", "Readings of the source that failed or hung.", lambda one: one.reading.failures),
    )
    for name, type, help, value in each:
        samples = [
            (label_text(("source", state.name)), number(found))
            for state in states
            if (found := value(state)) is not None
        ]
        yield Family(f"slurm_exporter_source_{name}", type, help, samples)
    samples = [
        (label_text(("source", state.name), ("class", state.error_class or "hang")), "1")
        for state in states
        if state.reading.error and state.reading.failures
    ]
    help = "What kind of error a source has now: timeout, controller, authentication, missing, parse ..."
    yield Family("slurm_exporter_source_error_info", "gauge", help, samples)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def problems(states: Sequence[State]) -> list[str]:
    """What makes this exporter unhealthy."""
    return [f"{state.name}: {state.reading.error}" for state in states if state.reading.error]
