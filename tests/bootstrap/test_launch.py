from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LAUNCH = [sys.executable, "-I", "-S", str(Path(__file__).resolve().parents[2] / "bootstrap/launch.py"), "daemon"]
DEADLINE_S = 30.0
SAY_PID = ["sh", "-c", "echo pid $$"]


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start launch.py with some arguments; it is killed when the test ends."""
    children = []

    def popen(*arguments: str, path: str = "") -> subprocess.Popen[str]:
        environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}" if path else os.environ["PATH"]}
        child = subprocess.Popen([*LAUNCH, *arguments], stdout=subprocess.PIPE, text=True, env=environment)
        children.append(child)
        return child

    yield popen
    for child in children:
        child.kill()
        child.communicate()


Start = Callable[..., subprocess.Popen[str]]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def lines(child: subprocess.Popen[str]) -> list[str]:
    """All lines until the program ends, without their times."""
    output, _ = child.communicate(timeout=DEADLINE_S)
    return [line.split(" ", 1)[1] if line[:2] == "20" else line for line in output.splitlines()]


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_becomes_the_command_under_the_same_pid(start: Start) -> None:
    child = start("--", *SAY_PID)
    assert lines(child) == [f"pid {child.pid}"]
    assert child.returncode == 0


@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=pytest.mark.ipv6)])
def test_waits_until_something_listens(start: Start, host: str) -> None:
    port = free_port()
    child = start("--wait", f"listening={port}", "--", *SAY_PID)
    assert child.stdout
    said = child.stdout.readline()
    assert said.endswith(f" INFO daemon waits for listening {port}: nothing listens there yet\n")
    assert child.poll() is None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family):
        rest = lines(child)
    assert len(rest) == 2
    assert rest[0].startswith(f"INFO listening {port} answers after ")
    assert rest[1] == f"pid {child.pid}"


def test_short_wait_is_silent(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        child = start("--wait", f"listening={server.getsockname()[1]}", "--", *SAY_PID)
        assert lines(child) == [f"pid {child.pid}"]


def test_socket_that_is_only_bound_is_not_waited_out(start: Start) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        child = start("--wait", f"listening={bound.getsockname()[1]}", "--", *SAY_PID)
        assert child.stdout
        assert "waits for" in child.stdout.readline()
        bound.listen()
        assert lines(child)[-1] == f"pid {child.pid}"


def test_says_once_what_it_waits_for_and_again_when_the_reason_changes(start: Start, tmp_path: Path) -> None:
    executable(
        tmp_path / "munge",
        f'test -e {tmp_path}/ok && exit 0; cat {tmp_path}/why >&2; echo "$*" > {tmp_path}/args; exit 1',
    )
    (tmp_path / "why").write_text("munge: Error: first reason\nmore\n")
    place = tmp_path / "socket"
    child = start("--wait", f"munge={place}", "--", *SAY_PID, path=str(tmp_path))
    assert child.stdout
    assert child.stdout.readline().endswith(f"daemon waits for munge {place}: munged is not up yet\n")
    place.touch()
    assert child.stdout.readline().endswith(f"daemon waits for munge {place}: munge: Error: first reason\n")
    (tmp_path / "why").write_text("")
    assert child.stdout.readline().endswith(f"daemon waits for munge {place}: munge ended with 1\n")
    (tmp_path / "ok").touch()
    rest = lines(child)
    assert rest[0].startswith(f"INFO munge {place} answers after ")
    assert rest[1:] == [f"pid {child.pid}"]
    assert (tmp_path / "args").read_text() == f"--socket={place} --no-input --output=/dev/null\n"


def test_controller_is_asked_for_its_configuration(start: Start, tmp_path: Path) -> None:
    executable(tmp_path / "scontrol", f'echo "$SLURM_CONF_SERVER $*" > {tmp_path}/asked')
    child = start("--wait", "controller=127.0.0.1:6817", "--", *SAY_PID, path=str(tmp_path))
    assert lines(child) == [f"pid {child.pid}"]
    assert (tmp_path / "asked").read_text() == "127.0.0.1:6817 ping\n"


def test_controller_whose_name_does_not_resolve(start: Start, tmp_path: Path) -> None:
    executable(tmp_path / "scontrol", f"touch {tmp_path}/asked")
    child = start("--wait", "controller=no-such-host.invalid:6817", "--", *SAY_PID, path=str(tmp_path))
    assert child.stdout
    assert "waits for controller no-such-host.invalid:6817: its name does not resolve (" in child.stdout.readline()
    assert not (tmp_path / "asked").exists()


def test_waits_one_after_the_other_then_prepares(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wait = f"listening={server.getsockname()[1]}"
        child = start("--wait", wait, "--wait", wait, "--", "sh", "-c", "echo prepared", "--", *SAY_PID)
        assert lines(child) == ["prepared", f"pid {child.pid}"]


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (["sh", "-c", "exit 3"], "WARNING preparing daemon ended with status 3"),
        (["/no/such/program"], "WARNING preparing daemon failed: No such file or directory"),
    ],
)
def test_failed_preparation_does_not_stop_it(start: Start, prepare: list[str], words: str) -> None:
    child = start("--", *prepare, "--", *SAY_PID)
    first, second = lines(child)
    assert first.startswith(words)
    assert second == f"pid {child.pid}"


def test_missing_command(start: Start) -> None:
    child = start("--", "/no/such/daemon")
    assert lines(child) == ["ERROR /no/such/daemon cannot be started: No such file or directory"]
    assert child.returncode == 127


def test_command_keeps_its_words(start: Start) -> None:
    child = start("--", "true", "--", "printf", "%s|", "a b", "--", "-x", "")
    assert lines(child) == ["a b|--|-x||"]


def test_signals_reach_it_while_it_waits(start: Start) -> None:
    child = start("--wait", f"listening={free_port()}", "--", *SAY_PID)
    deadline = time.monotonic() + DEADLINE_S
    while b"launch.py" not in Path(f"/proc/{child.pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
    child.send_signal(signal.SIGTERM)
    assert child.wait(DEADLINE_S) == -signal.SIGTERM
