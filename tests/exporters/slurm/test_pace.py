from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.pace import MOST_AFTER_FAILURE_S, MOST_S, pause

SECONDS = st.floats(0, 1000)


@pytest.mark.parametrize(
    ("duration", "seconds"), [(0.0, 5.0), (0.4, 5.0), (0.5, 5.0), (0.6, 6.0), (3.0, 30.0), (6.0, 60.0), (9.0, 60.0)]
)
def test_what_takes_long_is_asked_less_often(duration: float, seconds: float) -> None:
    assert pause(5.0, duration, 0) == seconds


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5.0), (2, 10.0), (3, 20.0), (4, 30.0), (5, 30.0), (10**6, 30.0)])
def test_what_fails_is_asked_later_each_time(failures: int, seconds: float) -> None:
    assert pause(5.0, 0.1, failures) == seconds


@pytest.mark.parametrize(("duration", "seconds"), [(2.0, 5.0), (4.0, 8.0), (10.0, 20.0), (20.0, 30.0)])
def test_what_fails_slowly_is_asked_after_twice_its_time(duration: float, seconds: float) -> None:
    assert pause(5.0, duration, 1) == seconds


@given(st.floats(0.1, 3600), SECONDS, st.integers(0, 50))
def test_never_more_often_than_the_interval_nor_later_than_the_most(
    interval: float, duration: float, failures: int
) -> None:
    most = MOST_AFTER_FAILURE_S if failures else MOST_S
    assert interval <= pause(interval, duration, failures) <= max(interval, most)


@given(st.floats(0.1, 60), SECONDS, st.integers(1, 20))
def test_more_failures_never_make_it_sooner(interval: float, duration: float, failures: int) -> None:
    assert pause(interval, duration, failures + 1) >= pause(interval, duration, failures)
