"""EDGE: the hooks of RunPod's images: /pre_start.sh before the programs start, /post_start.sh once they have.

They see the pod's environment without our own secrets, and write to the pod's stdout themselves, since what they
leave in the background goes on writing there. One that fails before the start ends the boot, as in RunPod's own
start script; one that goes on for ever after it is fine.

The part that waits for the programs runs as a script of its own (`python -I -S hooks.py`), standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PRE_START = Path("/pre_start.sh")
POST_START = Path("/post_start.sh")
REMINDER_S = 60.0
STARTED_DEADLINE_S = 30.0
_POLL_S = 0.1

Log = Callable[[str, str], None]


def run_before(environ: Mapping[str, str], log: Log) -> int:
    """Run /pre_start.sh, where there is one, to its end; 0, or the status with which the pod must end."""
    return _run(PRE_START, environ, log, "nothing was started") if PRE_START.exists() else 0


def start_after(environ: Mapping[str, str], python: str) -> None:
    """Have /post_start.sh, where there is one, run once supervisord has started the programs."""
    if POST_START.exists():
        subprocess.Popen([python, "-I", "-S", __file__], env=dict(environ), stdin=subprocess.DEVNULL)


def _run(script: Path, environ: Mapping[str, str], log: Log, consequence: str) -> int:
    log("INFO", f"{script} runs")
    told = False
    child: subprocess.Popen[bytes] | None = None

    def end(*_: object) -> None:
        # PID 1 gets no signal that it does not ask for; what the script has started ends with the pod.
        nonlocal told
        told = True
        if child:
            child.terminate()
            os._exit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, end)
    started = time.monotonic()
    child = subprocess.Popen(["bash", str(script)], env=dict(environ), stdin=subprocess.DEVNULL)
    if told:
        end()
    while True:
        try:
            status = child.wait(REMINDER_S)
            break
        except subprocess.TimeoutExpired:
            log("INFO", f"{script} still runs after {time.monotonic() - started:.0f} s")
    signal.signal(signal.SIGTERM, before)
    if status:
        log("ERROR", f"{script} ended with status {status}; {consequence}")
        return 1
    log("INFO", f"{script} is done after {time.monotonic() - started:.1f} s")
    return 0


def main() -> int:
    """Wait until the programs have started, then run /post_start.sh and say how it ended."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from bootstrap import health
    from bootstrap.launch import log

    def say(level: str, message: str) -> None:
        sys.stdout.write("[post_start] ")
        log(level, message)

    deadline = time.monotonic() + STARTED_DEADLINE_S
    while time.monotonic() < deadline and health.programs_not_running():
        time.sleep(_POLL_S)
    return _run(POST_START, os.environ, say, "the programs go on")


if __name__ == "__main__":
    sys.exit(main())
