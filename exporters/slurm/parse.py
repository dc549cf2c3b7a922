"""Output of Slurm's commands -> frozen data. Pure; raises ParseError where the output is not what it must be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass


class ParseError(Exception):
    """The output of a command cannot be read: which part."""


@dataclass(frozen=True)
class Node:
    """One node as `scontrol -o show nodes` has it."""

    name: str
    state: str
    """One of NODE_STATES."""
    cpus_allocated: int
    cpus_total: int


NODES_COMMAND = ("scontrol", "-o", "-a", "show", "nodes")

# vpenso's names, then one for all that they leave out, so that the sum is the number of nodes.
NODE_STATES = ("alloc", "comp", "down", "drain", "err", "fail", "idle", "maint", "mix", "resv", "other")
_BASE = {"ALLOCATED": "alloc", "DOWN": "down", "ERROR": "err", "IDLE": "idle", "MIXED": "mix"}
_NODE = re.compile(r"^NodeName=(\S+) .*?\bCPUAlloc=(\d+) .*?\bCPUTot=(\d+) .*?\bState=(\S+)")


def nodes(text: str) -> tuple[Node, ...]:
    """Every node once, whatever its partitions."""
    found = []
    for line in text.split("\n"):
        match = _NODE.match(line)
        if match:
            name, allocated, total, state = match.groups()
            found.append(Node(name, node_state(state), int(allocated), int(total)))
        elif line.startswith("NodeName="):
            raise ParseError(f"scontrol show nodes: a node's line is not whole: {line[:80]!r}")
        # Any other line is the rest of a comment that has line ends in it, or "No nodes in the system".
    if not found and text.strip() and not text.startswith("No nodes"):
        raise ParseError(f"scontrol show nodes: no line is a node: {text[:80]!r}")
    return tuple(found)


def node_state(text: str) -> str:
    """One exclusive state out of BASE+FLAG+FLAG, in the order in which Slurm names states (node_state_string).

    Suffixes such as `*` (not responding) are part of the base here. A node that does not respond is not idle.
    """
    words = text.split("+")
    base = words[0].rstrip("*~#!%$@^-")
    flags = {word.rstrip("*~#!%$@^-") for word in words[1:]}
    if "DRAIN" in flags or base in ("DRAINED", "DRAINING"):
        return "drain"
    if "FAIL" in flags or base in ("FAIL", "FAILING"):
        return "fail"
    if base == "DOWN":
        return "down"
    if "NOT_RESPONDING" in flags or "*" in words[0]:
        return "other"
    if flags & {"INVALID_REG", "POWERED_DOWN", "POWERING_DOWN", "POWERING_UP", "REBOOT_ISSUED", "POWER_DOWN"}:
        return "other"
    if "MAINTENANCE" in flags and base == "IDLE":
        return "maint"
    if "COMPLETING" in flags or base == "COMPLETING":
        return "comp"
    if "RESERVED" in flags and base == "IDLE":
        return "resv"
    if "PLANNED" in flags and base == "IDLE":
        return "other"
    return _BASE.get(base, "other")


@dataclass(frozen=True)
class Queue:
    """Jobs in slurmctld's memory, array tasks counted one by one."""

    by_state: Mapping[str, int]
    """Slurm's state in capitals -> jobs."""
    pending_dependency: int


JOB_COLUMNS = {"array": "%K", "state": "%T", "reason": "%r"}
_SEPARATOR = "|"
JOBS_COMMAND = ("squeue", "-a", "-h", "--states=all", "-o", _SEPARATOR.join(JOB_COLUMNS.values()))


def jobs(text: str) -> Queue:
    """Count the lines of squeue; reasons may hold anything, so that column is the last."""
    states: Counter[str] = Counter()
    dependency = 0
    # Most jobs of a large queue have the same line.
    for line, count in Counter(text.removesuffix("\n").split("\n") if text else []).items():
        columns = line.split(_SEPARATOR, len(JOB_COLUMNS) - 1)
        if len(columns) != len(JOB_COLUMNS):
            raise ParseError(f"squeue: a line has {len(columns)} columns: {line[:80]!r}")
        job = dict(zip(JOB_COLUMNS, columns, strict=True))
        tasks = array_tasks(job["array"]) * count
        states[job["state"]] += tasks
        if job["state"] == "PENDING" and job["reason"] == "Dependency":
            dependency += tasks
    return Queue(dict(states), dependency)


def array_tasks(text: str) -> int:
    """Tasks of an array expression such as `0-99:2%10`, `1,5,7-9` or `[1-3]`; 1 for a single task or no array."""
    count = 0
    for part in text.strip("[]").partition("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        if not first.isdigit():
            continue
        try:
            count += (int(last or first) - int(first)) // int(step or 1) + 1
        except (ValueError, ZeroDivisionError):
            raise ParseError(f"squeue: {text[:80]!r} is not an array expression") from None
    return max(count, 1)


@dataclass(frozen=True)
class Scheduler:
    """Figures of sdiag by metric name without its prefix; absent where this version prints none."""

    values: Mapping[str, int]


SDIAG_COMMAND = ("sdiag",)

# (section, start of the line, metric). Sections: "" before the first headline, then by the headline's first words.
SDIAG_LINES = (
    ("", "Server thread count", "threads"),
    ("", "Agent queue size", "queue_size"),
    ("", "DBD Agent queue size", "dbd_queue_size"),
    ("Main schedule", "Last cycle", "last_cycle"),
    ("Main schedule", "Mean cycle", "mean_cycle"),
    ("Main schedule", "Cycles per minute", "cycle_per_minute"),
    ("Backfilling", "Last cycle", "backfill_last_cycle"),
    ("Backfilling", "Mean cycle", "backfill_mean_cycle"),
    ("Backfilling", "Depth Mean", "backfill_depth_mean"),
    ("Backfilling", "Total backfilled jobs (since last slurm start)", "backfilled_jobs_since_start_total"),
    ("Backfilling", "Total backfilled jobs (since last stats cycle start)", "backfilled_jobs_since_cycle_total"),
    ("Backfilling", "Total backfilled heterogeneous job components", "backfilled_heterogeneous_total"),
)


def sdiag(text: str) -> Scheduler:
    """The lines of SDIAG_LINES; a mean that sdiag leaves out (no cycle yet) is absent."""
    wanted = {(section, key): metric for section, key, metric in SDIAG_LINES}
    headlines = {section for section, _, _ in SDIAG_LINES if section}
    section, values = "", {}
    for line in text.splitlines():
        key, colon, value = line.strip().partition(":")
        if line[:1].isalpha():
            # A headline opens a section; any that is not ours closes the one before.
            named = next((headline for headline in headlines if line.startswith(headline)), None)
            if named or not value.strip():
                section = named or "-"
        metric = wanted.get((section, key.strip()))
        if metric and colon and value.strip().isdigit():
            values[metric] = int(value)
    if "threads" not in values:
        raise ParseError("sdiag: no line with the server thread count")
    return Scheduler(values)
