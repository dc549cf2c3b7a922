from __future__ import annotations

import os
import select
import signal
import threading
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from supervisor.xmlrpc import SupervisorTransport

from bootstrap.supervisord_plugin import MAX_LINE_BYTES, PodLog, Waker
from tests.bootstrap import daemon


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


# It is told to stop, tells so and does this; without `exit` it goes on.
PROGRAM = """\
stop() {{
    echo told
    touch {name}.told
    {then}
}}
trap stop TERM
echo $$ >{name}.pid
echo ready
while :; do sleep 0.05; done
"""
WAIT_FOR_ALL = "for each in {names}; do until [ -e $each.told ]; do sleep 0.02; done; done; exit 0"
LOOK_FOR = "for each in {names}; do ! kill -0 $(cat $each.pid) || echo $each still runs; done; exit 0"


def program(folder: Path, name: str, priority: int, then: str, patience_s: int = 1000) -> dict[str, object]:
    """A supervisord program that does something when it is told to stop."""
    (folder / name).write_text(PROGRAM.format(name=name, then=then))
    command = f"/bin/bash {folder / name}"
    return {"command": command, "directory": folder, "priority": priority, "stopwaitsecs": patience_s}


def test_programs_of_a_step_stop_together_and_before_the_step_below(tmp_path: Path) -> None:
    """Each of a step ends only once all of it have been told: told one after the other, none would ever end."""
    names = ["upper-a", "upper-b", "upper-c"]
    all_told = WAIT_FOR_ALL.format(names=" ".join(names))
    programs = {name: program(tmp_path, name, 20, all_told) for name in names}
    programs["lower"] = program(tmp_path, "lower", 10, LOOK_FOR.format(names=" ".join(names)))
    # Not running, it is none that could be told to stop, and does not hold up the others.
    programs["failing"] = {"command": "/bin/false", "priority": 20, "startsecs": 1}
    programs["finished"] = {"command": "/bin/true", "priority": 20, "autorestart": "false"}
    with daemon.running(tmp_path, programs) as supervisord:
        supervisord.wait_for_lines(*(f"[{name}] ready" for name in (*names, "lower")))
        assert supervisord.stop() == 0
    log = supervisord.log()
    assert sorted(supervisord.stopped()[:3]) == names, log
    assert supervisord.stopped()[3:] == ["lower"], log
    assert "still runs" not in log
    for name in (*names, "lower"):
        assert log.count(f"[{name}] told\n") == 1, log


def test_program_that_does_not_stop_is_killed_while_its_step_waits(tmp_path: Path) -> None:
    """The two have their second at the same time, and the one below is told when it is over for both."""
    programs = {name: program(tmp_path, name, 20, ":", patience_s=1) for name in ("deaf-a", "deaf-b")}
    programs["lower"] = program(tmp_path, "lower", 10, LOOK_FOR.format(names="deaf-a deaf-b"))
    with daemon.running(tmp_path, programs) as supervisord:
        supervisord.wait_for_lines(*(f"[{name}] ready" for name in programs))
        assert supervisord.stop() == 0
    log = supervisord.log()
    assert sorted(supervisord.stopped()[:2]) == ["deaf-a", "deaf-b"], log
    assert supervisord.stopped()[2:] == ["lower"], log
    assert "still runs" not in log
    own = (tmp_path / "log").read_text()
    killed = [own.index(f"killing '{name}'") for name in ("deaf-a", "deaf-b")]
    ended = [own.index(f"stopped: {name}") for name in ("deaf-a", "deaf-b")]
    assert max(killed) < min(ended), own


def test_program_that_is_stopped_alone_stops_alone(tmp_path: Path) -> None:
    programs = {name: program(tmp_path, name, 20, "exit 0") for name in ("one", "other")}
    with daemon.running(tmp_path, programs) as supervisord:
        supervisord.wait_for_lines("[one] ready", "[other] ready")
        transport = SupervisorTransport(None, None, f"unix://{supervisord.socket}")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            assert proxy.supervisor.stopProcess("one") is True
            found: Any = proxy.supervisor.getAllProcessInfo()
        states = {program["name"]: program["statename"] for program in found}
        assert states == {"one": "STOPPED", "other": "RUNNING"}
        assert supervisord.stopped() == ["one"]
        assert not (tmp_path / "other.told").exists()
