"""EDGE: make room for this pod's node in the cluster before slurmd registers it; runs before each start of slurmd.

A node that slurmctld knows already (a placeholder of WORKER_NODES, or this pod in an earlier life) keeps the
address, CPUs and memory it has when slurmd -Z registers under its name. So a node that does not fit this pod is
deleted first, once per boot; slurmd then makes it anew. On a head, the workers known in advance are announced:
made as placeholders that are down, with a reason that says so.

A name that another living pod uses is not taken from it: slurmd does not start until one of them is gone or renamed.
Standard library only (`python -I -S`).
"""

from __future__ import annotations

import argparse
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

# Isolated mode leaves the product's own folder out of the path.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bootstrap.launch import TRY_AGAIN, log
from bootstrap.variables import SLURMD_PORT

SCONTROL_DEADLINE_S = 15.0
ANNOUNCE_S = 10.0
"""By then a slurmctld that started has been told of the workers known in advance."""
FREE_DEADLINE_S = 10.0
PLACEHOLDER_REASON = "gpu-watchdog: has not joined yet"
ALIVE_DEADLINE_S = 2.0
_BATCH = 200


class NotYet(Exception):
    """This pod cannot join now: why, and what to do."""


class Scontrol:
    """Runs scontrol, on a worker with the configuration fetched from the head (slurmd has not fetched it yet)."""

    def __init__(self, controller: str, worker: bool) -> None:
        self._environment = {**os.environ, "SLURM_TIME_FORMAT": "%s"}
        if worker:
            self._environment["SLURM_CONF_SERVER"] = controller

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Exit status and all output."""
        try:
            done = subprocess.run(
                ["scontrol", *arguments],
                env=self._environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                timeout=SCONTROL_DEADLINE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, str(error)
        return done.returncode, done.stdout.decode(errors="replace").strip()


def fields(line: str) -> dict[str, str]:
    """The Key=value pairs of one `scontrol -o show node` line; a reason's words stay out of it."""
    return dict(re.findall(r"(\w+)=(\S*)", line.partition(" Reason=")[0]))


def fits(node: dict[str, str], address: str, cpus: int, memory_mb: int) -> bool:
    """Whether the node that slurmctld knows is this pod as it is now."""
    return (node.get("NodeAddr"), node.get("CPUTot"), node.get("RealMemory")) == (address, str(cpus), str(memory_mb))


def known_nodes(scontrol: Scontrol) -> dict[str, dict[str, str]]:
    """Fields and Reason of every node that slurmctld knows, by name; raises NotYet when it does not say."""
    status, output = scontrol("-F", "-o", "show", "nodes")
    if status:
        raise NotYet(f"slurmctld does not say which nodes it knows: {output}")
    lines = [line for line in output.split("\n") if line.startswith("NodeName=")]
    nodes = [{**fields(line), "Reason": line.partition(" Reason=")[2]} for line in lines]
    return {node["NodeName"]: node for node in nodes}


def is_placeholder(node: dict[str, str]) -> bool:
    """Whether it is what announce() made of a worker: down for our reason, or not even that far yet.

    Its SlurmdStartTime would not tell: after a restart of slurmctld a living node has none until it answers.
    """
    state = node.get("State", "")
    return state.startswith("FUTURE") or (state.startswith("DOWN") and node["Reason"].startswith(PLACEHOLDER_REASON))


def answers(address: str) -> bool:
    """Whether a slurmd listens there."""
    try:
        socket.create_connection((address, SLURMD_PORT), ALIVE_DEADLINE_S).close()
    except OSError:
        return False
    return True


def await_announcements(scontrol: Scontrol, name: str) -> None:
    """Return once the head has announced its workers, so that no placeholder is made under our feet.

    The head announces them before its own slurmd starts. So it is done when our name is known, when a slurmd
    started after slurmctld, or when slurmctld is old enough.
    """
    while True:
        _, config = scontrol("show", "config")
        found = re.search(r"^BOOT_TIME\s*=\s*(\d+)", config, re.MULTILINE)
        booted = int(found[1]) if found else 0
        if time.time() - booted > ANNOUNCE_S:
            return
        nodes = known_nodes(scontrol)
        starts = [node.get("SlurmdStartTime", "") for node in nodes.values()]
        if name in nodes or any(start.isdigit() and int(start) >= booted for start in starts):
            return
        time.sleep(0.1)


