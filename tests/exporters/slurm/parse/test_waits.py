"""A job's wait is counted when it has started, once, whatever outputs show it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.jobs import WAIT_LAG_S, Jobs
from tests.exporters.slurm.building import NOW, job_line, queue, read, started

LONG_AGO = 500


def waits(parser: Jobs, now: float, *lines: bytes) -> list[tuple[str, int, int]]:
    return list(read(parser, b"".join(lines), now).waits)


def begun() -> Jobs:
    """A parser that has seen an output at NOW."""
    parser = Jobs()
    assert waits(parser, NOW) == []
    return parser


def test_those_that_ran_before_the_first_output_are_not_counted() -> None:
    assert queue(started(0), started(WAIT_LAG_S), started(LONG_AGO)).waits == ()


def test_counted_once_over_many_outputs() -> None:
    parser = begun()
    line = started(-10, waited=70)
    found = [waits(parser, NOW + later, line) for later in (5, 10, 20, 25, 30, 40, 500)]
    assert found == [[], [], [], [("gpu", 70, 1)], [], [], []]


def test_waits_of_the_same_length_are_counted_together() -> None:
    lines = [started(-5, 9), started(-6, 9), started(-5, 3), started(-5, 9, partition="long")]
    assert waits(begun(), NOW + 60, *lines) == [("gpu", 9, 2), ("gpu", 3, 1), ("long", 9, 1)]


def test_a_job_that_has_ended_meanwhile_counts() -> None:
    lines = [started(-5, 4, state=state) for state in ("COMPLETED", "FAILED", "TIMEOUT", "COMPLETING")]
    assert waits(begun(), NOW + 60, *lines) == [("gpu", 4, 1)] * 4


@pytest.mark.parametrize("state", ["CANCELLED", "DEADLINE", "PENDING"])
def test_a_job_that_ended_while_pending_has_not_started(state: str) -> None:
    assert waits(begun(), NOW + 60, started(-5, 4, state=state)) == []


def test_a_job_that_started_before_it_was_eligible_waited_no_time() -> None:
    assert waits(begun(), NOW + 60, started(-5, -30)) == [("gpu", 0, 1)]


@pytest.mark.parametrize("column", ["starttime", "eligibletime"])
@pytest.mark.parametrize("text", ["N/A", "Unknown", ""])
def test_times_that_are_not_known(column: str, text: str) -> None:
    assert waits(begun(), NOW + 60, started(-5, **dict[str, Any]({column: text}))) == []


def test_an_output_that_cannot_be_read_loses_none() -> None:
    parser = begun()
    with pytest.raises(ParseError):
        read(parser, started(-5, 4) + b"cut", NOW + 60)
    assert waits(parser, NOW + 65, started(-5, 4)) == [("gpu", 4, 1)]
    assert waits(parser, NOW + 70, started(-5, 4)) == []


def test_a_clock_that_goes_back_counts_none_twice() -> None:
    parser = begun()
    assert waits(parser, NOW + 60, started(-5, 4)) == [("gpu", 4, 1)]
    assert waits(parser, NOW - 60, started(-5, 4)) == []
    assert waits(parser, NOW + 90, started(-5, 4)) == []


def test_a_clock_that_is_set_back_for_good_begins_anew() -> None:
    parser = begun()
    assert waits(parser, NOW + 86400, started(-5, 4)) == [("gpu", 4, 1)]
    assert waits(parser, NOW, started(-5, 4)) == []
    assert waits(parser, NOW + 60, started(10, 4)) == [("gpu", 4, 1)]


def test_jobs_whose_nodes_boot_are_not_counted_yet() -> None:
    """They get another start when the nodes are there."""
    parser = begun()
    line = job_line(state="CONFIGURING", starttime=NOW - 5, eligibletime=NOW - 9)
    assert waits(parser, NOW + 60, line) == []


def test_the_tasks_of_an_array_start_one_by_one() -> None:
    parser = begun()
    lines = [job_line(arraytaskid="2-99"), started(-5, 4, arraytaskid="0"), started(-6, 5, arraytaskid="1")]
    assert waits(parser, NOW + 60, *lines) == [("gpu", 4, 1), ("gpu", 5, 1)]


@given(
    st.lists(st.integers(1, 300), max_size=20),
    st.lists(st.floats(0.1, 60), min_size=1, max_size=20),
)
def test_every_start_is_counted_exactly_once(starts: list[int], pauses: list[float]) -> None:
    parser, now, counted = begun(), float(NOW), 0
    for pause in (*pauses, 400.0, 5.0):
        now += pause
        lines = [started(-start, 2) for start in starts if NOW + start <= now]
        counted += sum(count for _, _, count in waits(parser, now, *lines))
    assert counted == len(starts)
