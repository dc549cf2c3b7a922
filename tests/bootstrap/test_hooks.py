"""The hooks of RunPod's images, as real scripts at other places."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap import health, hooks
from tests.bootstrap import daemon

ROOT = Path(__file__).resolve().parents[2]
ENVIRON = {"PATH": os.environ["PATH"], "A": "it's"}


class Log:
    """What was said, and something to do when a certain thing is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.when: dict[str, Callable[[], None]] = {}

    def __call__(self, level: str, message: str) -> None:
        self.lines.append(f"{level} {re.sub(r'[0-9.]+ s$', 'N s', message)}")
        for words, act in self.when.items():
            if words in message:
                act()


@pytest.fixture
def pre_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the first hook is looked for; nothing is there yet."""
    monkeypatch.setattr(hooks, "PRE_START", tmp_path / "pre_start.sh")
    return tmp_path / "pre_start.sh"


def test_pod_without_hooks(pre_start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "POST_START", pre_start.parent / "post_start.sh")
    log = Log()
    assert hooks.run_before(ENVIRON, log) == 0
    hooks.start_after(ENVIRON, "/no/such/python")
    assert log.lines == []


def test_hook_runs_to_its_end_in_the_pods_environment(pre_start: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither executable nor with a first line, as RunPod's own start script takes it; it may well use bash."""
    pre_start.write_text('words=(one two)\necho "${words[1]} $A ${HOME-none}"\ncat\n')
    log = Log()
    before = signal.getsignal(signal.SIGTERM)
    assert hooks.run_before(ENVIRON, log) == 0
    assert capfd.readouterr().out == "two it's none\n"
    assert log.lines == [f"INFO {pre_start} runs", f"INFO {pre_start} is done after N s"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("no-such-command", 127), ("kill -9 $$", -9), ("(", 2)])
def test_hook_that_fails_ends_the_boot(pre_start: Path, script: str, status: int) -> None:
    pre_start.write_text(f"{script}\n")
    log = Log()
    assert hooks.run_before(ENVIRON, log) == 1
    assert log.lines[1:] == [f"ERROR {pre_start} ended with status {status}; nothing was started"]


def test_hook_that_takes_long_is_said_to(pre_start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "REMINDER_S", 0.01)
    go = pre_start.parent / "go"
    pre_start.write_text(f"until [ -e {go} ]; do sleep 0.01; done\n")
    log = Log()
    log.when["still runs"] = go.touch
    assert hooks.run_before(ENVIRON, log) == 0
    assert log.lines[1] == f"INFO {pre_start} still runs after N s"
    assert log.lines[-1] == f"INFO {pre_start} is done after N s"


def test_what_a_hook_leaves_in_the_background_is_not_waited_for(pre_start: Path) -> None:
    pid = pre_start.parent / "pid"
    pre_start.write_text(f"sleep 1000 & echo $! >{pid}\n")
    try:
        assert hooks.run_before(ENVIRON, Log()) == 0
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.fixture
def running_hook(pre_start: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in whose first hook a script runs that goes on for ever."""
    pre_start.write_text("echo ready\nexec sleep 1000\n")
    code = (
        "import functools, pathlib; from bootstrap import hooks\n"
        f"hooks.PRE_START, hooks.REMINDER_S = pathlib.Path({str(pre_start)!r}), 0.01\n"
        "hooks.run_before({'PATH': '/usr/bin:/bin'}, functools.partial(print, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    yield process
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the script as well
    process.communicate()


def test_pod_that_stops_while_a_hook_runs(running_hook: subprocess.Popen[str]) -> None:
    assert running_hook.stdout is not None
    lines = iter(running_hook.stdout.readline, "")
    assert "ready\n" in lines
    assert any("still runs" in line for line in lines)
    running_hook.terminate()
    # Until the script has ended as well, which has the other end of the pipe.
    running_hook.communicate(timeout=60)
    assert running_hook.returncode == 143


def test_second_hook_starts_beside_the_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a script of its own that needs no package, and it sees what it is given."""
    own, seen = tmp_path / "own.py", tmp_path / "seen"
    own.write_text(
        "import os, sys\n"
        "found = f'{sys.flags.isolated} {sys.flags.no_site} {sorted(os.environ)}'\n"
        f"open({str(seen)!r} + '.new', 'w').write(found)\n"
        f"os.rename({str(seen)!r} + '.new', {str(seen)!r})\n"
    )
    (tmp_path / "post_start.sh").touch()
    monkeypatch.setattr(hooks, "POST_START", tmp_path / "post_start.sh")
    monkeypatch.setattr(hooks, "__file__", str(own))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # nobody waits for it, on purpose
        hooks.start_after({"A": "b", "LC_ALL": "C.UTF-8"}, sys.executable)
    daemon.wait_for(seen.exists, lambda: "it did not run")
    assert seen.read_text() == "1 1 ['A', 'LC_ALL']"


@pytest.fixture
def post_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the second hook is looked for, in a pod whose programs run."""
    monkeypatch.setattr(hooks, "POST_START", tmp_path / "post_start.sh")
    monkeypatch.setattr(hooks, "_POLL_S", 0.001)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(health, "programs_not_running", list)
    return tmp_path / "post_start.sh"


def said(text: str) -> list[str]:
    """Lines, without their times."""
    return [re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ |[0-9.]+ s$", "", line) for line in text.splitlines()]


def test_second_hook_waits_for_the_programs(
    post_start: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = [["one is STARTING"], ["supervisord does not answer"], []]
    monkeypatch.setattr(health, "programs_not_running", lambda: answers.pop(0))
    post_start.write_text("echo hello\n")
    assert hooks.main() == 0
    assert answers == []
    assert said(capfd.readouterr().out) == [
        f"[post_start] INFO {post_start} runs",
        "hello",
        f"[post_start] INFO {post_start} is done after ",
    ]


def test_second_hook_does_not_wait_for_ever(post_start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "STARTED_DEADLINE_S", 0.01)
    monkeypatch.setattr(health, "programs_not_running", lambda: ["one is BACKOFF"])
    post_start.write_text(f"touch {post_start.parent}/ran\n")
    assert hooks.main() == 0
    assert (post_start.parent / "ran").exists()


def test_second_hook_that_fails_costs_nothing(post_start: Path, capfd: pytest.CaptureFixture[str]) -> None:
    post_start.write_text("exit 5\n")
    assert hooks.main() == 1
    assert said(capfd.readouterr().out)[-1] == (
        f"[post_start] ERROR {post_start} ended with status 5; the programs go on"
    )


def test_second_hook_is_a_script_that_needs_no_package(post_start: Path) -> None:
    post_start.write_text("echo hello\n")
    code = (
        "import pathlib, runpy, sys\n"
        "main = runpy.run_path(sys.argv[1], run_name='second hook')['main']\n"
        "main.__globals__.update(POST_START=pathlib.Path(sys.argv[2]), STARTED_DEADLINE_S=0)\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-I", "-S", "-c", code, hooks.__file__, str(post_start)]
    done = subprocess.run(
        command, cwd="/", env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert said(done.stdout)[1] == "hello"
