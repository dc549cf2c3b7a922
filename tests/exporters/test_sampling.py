from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from exporters.sampling import Source, run_rounds
from exporters.sampling import ask as ask_all

LONG_S = 60.0
"""Longer than any test takes."""


def soon() -> float:
    """The latest moment to wait for."""
    return time.monotonic() + LONG_S


def until(condition: Callable[[], bool]) -> None:
    """Poll until a condition holds; fails after a long time."""
    deadline = soon()
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Fake:
    """Something to read: answers, fails or hangs as it is told."""

    def __init__(self) -> None:
        self.answer: int | Exception = 0
        self.reads = 0
        self.threads: set[int] = set()
        self.go = threading.Event()
        self.go.set()

    def read(self) -> int:
        self.reads += 1
        self.threads.add(threading.get_ident())
        self.go.wait(LONG_S)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def fake() -> Iterator[Fake]:
    """No thread hangs after the test."""
    made = Fake()
    yield made
    made.go.set()


def source(fake: Fake, deadline: float = LONG_S, max_age: float = LONG_S) -> Source[int]:
    return Source("thing", fake.read, deadline=deadline, max_age=max_age)


def ask(made: Source[int]) -> None:
    made.request()
    made.wait(soon())


def test_before_the_first_reading(fake: Fake) -> None:
    found = source(fake).reading()
    assert (found.value, found.error, found.age, found.duration, found.failures) == (
        None,
        "not read yet",
        None,
        None,
        0,
    )
    assert fake.reads == 0


def test_success(fake: Fake) -> None:
    fake.answer = 7
    made = source(fake)
    ask(made)
    found = made.reading()
    assert (found.value, found.error, found.failures) == (7, "", 0)
    assert found.age is not None
    assert found.duration is not None
    assert found.age >= found.duration >= 0


@pytest.mark.parametrize(
    ("failure", "error"),
    [(ValueError("no such thing"), "no such thing"), (KeyError(), "KeyError"), (OSError(), "OSError")],
)
def test_failure_withholds_the_value_and_recovers(fake: Fake, failure: Exception, error: str) -> None:
    made = source(fake)
    ask(made)
    fake.answer = failure
    ask(made)
    ask(made)
    found = made.reading()
    assert (found.value, found.error, found.reason, found.failures) == (None, error, error, 2)
    assert found.age is not None
    fake.answer = 8
    ask(made)
    found = made.reading()
    assert (found.value, found.error, found.reason, found.failures) == (8, "", "", 2)


