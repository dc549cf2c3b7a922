"""Start, enter, cut off and stop one pod, from outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.namespaces import CONTAINER_CAPABILITIES
from local.network import Bridge
from local.spec import PATH_IN_POD, Spec, start_time

REPOSITORY = Path(__file__).resolve().parents[1]
_CAPABILITIES = "-all," + ",".join(f"+{name}" for name in CONTAINER_CAPABILITIES)


class PodError(RuntimeError):
    """The pod could not be started or did not do what was asked; says why in one line."""


class Pod:
    """A pod made of namespaces. Its folder holds spec.json, log (its stdout), pid and, once ended, exit."""

    def __init__(self, spec: Spec, bridge: Bridge | None = None) -> None:
        self.spec = spec
        self.bridge = bridge
        self.folder = Path(spec.folder)

    @classmethod
    def load(cls, folder: Path) -> Pod:
        """A pod that another process started."""
        return cls(Spec.from_json(json.loads((folder / "spec.json").read_text())))

    def start(self) -> None:
        """Boot it; returns once its PID 1 is on its way. Raises PodError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("pid", "exit"):
            (self.folder / name).unlink(missing_ok=True)
        # The specification holds the environment, and so the munge key.
        with open(self.folder / "spec.json", "w", opener=_private) as file:
            json.dump(self.spec.to_json(), file, indent=1)
        with open(self.folder / "log", "ab") as log:
            keeper = subprocess.Popen(
                [sys.executable, "-m", "local.pod_init", str(self.folder / "spec.json")],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        assert keeper.stdin is not None and keeper.stdout is not None
        if keeper.stdout.readline().strip() != "ready":
            raise PodError(f"{self.spec.name} did not start:\n{self.logs()}")
        try:
            if self.bridge is not None and self.spec.address:
                self.bridge.plug_in(keeper.pid, self.spec.folder, self.spec.address)
            keeper.stdin.write("go\n")
            keeper.stdin.flush()
            if keeper.stdout.readline().strip() != "started":
                raise PodError(f"{self.spec.name} did not start:\n{self.logs()}")
        except BaseException:
            keeper.kill()
            raise
        finally:
            keeper.stdin.close()
            keeper.stdout.close()
        # The keeper outlives us (`make run`); where it does not, nobody needs its status: `exit` has it.
        keeper.returncode = 0

    @property
    def pid(self) -> int:
        """The machine's number of the pod's PID 1; raises PodError when it does not run."""
        if not (self.folder / "pid").exists():
            raise PodError(f"{self.spec.name} was not started")
        if not self.running:
            raise PodError(f"{self.spec.name} has ended with exit status {self.exit_status}")
        return int((self.folder / "pid").read_text().split()[0])

    @property
    def running(self) -> bool:
        """Whether its PID 1 is alive."""
        try:
            pid, started = (self.folder / "pid").read_text().split()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            same = start_time(int(pid)) == started
        except (FileNotFoundError, ProcessLookupError, ValueError):
            return False
        return same and state != "Z" and not (self.folder / "exit").exists()

    @property
    def exit_status(self) -> int | None:
        """Of its PID 1; None while it runs."""
        try:
            return int((self.folder / "exit").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def logs(self) -> str:
        """All that it wrote to stdout and stderr since it was made."""
        try:
            return (self.folder / "log").read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def command_inside(self, argv: Sequence[str], environment: Mapping[str, str] | None = None) -> list[str]:
        """The argv that runs a command in the pod as its root, with the pod's capabilities only."""
        inner = {"PATH": PATH_IN_POD, "HOME": "/root", "TERM": os.environ.get("TERM", "dumb"), **(environment or {})}
        return [
            *("nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"),
            *("--root", "env", "-i", "--chdir=/root", *(f"{name}={value}" for name, value in inner.items())),
            *("setpriv", f"--bounding-set={_CAPABILITIES}", "--", *argv),
        ]

    def exec(
        self,
        *argv: str,
        environment: Mapping[str, str] | None = None,
        timeout: float = 30,
        check: bool = True,
        input: str | None = None,
    ) -> str:
        """Run a command in the pod, return its stdout; raises PodError on failure when check is set."""
        command = self.command_inside(argv, environment)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=timeout, check=False, input=input
            )
        except subprocess.TimeoutExpired as error:
            raise PodError(f"{self.spec.name}: {' '.join(argv)} took over {timeout} s: {error.stderr!r}") from None
        if check and done.returncode:
            output = f"{done.stdout}{done.stderr}".strip()
            raise PodError(f"{self.spec.name}: {' '.join(argv)} ended with {done.returncode}: {output}")
        return done.stdout

    def read(self, path: str) -> str:
        """A file of the pod."""
        return Path(f"/proc/{self.pid}/root{path}").read_text()

    def signal(self, number: int) -> None:
        """Send a signal to its PID 1."""
        os.kill(self.pid, number)

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, as `docker stop` does, then SIGKILL after the timeout; returns the exit status."""
        if self.running:
            self.signal(signal.SIGTERM)
            if self.wait(timeout) is None:
                self.kill()
        status = self.wait(10)
        if status is None:
            raise PodError(f"{self.spec.name} could not be killed")
        return status

    def kill(self) -> None:
        """SIGKILL to PID 1: everything in the pod dies with it."""
        try:
            self.signal(signal.SIGKILL)
        except (PodError, ProcessLookupError):
            return
        self.wait(10)

    def wait(self, timeout: float) -> int | None:
        """Exit status once it has ended, None if it still runs after the timeout (seconds)."""
        deadline = time.monotonic() + timeout
        while self.exit_status is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.exit_status

    def cut(self) -> None:
        """Pull the network cable."""
        self._plugged_into().cut(self.spec.folder)

    def heal(self) -> None:
        """Put the network cable back."""
        self._plugged_into().heal(self.spec.folder)

    def _plugged_into(self) -> Bridge:
        if self.bridge is None:
            raise PodError(f"{self.spec.name} has no cable: it is on the machine's network")
        return self.bridge

    def remove(self) -> None:
        """Forget a pod that has ended."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
