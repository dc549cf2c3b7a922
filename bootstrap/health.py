"""EDGE: whether this pod is healthy: every program runs, and the controller knows and reaches its node.

Prints what is wrong and exits with 1, else with 0: the image's HEALTHCHECK. A drained node is healthy, an
administrator wants it so. Standard library only (`python -I -S`).
"""

from __future__ import annotations

import http.client
import re
import socket
import subprocess
import sys
import xml.parsers.expat
import xmlrpc.client
from pathlib import Path
from typing import Any

SOCKET = Path("/run/gpu-watchdog/supervisor.sock")
PROGRAMS = Path("/etc/gpu-watchdog/programs")
NODE = Path("/etc/gpu-watchdog/node")
DEADLINE_S = 5.0
_UNREACHABLE = ("DOWN", "UNKNOWN", "FUTURE", "NOT_RESPONDING")


# What xmlrpc.client and we raise over an answer that is none.
_NO_ANSWER = (xml.parsers.expat.ExpatError, ValueError, LookupError, TypeError, AttributeError)


class _Connection(http.client.HTTPConnection):
    """HTTP over supervisord's socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(str(SOCKET))


def programs_not_running() -> list[str]:
    """What is wrong with the programs, one text each; empty when all of this pod's run."""
    connection = _Connection("localhost", timeout=DEADLINE_S)
    try:
        call = xmlrpc.client.dumps((), "supervisor.getAllProcessInfo")
        connection.request("POST", "/RPC2", call, {"Content-Type": "text/xml"})
        answer: Any = xmlrpc.client.loads(connection.getresponse().read())[0][0]
        states = {program["name"]: program["statename"] for program in answer}
    except (OSError, http.client.HTTPException, xmlrpc.client.Error, *_NO_ANSWER) as error:
        return [f"supervisord does not answer: {error or type(error).__name__}"]
    finally:
        connection.close()
    wanted = sorted(path.stem for path in PROGRAMS.glob("*.conf"))
    if not wanted:
        return ["this pod was not booted: it has no programs"]
    found = {name: states.get(name, "unknown to supervisord") for name in wanted}
    return [f"{name} is {state}" for name, state in found.items() if state != "RUNNING"]


def node_problem() -> str:
    """What is wrong with this pod's node, empty when the controller knows and reaches it."""
    try:
        name = NODE.read_text().strip()
        done = subprocess.run(
            ["scontrol", "--oneliner", "show", "node", name],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the controller does not answer within {DEADLINE_S:g} s"
    except OSError as error:
        return f"the controller cannot be asked: {error}"
    return judge_node(name, done.returncode, done.stdout, done.stderr)


def judge_node(name: str, status: int, output: str, errors: str) -> str:
    """What `scontrol --oneliner show node` says of a node; empty when it can take work or is drained."""
    state = re.search(r"\bState=(\S+)", output)
    if status or not state:
        said = (errors or output).strip().splitlines()
        return f"node {name} is not known to the controller: {said[0] if said else 'no answer'}"
    flags = re.split(r"[+*]", state[1])
    if "*" in state[1] or any(flag in _UNREACHABLE for flag in flags):
        reason = re.search(r"\bReason=(.*?)(?: \[|\s\w+=|$)", output)
        return f"node {name} is {state[1]}" + (f": {reason[1].strip()}" if reason else "")
    return ""


def main() -> int:
    """Print the verdict; 0 for healthy."""
    problems = programs_not_running()
    if not problems and (problem := node_problem()):
        problems.append(problem)
    print("; ".join(problems) or "every program runs and the controller knows this node")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