def test_change_of_failure_is_logged_once(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    made = source(fake)
    for answer in (1, ValueError("a"), ValueError("a"), ValueError("b"), 2, 3):
        fake.answer = answer
        ask(made)
    assert [record.getMessage() for record in caplog.records] == ["thing: a", "thing: b", "thing: works again"]


def test_hang_withholds_the_value_and_is_counted_once(fake: Fake) -> None:
    made = source(fake, deadline=0.0)
    fake.answer = 1
    made.request()
    until(lambda: made.reading().value == 1)
    failures = made.reading().failures
    fake.go.clear()
    made.request()
    until(lambda: made.reading().error.startswith("no answer for "))
    assert (made.reading().value, made.reading().reason) == (None, "no answer")
    assert made.reading().failures == failures + 1
    fake.answer = 2
    fake.go.set()
    until(lambda: made.reading().value == 2)
    assert made.reading().failures == failures + 1


def test_hang_that_ends_in_a_failure_counts_once(fake: Fake) -> None:
    made = source(fake, deadline=0.0)
    fake.go.clear()
    made.request()
    until(lambda: made.reading().failures == 1)
    fake.answer = ValueError("late")
    fake.go.set()
    until(lambda: made.reading().error == "late")
    assert made.reading().failures == 1


def test_source_under_way_is_not_asked_again_and_has_one_thread(fake: Fake) -> None:
    made = source(fake)
    fake.go.clear()
    made.request()
    until(lambda: fake.reads == 1)
    before = threading.active_count()
    for _ in range(50):
        made.request()
    assert threading.active_count() == before
    fake.go.set()
    made.wait(soon())
    assert fake.reads == 1
    for _ in range(10):
        ask(made)
    assert fake.reads == 11
    assert len(fake.threads) == 1


def test_wait_returns_for_a_hang_and_at_its_time(fake: Fake) -> None:
    fake.go.clear()
    made = source(fake)
    made.request()
    made.wait(time.monotonic() - 1)
    assert made.reading().error == "not read yet"
    hanging = source(fake, deadline=0.01)
    hanging.request()
    until(lambda: hanging.reading().failures == 1)
    hanging.wait(soon())
    assert hanging.reading().error.startswith("no answer for")


def test_old_value_is_withheld(fake: Fake) -> None:
    made = source(fake, max_age=-1)
    ask(made)
    found = made.reading()
    assert (found.value, found.error, found.failures) == (None, "last read 0 s ago", 0)
    assert found.reason == "last read too long ago"


def test_stopped_source_ends_its_thread(fake: Fake) -> None:
    before = threading.active_count()
    made = source(fake)
    ask(made)
    assert threading.active_count() == before + 1
    made.stop()
    until(lambda: threading.active_count() == before)


class EnoughError(Exception):
    """Ends the rounds."""


def test_rounds_ask_everyone_and_publish_though_one_hangs_and_a_page_fails(
    fake: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = Fake()
    hanging.go.clear()
    fine, stuck = source(fake), source(hanging, deadline=0.05)
    seen: list[tuple[int | None, str]] = []
    rounds = 4

    def sources() -> list[Source[int]]:
        if len(seen) == rounds:
            raise EnoughError
        return [stuck, fine]

    def publish() -> None:
        fake.answer = len(seen) + 1
        seen.append((fine.reading().value, stuck.reading().error[:13]))
        if len(seen) == 1:
            raise ValueError("a bug in one round")

    with pytest.raises(EnoughError):
        run_rounds(0.1, sources, publish)
    hanging.go.set()
    assert [value for value, _ in seen] == [0, 1, 2, 3]
    assert {error for _, error in seen} == {"no answer for"}
    assert (fake.reads, hanging.reads) == (rounds, 1)
    messages = [record.getMessage() for record in caplog.records]
    assert messages == ["thing: no answer for 0 s", "a round could not be published"]


def test_a_slow_source_keeps_no_round_from_being_published_in_time(fake: Fake) -> None:
    slow = Fake()
    slow.go.clear()
    fine, late = source(fake), source(slow)
    published: list[float] = []

    def sources() -> list[Source[int]]:
        if len(published) == 3:
            raise EnoughError
        return [late, fine]

    began = time.monotonic()
    with pytest.raises(EnoughError):
        run_rounds(0.05, sources, lambda: published.append(time.monotonic()))
    slow.go.set()
    assert time.monotonic() - began < LONG_S / 2
    assert (fake.reads, slow.reads, late.reading().failures) == (3, 1, 0)


def test_those_behind_one_that_takes_long_are_asked_meanwhile() -> None:
    slow, fast = Fake(), [Fake() for _ in range(8)]
    slow.go.clear()
    late = source(slow)
    others = [source(one) for one in fast]

    def release() -> None:
        until(lambda: all(one.reads for one in fast))
        slow.go.set()

    threading.Thread(target=release).start()
    ask_all([late, *others], LONG_S)
    assert [one.reading().error for one in (late, *others)] == [""] * 9


def test_what_hangs_is_named(fake: Fake, caplog: pytest.LogCaptureFixture) -> None:
    fake.go.clear()
    made = Source("thing", fake.read, deadline=0.0, max_age=LONG_S, doing=lambda: "a call")
    made.request()
    until(lambda: made.reading().error == "no answer from a call for 0 s")
    assert made.reading().reason == "no answer from a call"
    caplog.set_level("INFO")
    fake.go.set()
    until(lambda: made.reading().value == 0)
    assert [record.getMessage() for record in caplog.records] == ["thing: no answer from a call for 0 s"]


def test_what_comes_then_is_called_once_for_each_reading(fake: Fake) -> None:
    made = source(fake)
    ended: list[str] = []
    fake.go.clear()
    assert made.request(lambda: ended.append("first"))
    assert not made.request(lambda: ended.append("refused"))
    assert ended == []
    fake.go.set()
    until(lambda: ended == ["first"])
    ask(made)
    assert ended == ["first"]


def test_one_that_is_late_from_the_round_before_begins_nobody_twice(fake: Fake) -> None:
    late = Fake()
    late.go.clear()
    stuck, fine = source(late), source(fake)
    for rounds in (1, 2, 3):
        ask_all([stuck, fine], 0.05)
        fine.wait(soon())
        until(lambda: late.reads == 1)
        assert (late.reads, fake.reads) == (1, rounds)
    late.go.set()
    stuck.wait(soon())
    ask_all([stuck, fine], LONG_S)
    assert (late.reads, fake.reads) == (2, 4)
    ask_all([], LONG_S)
