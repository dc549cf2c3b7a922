"""A real supervisord with the plugin, as a pod's base configuration has it, below a test's own folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.bootstrap import supervisord
from tests.bootstrap.samples import CONF

DEADLINE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]


def wait_for(what: Callable[[], bool], log: Callable[[], str]) -> None:
    """Poll until it holds; fails with the log where it does not."""
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, log()
        time.sleep(0.01)


class Daemon:
    """supervisord and all that it printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.stdout = folder / "stdout"
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(folder / "conf")]
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        with self.stdout.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def kill(self) -> None:
        """End it with all its programs, which are in sessions of their own."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)  # it must not start new ones
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for pid in (*map(int, children), self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()

    def log(self) -> str:
        """All lines so far."""
        return self.stdout.read_text()

    def wait_for_lines(self, *lines: str) -> None:
        """Until each of these was printed."""
        wait_for(lambda: set(lines) <= set(self.log().splitlines()), self.log)

    def stop(self) -> int:
        """SIGTERM, as a pod gets it; returns the exit status."""
        self.process.terminate()
        return self.process.wait(DEADLINE_S)

    def stopped(self) -> list[str]:
        """Names of the programs that stopped, in this order."""
        words = [line.split() for line in self.log().splitlines() if line.startswith("[supervisord] ")]
        return [found[3] for found in words if found[4:] == ["stopped"]]


@contextlib.contextmanager
def running(folder: Path, programs: Mapping[str, Mapping[str, object]]) -> Iterator[Daemon]:
    """supervisord with these programs: name -> options of its section."""
    base = supervisord.sections((CONF / "supervisord/supervisord.conf").read_text())
    del base["include"]
    places = {"pidfile": folder / "pid", "logfile": folder / "log", "childlogdir": folder}
    base["supervisord"] |= {name: str(path) for name, path in places.items()}
    base["unix_http_server"]["file"] = str(folder / "s")
    if os.geteuid() != 0:
        del base["supervisord"]["user"]
    usual: dict[str, object] = {
        "startsecs": 0,
        "redirect_stderr": "true",
        "stdout_events_enabled": "true",
        "startretries": 1000000,
    }
    sections: dict[str, dict[str, object]] = {name: dict(options) for name, options in base.items()}
    sections |= {f"program:{name}": usual | dict(options) for name, options in programs.items()}
    text = "".join(
        f"[{section}]\n" + "".join(f"{name}={value}\n" for name, value in options.items())
        for section, options in sections.items()
    )
    (folder / "conf").write_text(text)
    daemon = Daemon(folder)
    try:
        yield daemon
    finally:
        daemon.kill()