def lives_elsewhere(nodes: dict[str, dict[str, str]], name: str, address: str) -> bool:
    """Whether another pod answers by this name: not if its address is another node's by now, or it is known as gone."""
    node = nodes[name]
    elsewhere = node.get("NodeAddr", address)
    others = {other.get("NodeAddr") for key, other in nodes.items() if key != name}
    state = node.get("State", "")
    gone = "*" in state or "NOT_RESPONDING" in state or state.startswith("DOWN")
    return elsewhere != address and elsewhere not in others and not gone and answers(elsewhere)


def claim(scontrol: Scontrol, name: str, address: str, cpus: int, memory_mb: int, first: bool) -> None:
    """Remove what stands under this pod's name and does not fit it; raises NotYet where another pod lives by it.

    first: no slurmd ran here since the boot. Later only a placeholder is removed: all else may have jobs.
    """
    nodes = known_nodes(scontrol)
    node = nodes.get(name)
    if node is None:
        return
    if not is_placeholder(node) and (not first or fits(node, address, cpus, memory_mb)):
        return
    elsewhere = node.get("NodeAddr")
    if not is_placeholder(node) and lives_elsewhere(nodes, name, address):
        raise NotYet(f"node {name} is another pod, alive at {elsewhere}: give this one a NODE_NAME of its own")
    deadline = time.monotonic() + FREE_DEADLINE_S
    status, output = scontrol("delete", f"nodename={name}")
    if status:
        # Jobs of the pod's earlier life are in the way. This is its first slurmd since it booted: they are dead.
        scontrol(
            "update", f"nodename={name}", f"nodeaddr={address}", "state=down", "reason=gpu-watchdog: pod restarted"
        )
        while status and time.monotonic() < deadline:
            time.sleep(0.5)
            status, output = scontrol("delete", f"nodename={name}")
    if status:
        log("WARNING", f"node {name} keeps its earlier CPUs and memory, it could not be replaced: {output}")
    else:
        log("INFO", f"node {name} of an earlier life or of WORKER_NODES makes room for this pod")


def announce(scontrol: Scontrol, workers: list[tuple[str, str]]) -> None:
    """Make a placeholder for each worker (name, address) that slurmctld does not know."""
    known = known_nodes(scontrol)
    missing = [worker for worker in workers if worker[0] not in known]
    # Made, but not marked as down: an earlier announcement was cut short.
    begun = [worker for worker in workers if known.get(worker[0], {}).get("State", "").startswith("FUTURE")]
    failed = 0
    for wanted, exists in ((missing, False), (begun, True)):
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            names = ",".join(name for name, _ in batch)
            addresses = ",".join(address for _, address in batch)
            status, output = 0, ""
            if not exists:
                create = ("create", f"nodename={names}", f"nodeaddr={addresses}", "cpus=1", "state=FUTURE")
                status, output = scontrol(*create)
            if not status:
                status, output = scontrol("update", f"nodename={names}", "state=DOWN", f"reason={PLACEHOLDER_REASON}")
            if status:
                failed += len(batch)
                log("WARNING", f"{len(batch)} workers from {batch[0][0]} on could not be announced: {output}")
    announced = len(missing) + len(begun) - failed
    if announced:
        log("INFO", f"{announced} workers of WORKER_NODES are announced, down until they join")


def main(argv: list[str]) -> int:
    """Prepare this pod's slurmd: 0, or TRY_AGAIN."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker", action="store_true", help="this pod is not the head")
    parser.add_argument("--node", required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True, help="MiB")
    parser.add_argument("--controller", required=True, help="HOST:PORT of slurmctld")
    parser.add_argument("--once", required=True, help="a file that says this boot's claim was made")
    parser.add_argument("--announce", action="append", default=[], metavar="NAME=ADDRESS")
    arguments = parser.parse_args(argv)
    scontrol = Scontrol(arguments.controller, arguments.worker)
    try:
        if arguments.worker:
            await_announcements(scontrol, arguments.node)
        once = Path(arguments.once)
        claim(scontrol, arguments.node, arguments.address, arguments.cpus, arguments.memory, not once.exists())
        once.touch()
        if arguments.announce:
            announce(scontrol, [tuple(worker.split("=", 1)) for worker in arguments.announce])
    except NotYet as reason:
        log("WARNING", str(reason))
        return TRY_AGAIN
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
