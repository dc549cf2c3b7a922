from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from bootstrap.supervisord_plugin import MAX_LINE_BYTES, PodLog, Waker


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """(read end, write end), both blocking as a container's stdout is."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            pass  # the test closed it


def read(descriptor: int) -> bytes:
    """What is in a pipe now."""
    os.set_blocking(descriptor, False)
    data = b""
    try:
        while piece := os.read(descriptor, 65536):
            data += piece
    except BlockingIOError:
        pass
    return data


def test_lines_are_put_together_by_program(pipe: tuple[int, int]) -> None:
    log = PodLog(pipe[1])
    log.output("a", b"one\ntw")
    log.output("b", b"eins\n")
    log.output("a", b"o\n\nthr")
    log.output("a", b"ee")
    assert read(pipe[0]) == b"[a] one\n[b] eins\n[a] two\n[a] \n"
    log.end("a")
    log.end("a")
    log.end("b")
    assert read(pipe[0]) == b"[a] three\n"


def test_bytes_pass_as_they_are(pipe: tuple[int, int]) -> None:
    PodLog(pipe[1]).output("a", b"\xff\x00\x1b[31m\r\n")
    assert read(pipe[0]) == b"[a] \xff\x00\x1b[31m\r\n"


@pytest.mark.parametrize("size", [MAX_LINE_BYTES, MAX_LINE_BYTES + 1, 3 * MAX_LINE_BYTES])
@pytest.mark.parametrize("piece", [1000, 100_000])
def test_long_line_is_cut_and_nothing_of_it_is_lost(pipe: tuple[int, int], size: int, piece: int) -> None:
    log = PodLog(pipe[1])
    text = b"x" * size + b"\n"
    for start in range(0, len(text), piece):
        log.output("a", text[start : start + piece])
    lines = read(pipe[0]).split(b"\n")
    assert lines.pop() == b""
    assert all(line.startswith(b"[a] ") and len(line) <= select.PIPE_BUF for line in lines)
    assert b"".join(line[4:] for line in lines) == b"x" * size


def test_line_without_an_end_is_not_kept_for_ever(pipe: tuple[int, int]) -> None:
    log = PodLog(pipe[1])
    log.output("a", b"x" * (MAX_LINE_BYTES + 10))
    assert len(read(pipe[0])) == MAX_LINE_BYTES + 5


def test_reader_that_does_not_read_costs_lines_not_time(pipe: tuple[int, int]) -> None:
    """A blocking write would stop this test: nobody reads until all is written."""
    log = PodLog(pipe[1])
    count = 2000
    for number in range(count):
        log.output("a", b"%d %s\n" % (number, b"x" * 500))
    kept = read(pipe[0]).splitlines()
    assert 0 < len(kept) < count
    assert [int(line.split()[1]) for line in kept] == list(range(len(kept)))
    log.output("a", b"later\n")
    dropped = b"[supervisord] %d lines were dropped: stdout was not read\n" % (count - len(kept))
    assert read(pipe[0]) == dropped + b"[a] later\n"
    log.output("a", b"last\n")
    assert read(pipe[0]) == b"[a] last\n"


def test_reader_that_went_away(pipe: tuple[int, int]) -> None:
    log = PodLog(pipe[1])
    os.close(pipe[0])
    log.output("a", b"one\ntwo\n")
    log.end("a")


@pytest.fixture
def waker() -> Iterator[tuple[Waker, dict[int, object]]]:
    """A waker and the socket map it is in; the process's wake-up descriptor is put back."""
    before = signal.set_wakeup_fd(-1)
    sockets: dict[int, object] = {}
    made = Waker(sockets)
    yield made, sockets
    write = signal.set_wakeup_fd(before)
    for descriptor in (write, *sockets):
        os.close(descriptor)


def readable(sockets: dict[int, object]) -> bool:
    return bool(select.select(list(sockets), [], [], 0)[0])


def test_waker_ends_a_poll(waker: tuple[Waker, dict[int, object]]) -> None:
    made, sockets = waker
    assert list(sockets.values()) == [made]
    assert (made.readable(), made.writable()) == (True, False)
    assert not readable(sockets)
    made.wake()
    made.wake("any", "argument")
    assert readable(sockets)
    made.handle_read_event()
    assert not readable(sockets)
    made.handle_read_event()


def test_waker_is_never_full(waker: tuple[Waker, dict[int, object]]) -> None:
    made, sockets = waker
    for _ in range(100_000):
        made.wake()
    assert readable(sockets)


def test_signal_wakes(waker: tuple[Waker, dict[int, object]]) -> None:
    _, sockets = waker
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        assert select.select(list(sockets), [], [], 30)[0]
    finally:
        signal.signal(signal.SIGUSR1, before)
