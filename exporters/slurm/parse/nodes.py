"""`scontrol show nodes` -> nodes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.text import MIB, Tres, gpus, real, tres, whole

COMMAND = ("scontrol", "-o", "-a", "-d", "show", "nodes")
"""-d: what of its generic resources is in use."""

# vpenso's names, then one for all that they leave out, so that the sum is the number of nodes.
VPENSO_STATES = ("alloc", "comp", "down", "drain", "err", "fail", "idle", "maint", "mix", "resv", "other")

# Names are sinfo's long ones without suffixes; vpenso's metric that counts them.
STATES = {
    "allocated": "alloc",
    "blocked": "other",
    "completing": "comp",
    "down": "down",
    "drained": "drain",
    "draining": "drain",
    "error": "err",
    "fail": "fail",
    "failing": "fail",
    "future": "other",
    "idle": "idle",
    "inval": "other",
    "maint": "maint",
    "mixed": "mix",
    "not_responding": "other",
    "planned": "other",
    "powered_down": "other",
    "powering_down": "other",
    "powering_up": "other",
    "reboot": "other",
    "reserved": "resv",
    "unknown": "other",
}
# Flags of a node that takes no jobs for now, in the order in which they are told.
_ABSENT = {
    "INVALID_REG": "inval",
    "POWERED_DOWN": "powered_down",
    "POWERING_DOWN": "powering_down",
    "POWER_DOWN": "powering_down",
    "POWERING_UP": "powering_up",
    "REBOOT_ISSUED": "reboot",
}
_OFF = frozenset({"POWERED_DOWN", "POWERING_DOWN", "POWER_DOWN", "POWERING_UP", "REBOOT_ISSUED"})
_USABLE = ("allocated", "completing", "idle", "maint", "mixed", "planned", "reserved")
_SUFFIXES = "*~#!%$@^-"


@dataclass(frozen=True)
class State:
    """One exclusive state of a node."""

    name: str
    """One of STATES."""
    responds: bool
    there: bool
    """Whether it is a machine that runs now."""

    @property
    def vpenso(self) -> str:
        """One of VPENSO_STATES."""
        return STATES[self.name]

    @property
    def usable(self) -> bool:
        """Whether what it has free is for jobs now. sinfo also counts machines that are off or silent."""
        return self.name in _USABLE


@dataclass(frozen=True)
class Node:
    """One node. Memory in bytes, times in Unix seconds; None where Slurm does not know."""

    name: str
    state: State
    cpus: int
    cpus_allocated: int
    cpu_load: float | None
    memory: int
    memory_allocated: int
    memory_free: int | None
    gpus: Mapping[str, int]
    """By type, "" where it has none."""
    gpus_allocated: Mapping[str, int]
    partitions: tuple[str, ...]
    address: str
    version: str
    """Of its slurmd; empty for a node that never registered."""
    reason: str
    reason_user: str
    reason_time: int | None
    boot_time: int | None
    slurmd_start_time: int | None
    last_busy_time: int | None


_KEYS = (
    "CPUAlloc", "CPUTot", "CPULoad", "Gres", "GresUsed", "NodeAddr", "Version", "RealMemory", "AllocMem", "FreeMem",
    "State", "Partitions", "BootTime", "SlurmdStartTime", "LastBusyTime", "AllocTRES",
)  # fmt: skip
_NEEDED = ("CPUAlloc", "CPUTot", "RealMemory", "AllocMem", "State")
_WORD = re.compile(rf" ({'|'.join(_KEYS)})=(\S*)")
_FREE_TEXT = re.compile(r" (?:Reason|Comment|Extra)=")
# A reason's first line, who gave it and when, its other lines, what is printed behind it (slurm_sprint_node_table).
_LINE_END = " " * 8
_REASON = re.compile(
    rf"(.*?) \[([^\[\]]*)@([^\[\]@]*)\]((?:{_LINE_END}.*?)?)"
    r"(?: +(?:Comment|Extra|InstanceId|InstanceType|ReservationName)=.*)?",
    re.DOTALL,
)


class Nodes:
    """Parses one output after the other. A line that was there before is not parsed anew: most are the same."""

    def __init__(self) -> None:
        self._known: dict[str, Node] = {}

    def __call__(self, text: str) -> tuple[Node, ...]:
        """Every node once, whatever its partitions."""
        known: dict[str, Node] = {}
        for line in text.split("\n"):
            if line.startswith("NodeName="):
                known[line] = self._known.get(line) or _node(line)
            # Any other line is the rest of a comment that has line ends in it, or "No nodes in the system".
        if not known and text.strip() and not text.startswith("No nodes"):
            raise ParseError(f"scontrol show nodes: no line is a node: {text[:80]!r}")
        self._known = known
        return tuple(known.values())


def _node(line: str) -> Node:
    # What people write comes last and may look like anything.
    free = _FREE_TEXT.search(line)
    head = line[: free.start()] if free else line
    found: dict[str, str] = {}
    for key, value in _WORD.findall(head):
        found.setdefault(key, value)
    if any(key not in found for key in _NEEDED):
        raise ParseError(f"scontrol show nodes: a node's line is not whole: {line[:80]!r}")
    get = found.get
    number = {key: whole(found[key]) for key in _NEEDED if key != "State"}
    if None in number.values():
        raise ParseError(f"scontrol show nodes: a node's numbers cannot be read: {line[:80]!r}")
    reason, user, moment = _reason(line[free.end() :] if free and free[0] == " Reason=" else "")
    return Node(
        name=head[len("NodeName=") :].partition(" ")[0],
        state=node_state(found["State"]),
        cpus=number["CPUTot"] or 0,
        cpus_allocated=number["CPUAlloc"] or 0,
        cpu_load=real(get("CPULoad", "")),
        memory=(number["RealMemory"] or 0) * MIB,
        memory_allocated=(number["AllocMem"] or 0) * MIB,
        memory_free=None if (free_memory := whole(get("FreeMem", ""))) is None else free_memory * MIB,
        gpus=gpus(get("Gres", "")),
        gpus_allocated=_allocated(gpus(get("GresUsed", "")), tres(get("AllocTRES", ""))),
        partitions=tuple(part for part in get("Partitions", "").split(",") if part),
        address=get("NodeAddr", ""),
        version=get("Version", ""),
        reason=reason,
        reason_user=user,
        reason_time=moment,
        boot_time=whole(get("BootTime", "")),
        slurmd_start_time=whole(get("SlurmdStartTime", "")),
        last_busy_time=whole(get("LastBusyTime", "")),
    )


def _reason(text: str) -> tuple[str, str, int | None]:
    match = _REASON.fullmatch(text)
    if not match:
        return text, "", None
    return match[1] + match[4].replace(_LINE_END, "\n"), match[2], whole(match[3])


def _allocated(used: Mapping[str, int], tracked: Tres) -> Mapping[str, int]:
    """GPUs in use by type. Jobs that asked for GPUs of any type may be missing in GresUsed; accounting has them."""
    more = tracked.all_gpus - sum(used.values())
    if not used:
        return tracked.gpus
    return {**used, "": used.get("", 0) + more} if more > 0 else used


@lru_cache(maxsize=1024)
def node_state(text: str) -> State:
    """One exclusive state out of BASE+FLAG+FLAG, in the order in which Slurm names states (node_state_string).

    Suffixes such as `*` (not responding) are part of the base here. A node that does not respond is not idle.
    """
    words = text.split("+")
    base = words[0].rstrip(_SUFFIXES)
    flags = {word.rstrip(_SUFFIXES) for word in words[1:]}
    responds = "NOT_RESPONDING" not in flags and "*" not in words[0]
    there = responds and base != "FUTURE" and not flags & _OFF
    return State(_name(base, flags, responds), responds, there)


def _name(base: str, flags: set[str], responds: bool) -> str:
    busy = base in ("ALLOCATED", "MIXED", "COMPLETING") or "COMPLETING" in flags
    if "DRAIN" in flags or base in ("DRAINED", "DRAINING"):
        return "draining" if busy or base == "DRAINING" else "drained"
    if "FAIL" in flags or base in ("FAIL", "FAILING"):
        return "failing" if busy or base == "FAILING" else "fail"
    if base == "DOWN":
        return "down"
    if not responds:
        return "not_responding"
    for flag, name in _ABSENT.items():
        if flag in flags:
            return name
    if base == "IDLE" and "MAINTENANCE" in flags:
        return "maint"
    if "COMPLETING" in flags or base == "COMPLETING":
        return "completing"
    if base == "IDLE" and "RESERVED" in flags:
        return "reserved"
    if base == "IDLE" and "PLANNED" in flags:
        return "planned"
    if "BLOCKED" in flags and base == "IDLE":
        return "blocked"
    name = base.lower()
    return name if name in STATES else "unknown"
