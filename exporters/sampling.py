"""EDGE: background reading of sources, each in a thread of its own, so that one that hangs is alone.

A thread stuck in a C call cannot be ended. So a source has one thread for good: while it is stuck the source is
not asked again, its last value is withheld, and it comes back by itself when the call returns.
"""

from __future__ import annotations

import functools
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

HEAD_START_S = 0.005
"""For which a source is read alone, at least: side by side they would only contend for Python's lock."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading(Generic[T_co]):
    """What a source has to say now. Times in seconds."""

    value: T_co | None
    """Of the last attempt, only if it succeeded and is not older than the source allows."""
    error: str
    """Why there is no value; empty otherwise."""
    age: float | None
    """Since the last success began to be read; None before the first."""
    duration: float | None
    """Of the last finished attempt."""
    failures: int
    """Attempts that failed or went over the deadline, since start."""
    reason: str = ""
    """The error without what changes while it lasts, such as its seconds: fit for a label."""


class Source(Generic[T]):
    """One thing to read, at most once at a time."""

    def __init__(
        self,
        name: str,
        read: Callable[[], T],
        *,
        deadline: float,
        max_age: float,
        doing: Callable[[], str] = lambda: "",
    ) -> None:
        """deadline: seconds after which an attempt counts as hung; max_age: seconds a value may be served.

        doing: what an attempt that is under way is at, for the message of one that hangs.
        """
        self.name = name
        self.deadline = deadline
        self.max_age = max_age
        self._read = read
        self._doing = doing
        self._lock = threading.Lock()
        # Both without a condition variable: eight GPUs' would cost more than reading the GPUs.
        self._orders: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._idle = threading.Lock()  # held, whoever takes it, while a reading is under way
        self._busy_since: float | None = None
        self._hang_counted = False
        self._value: T | None = None
        self._error = "not read yet"
        self._value_time: float | None = None
        self._duration: float | None = None
        self._failures = 0
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def request(self, then: Callable[[], None] = lambda: None) -> bool:
        """Ask for a new reading, and for a call as it ends; False, and nothing happens, while one is under way."""
        if not self._idle.acquire(blocking=False):
            return False
        with self._lock:
            self._busy_since = time.monotonic()
            self._hang_counted = False
        self._orders.put(then)
        return True

    def wait(self, until: float) -> None:
        """Return when no reading is under way, or at a time (monotonic) at the latest; at once where one hangs."""
        with self._lock:
            if self._busy_since is None:
                return
            left = min(until, self._busy_since + self.deadline) - time.monotonic()
        if left > 0 and self._idle.acquire(timeout=left):
            self._idle.release()

    def stop(self) -> None:
        """End the thread once it is idle: this source is not read any more."""
        self._orders.put(None)

    def reading(self) -> Reading[T]:
        """The state now."""
        with self._lock:
            now = time.monotonic()
            age = None if self._value_time is None else now - self._value_time
            error = reason = self._error
            if self._busy_since is not None and self._hung(now):
                doing = self._doing()
                reason = f"no answer{doing and f' from {doing}'}"
                error = f"{reason} for {now - self._busy_since:.0f} s"
                if not self._hang_counted:
                    self._hang_counted = True
                    self._failures += 1
                    log.warning("%s: %s", self.name, error)
            elif not error and age is not None and age > self.max_age:
                reason, error = "last read too long ago", f"last read {age:.0f} s ago"
            return Reading(None if error else self._value, error, age, self._duration, self._failures, reason)

    def _hung(self, now: float) -> bool:
        return self._busy_since is not None and now - self._busy_since > self.deadline

    def _run(self) -> None:
        while then := self._orders.get():
            value, error, started = None, "", time.monotonic()
            try:
                value = self._read()
            except Exception as failure:  # noqa: BLE001  # a source that fails must not end its thread
                error = str(failure) or type(failure).__name__
            with self._lock:
                if error and error != self._error:
                    log.warning("%s: %s", self.name, error)
                elif not error and (self._error or self._hang_counted) and self._value_time is not None:
                    log.info("%s: works again", self.name)
                self._duration = time.monotonic() - started
                self._error = error
                self._value = value
                if error:
                    self._failures += not self._hang_counted
                else:
                    self._value_time = started
                self._busy_since = None
                self._idle.release()
            then()


class _Turns:
    """Sources, each begun by the one before it as that ends: half the hand-overs of beginning each from one thread."""

    def __init__(self, sources: Sequence[Source[T]]) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self.begun = 0
        self.over = threading.Lock()  # held until all have had their turn
        self.over.acquire()

    def pass_on(self, turn: int) -> None:
        """The source of that turn (0: none yet) has ended, or has had its head start: the next one's turn begins."""
        with self._lock:
            if turn != self.begun:
                return  # it has begun before this one ended
            for source in self._sources[turn:]:
                self.begun += 1
                if source.request(functools.partial(self.pass_on, self.begun)):
                    return
            self.begun += 1
            self.over.release()


def ask(sources: Sequence[Source[T]], most: float) -> None:
    """Request new readings, each a little after the one before, and wait for them for so many seconds at the most."""
    until = time.monotonic() + most
    head_start = min(HEAD_START_S, most / 10 / max(1, len(sources)))
    turns = _Turns(sources)
    turns.pass_on(0)
    begun = turns.begun
    while not turns.over.acquire(timeout=head_start):
        turns.pass_on(begun)  # which does nothing where they get on by themselves
        begun = turns.begun
    for source in sources:
        source.wait(until)


def run_rounds(interval: float, sources: Callable[[], Sequence[Source[T]]], publish: Callable[[], None]) -> None:
    """For ever: ask all sources, wait for those that are not hung, publish. Interval in seconds.

    A source that has not answered after its deadline or an interval is not waited for: the others are published
    in time, and its last value stands until its deadline or age takes it away.
    """
    tick = time.monotonic()
    while True:
        ask(sources(), interval)
        try:
            publish()
        except Exception:  # a bug in one round must not freeze the page: it ages, and is withheld when it is old
            log.exception("a round could not be published")
        tick = max(tick + interval, time.monotonic())
        time.sleep(max(0.0, tick - time.monotonic()))
