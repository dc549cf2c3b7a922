"""EDGE: the only place that runs Slurm commands: bounded, in a fixed locale, one process group each."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence

# Slurm prints times and states by these; what it reads of the environment else (SQUEUE_FORMAT ...) stays out.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "SLURM_CONF", "SLURM_CONF_SERVER", "RES_OPTIONS")
_FIXED = {"LC_ALL": "C", "TZ": "UTC", "SLURM_TIME_FORMAT": "%s", "SLURM_BITSTR_LEN": "0"}


class CommandError(Exception):
    """A command failed, could not be run, or took too long: which, and its own words."""


def run(argv: Sequence[str], deadline: float) -> str:
    """stdout of a command; raises CommandError. After the deadline (seconds) its whole process group is killed."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _FIXED
    try:
        child = subprocess.Popen(
            argv,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be run: {error.strerror}") from None
    try:
        output, complaint = child.communicate(timeout=deadline)
    except subprocess.TimeoutExpired:
        _end(child)
        raise CommandError(f"{argv[0]} gave no answer within {deadline:g} s") from None
    if child.returncode:
        words = " ".join(complaint.decode("utf-8", "replace").split())[:300]
        raise CommandError(f"{argv[0]} ended with {child.returncode}: {words}")
    return output.decode("utf-8", "replace")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the process group and reap the child; a descendant that left the group may hold the pipes: let go."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended in this very moment
    for pipe in (child.stdout, child.stderr):
        if pipe:
            pipe.close()
    child.wait()
