"""EDGE: wait for what a daemon needs, then become it: pid, signals and supervisorctl act on the real daemon.

    launch.py NAME [--wait KIND=PLACE]... [-- PREPARE...] -- COMMAND...

Runs with `python -I -S`, standard library only, as its start is part of every daemon's start. It waits for ever:
a pod booted long before its head joins when the head comes up. Each question is asked in the other side's own
language, since slurmctld and munged log an error for a connection that says nothing. PREPARE runs once all waits
are over, again while it ends with TRY_AGAIN; where it fails, the daemon is started all the same, since it is the one
that says best what is wrong.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

FIRST_PAUSE_S = 0.02
LONGEST_PAUSE_S = 1.0
ASK_DEADLINE_S = 2.5
"""A question to munged or slurmctld. scontrol itself tries once a second: after this, names are resolved anew."""
PREPARE_DEADLINE_S = 60.0
TRY_AGAIN = 75
"""Exit status of PREPARE (EX_TEMPFAIL of sysexits.h): it cannot be started yet, PREPARE says why."""
TRY_AGAIN_PAUSE_S = 5.0
REFUSED = "it answers but does not accept this pod: is MUNGE_KEY the same on both, and the clock right?"
REFUSED_PAUSE_S = 10.0
"""Each try costs the other side several lines of log."""
FETCHED_CONF = Path("/run/slurm/conf")
"""slurmd's link to the configuration that it fetched from the head."""
_QUIET_S = 0.5
"""A wait shorter than this is nobody's concern."""
_TCP_LISTEN = "0A"


def munge(socket_path: str) -> str:
    """Empty when munged makes a credential, else why not."""
    if not Path(socket_path).exists():
        return "munged is not up yet"
    return ask(["munge", f"--socket={socket_path}", "--no-input", "--output=/dev/null"])


def listening(port: str) -> str:
    """Empty when something in this pod listens on the port, else why not (proc(5): /proc/net/tcp)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state = line.split()[:4]
            if state == _TCP_LISTEN and int(local.rpartition(":")[2], 16) == int(port):
                return ""
    return "nothing listens there yet"


def controller(place: str) -> str:
    """Empty when slurmctld at HOST:PORT gives out its configuration, else why not; the name is resolved each time."""
    try:
        socket.getaddrinfo(place.rpartition(":")[0], None, type=socket.SOCK_STREAM)
    except OSError as error:
        return f"its name does not resolve ({error.strerror})"
    # Left by an earlier slurmd, which makes it anew, it would win over the address asked for.
    FETCHED_CONF.unlink(missing_ok=True)
    environment = {**os.environ, "SLURM_CONF_SERVER": place}
    reason = ask(["scontrol", "ping"], environment).partition("failed to fetch remote configs: ")
    # What a client sees when slurmctld drops a request that it cannot authenticate, up to 23.11 and since.
    refused = any(words in reason[2] for words in ("Zero Bytes", "authentication error"))
    return REFUSED if refused else reason[2] or reason[0]


def ask(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Empty when a command succeeds, else its first line of complaint."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=ASK_DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "no answer"
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    if done.returncode == 0:
        return ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else f"{command[0]} ended with {done.returncode}"


KINDS: dict[str, Callable[[str], str]] = {"munge": munge, "listening": listening, "controller": controller}


def wait_for(name: str, target: str) -> None:
    """Return when KIND=PLACE answers; says once what it waits for, and once each other reason."""
    kind, _, place = target.partition("=")
    started = time.monotonic()
    pause = FIRST_PAUSE_S
    said: set[str] = set()
    while reason := KINDS[kind](place):
        waited = time.monotonic() - started
        if reason not in said and waited >= _QUIET_S:
            log("INFO", f"{name} waits for {kind} {place}: {reason}")
            said.add(reason)
        time.sleep(REFUSED_PAUSE_S if reason == REFUSED else pause)
        pause = min(pause * 1.5, LONGEST_PAUSE_S)
    if said:
        log("INFO", f"{kind} {place} answers after {time.monotonic() - started:.0f} s, {name} starts")


def prepare(name: str, command: list[str]) -> None:
    """Run a command to its end, bounded, and again as long as it asks for that."""
    status = TRY_AGAIN
    while status == TRY_AGAIN:
        status = run_bounded(name, command)
        if status == TRY_AGAIN:
            time.sleep(TRY_AGAIN_PAUSE_S)
    if status:
        log("WARNING", f"preparing {name} ended with status {status}")


def run_bounded(name: str, command: list[str]) -> int:
    """Exit status of a command that ends with us and after its deadline, which counts as TRY_AGAIN."""
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        log("WARNING", f"preparing {name} failed: {error.strerror}")
        return 0

    def end(*_: object) -> None:
        # Left alone it would go on beside the next one.
        child.kill()
        os._exit(143)

    signal.signal(signal.SIGTERM, end)
    try:
        return child.wait(PREPARE_DEADLINE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        log("WARNING", f"preparing {name} took over {PREPARE_DEADLINE_S:.0f} s; it is tried again")
        return TRY_AGAIN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def log(level: str, message: str) -> None:
    """One line to this program's log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {level} {message}", flush=True)


def main(argv: list[str]) -> int:
    """Parse, wait, prepare, exec; returns only when the command cannot be executed."""
    name, *rest = argv
    while rest[0] == "--wait":
        wait_for(name, rest[1])
        del rest[:2]
    parts: list[list[str]] = []
    for word in rest:
        if word == "--" and len(parts) < 2:
            parts.append([])
        else:
            parts[-1].append(word)
    for command in parts[:-1]:
        prepare(name, command)
    command = parts[-1]
    try:
        os.execvp(command[0], command)  # noqa: S606
    except OSError as error:
        log("ERROR", f"{command[0]} cannot be started: {error.strerror}")
        return 127


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
