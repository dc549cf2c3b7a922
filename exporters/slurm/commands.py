"""EDGE: the only place that runs Slurm commands: bounded, in a fixed locale, one process group each."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

# Slurm prints times and states by these; what it reads of the environment else (SQUEUE_FORMAT ...) stays out.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "RES_OPTIONS")
FIXED = {"LC_ALL": "C", "TZ": "UTC", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}

_CHUNK = 256 * 1024
_PIPE_BYTES = 1024 * 1024
"""Fewer changes between the command and us than a pipe's usual 64 KiB would take."""
_NICE = 5
_MOST_COMPLAINT = 16 * 1024

# What a command says -> class of the error; the first that is in its words.
_CLASSES = (
    ("Protocol authentication error", "authentication"),
    ("authentication credential", "authentication"),
    ("Invalid credential", "authentication"),
    ("unge", "authentication"),
    ("Access/permission denied", "permission"),
    ("Unable to contact slurm controller", "controller"),
    ("Unable to connect to", "controller"),
    ("Zero Bytes were transmitted", "controller"),
    ("Socket timed out", "controller"),
    ("slurm.conf", "configuration"),
    ("configuration", "configuration"),
)


class CommandError(Exception):
    """A command failed, could not be run, or took too long: which, and its own words."""

    def __init__(self, message: str, kind: str) -> None:
        """kind: missing, timeout, exit, or one of the classes above."""
        super().__init__(message)
        self.kind = kind


def run(argv: Sequence[str], deadline: float, take: Callable[[bytes], object], *, any_status: bool = False) -> None:
    """Give a command's stdout to `take` as it comes; raises CommandError, and what `take` raises.

    After the deadline (seconds) the command's whole process group is killed. any_status: its exit status says
    something else than that it failed; it failed if it printed nothing.
    """
    end = time.monotonic() + deadline
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | FIXED
    try:
        child = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be run: {error.strerror}", "missing") from None
    try:
        # Who waits for slurmctld or for a scrape comes first.
        os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
    except OSError:
        pass  # it has ended already
    try:
        printed, complaint = _read(child, end, take)
        status = child.wait(timeout=max(0.0, end - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        _end(child)
        raise CommandError(f"{argv[0]} gave no answer within {deadline:g} s", "timeout") from None
    except BaseException:
        _end(child)
        raise
    _close(child)
    if status and not (any_status and printed):
        words = " ".join(complaint.decode("utf-8", "replace").split())[:300]
        kind = next((kind for part, kind in _CLASSES if part in words), "exit")
        raise CommandError(f"{argv[0]} ended with {status}: {words}", kind)


def _read(child: subprocess.Popen[bytes], end: float, take: Callable[[bytes], object]) -> tuple[bool, bytes]:
    """Whether there was output, and what came on stderr; raises TimeoutError."""
    assert child.stdout and child.stderr
    output, errors = child.stdout.fileno(), child.stderr.fileno()
    try:
        fcntl.fcntl(output, getattr(fcntl, "F_SETPIPE_SZ", 1031), _PIPE_BYTES)
    except OSError:
        pass  # this user has too many large pipes: a small one does as well
    printed, complaint = False, b""
    poller = select.poll()
    waiting = {output, errors}
    for file in waiting:
        poller.register(file, select.POLLIN)
    while waiting:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        for file, _ in poller.poll(left * 1000):
            chunk = os.read(file, _CHUNK)
            if not chunk:
                poller.unregister(file)
                waiting.discard(file)
            elif file == output:
                printed = True
                take(chunk)
            elif len(complaint) < _MOST_COMPLAINT:
                complaint += chunk
    return printed, complaint


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the process group and reap the child; a descendant that left the group may hold the pipes: let go."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this very moment
    _close(child)
    child.wait()


def _close(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdout, child.stderr):
        if pipe:
            pipe.close()
