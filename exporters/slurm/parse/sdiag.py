"""`sdiag` -> figures of slurmctld's scheduler and its remote procedure calls. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from exporters.slurm.parse import ParseError

COMMAND = ("sdiag",)


@dataclass(frozen=True)
class Figure:
    """One line of sdiag and the metric that it is."""

    section: str
    """The first words of its headline; empty before the first."""
    key: str
    name: str
    """Of the metric, or of the value of `label` where there is one."""
    help: str
    type: str = "gauge"
    """A counter goes on where sdiag begins anew."""
    label: tuple[str, str] = ("", "")
    """Name and value."""


_MAIN, _MAIN_EXIT = "Main schedule statistics", "Main scheduler exit"
_BACKFILL, _BACKFILL_EXIT = "Backfilling", "Backfill exit"
_S = "slurm_scheduler_"
_EXITS = f"{_S}exits_total", "Cycles of the main scheduler by why they ended.", "counter"
_BF_EXITS = f"{_S}backfill_exits_total", "Cycles of the backfill scheduler by why they ended.", "counter"


def _exit(reason: str) -> tuple[str, str]:
    return "reason", reason


# vpenso's names where it has one (in microseconds and with its types), others in its manner.
FIGURES = (
    Figure("", "Server thread count", f"{_S}threads", "Active threads of slurmctld."),
    Figure("", "Agent queue size", f"{_S}queue_size", "Requests in slurmctld's agent queue."),
    Figure("", "Agent count", f"{_S}agents", "Agents of slurmctld that send messages to nodes now."),
    Figure("", "Agent thread count", f"{_S}agent_threads", "Threads of slurmctld's agents."),
    Figure("", "DBD Agent queue size", f"{_S}dbd_queue_size", "Messages in slurmctld's queue for slurmdbd."),
    Figure("", "Jobs submitted", "slurm_jobs_submitted_total", "Jobs submitted.", "counter"),
    Figure("", "Jobs started", "slurm_jobs_started_total", "Jobs started.", "counter"),
    Figure("", "Jobs completed", "slurm_jobs_completed_total", "Jobs completed.", "counter"),
    Figure("", "Jobs canceled", "slurm_jobs_canceled_total", "Jobs canceled.", "counter"),
    Figure("", "Jobs failed", "slurm_jobs_failed_total", "Jobs failed.", "counter"),
    Figure(_MAIN, "Last cycle", f"{_S}last_cycle", "Duration of the last scheduling cycle in microseconds."),
    Figure(_MAIN, "Max cycle", f"{_S}max_cycle", "Longest scheduling cycle in microseconds."),
    Figure(_MAIN, "Total cycles", f"{_S}cycles_total", "Scheduling cycles.", "counter"),
    Figure(_MAIN, "Mean cycle", f"{_S}mean_cycle", "Mean duration of scheduling cycles in microseconds."),
    Figure(_MAIN, "Mean depth cycle", f"{_S}depth_mean", "Mean number of jobs looked at per scheduling cycle."),
    Figure(_MAIN, "Cycles per minute", f"{_S}cycle_per_minute", "Scheduling cycles per minute."),
    Figure(_MAIN, "Last queue length", f"{_S}last_queue_length", "Pending jobs at the last scheduling cycle."),
    Figure(_MAIN_EXIT, "End of job queue", *_EXITS, _exit("end_of_queue")),
    Figure(_MAIN_EXIT, "Hit default_queue_depth", *_EXITS, _exit("default_queue_depth")),
    Figure(_MAIN_EXIT, "Hit sched_max_job_start", *_EXITS, _exit("sched_max_job_start")),
    Figure(_MAIN_EXIT, "Blocked on licenses", *_EXITS, _exit("licenses")),
    Figure(_MAIN_EXIT, "Hit max_rpc_cnt", *_EXITS, _exit("max_rpc_cnt")),
    Figure(_MAIN_EXIT, "Timeout (max_sched_time)", *_EXITS, _exit("max_sched_time")),
    Figure(
        _BACKFILL,
        "Total backfilled jobs (since last slurm start)",
        f"{_S}backfilled_jobs_since_start_total",
        "Jobs started by backfill since slurmctld started.",
    ),
    Figure(
        _BACKFILL,
        "Total backfilled jobs (since last stats cycle start)",
        f"{_S}backfilled_jobs_since_cycle_total",
        "Jobs started by backfill since the figures were reset.",
    ),
    Figure(
        _BACKFILL,
        "Total backfilled heterogeneous job components",
        f"{_S}backfilled_heterogeneous_total",
        "Heterogeneous job components started by backfill since slurmctld started.",
    ),
    Figure(_BACKFILL, "Total cycles", f"{_S}backfill_cycles_total", "Backfill cycles.", "counter"),
    Figure(
        _BACKFILL,
        "Last cycle when",
        f"{_S}backfill_last_cycle_timestamp_seconds",
        "Unix time of the last backfill cycle.",
    ),
    Figure(_BACKFILL, "Last cycle", f"{_S}backfill_last_cycle", "Duration of the last backfill cycle in microseconds."),
    Figure(_BACKFILL, "Max cycle", f"{_S}backfill_max_cycle", "Longest backfill cycle in microseconds."),
    Figure(_BACKFILL, "Mean cycle", f"{_S}backfill_mean_cycle", "Mean duration of backfill cycles in microseconds."),
    Figure(_BACKFILL, "Last depth cycle", f"{_S}backfill_last_depth", "Jobs looked at in the last backfill cycle."),
    Figure(
        _BACKFILL,
        "Last depth cycle (try sched)",
        f"{_S}backfill_last_depth_try",
        "Jobs that the last backfill cycle tried to start.",
    ),
    Figure(_BACKFILL, "Depth Mean", f"{_S}backfill_depth_mean", "Mean number of jobs looked at per backfill cycle."),
    Figure(
        _BACKFILL,
        "Depth Mean (try depth)",
        f"{_S}backfill_depth_try_mean",
        "Mean number of jobs that a backfill cycle tried to start.",
    ),
    Figure(
        _BACKFILL, "Last queue length", f"{_S}backfill_last_queue_length", "Pending jobs at the last backfill cycle."
    ),
    Figure(
        _BACKFILL,
        "Queue length mean",
        f"{_S}backfill_queue_length_mean",
        "Mean number of pending jobs per backfill cycle.",
    ),
    Figure(
        _BACKFILL,
        "Last table size",
        f"{_S}backfill_last_table_size",
        "Time slots looked at in the last backfill cycle.",
    ),
    Figure(
        _BACKFILL, "Mean table size", f"{_S}backfill_table_size_mean", "Mean number of time slots per backfill cycle."
    ),
    Figure(_BACKFILL_EXIT, "End of job queue", *_BF_EXITS, _exit("end_of_queue")),
    Figure(_BACKFILL_EXIT, "Hit bf_max_job_start", *_BF_EXITS, _exit("bf_max_job_start")),
    Figure(_BACKFILL_EXIT, "Hit bf_max_job_test", *_BF_EXITS, _exit("bf_max_job_test")),
    Figure(_BACKFILL_EXIT, "System state changed", *_BF_EXITS, _exit("state_changed")),
    Figure(_BACKFILL_EXIT, "Hit table size limit (bf_node_space_size)", *_BF_EXITS, _exit("bf_node_space_size")),
    Figure(_BACKFILL_EXIT, "Timeout (bf_max_time)", *_BF_EXITS, _exit("bf_max_time")),
)
_BY_LINE = {(figure.section, figure.key): figure for figure in FIGURES}
_SECTIONS = sorted({figure.section for figure in FIGURES if figure.section}, reverse=True)
_RPC = re.compile(r"\t(.+?)\s*\(\s*(\d+)\) count:(\d+)\s+ave_time:\d+\s+total_time:(\d+)")
_PENDING_RPC = re.compile(r"\t(.+?)\s*\(\s*\d+\) count:(\d+)")
_WHEN = re.compile(r"\((\d+)\)\s*$")


@dataclass(frozen=True)
class Rpcs:
    """Calls of one type or user, and the microseconds slurmctld spent on them."""

    count: int
    microseconds: int


@dataclass(frozen=True)
class Scheduler:
    """What sdiag printed; absent what this version prints not, or not yet."""

    figures: Mapping[Figure, int] = field(default_factory=dict)
    by_type: Mapping[str, Rpcs] = field(default_factory=dict)
    by_user: Mapping[str, Rpcs] = field(default_factory=dict)
    pending: Mapping[str, int] = field(default_factory=dict)
    """Calls that wait, by type."""
    since: int | None = None
    """Unix time since which it counts."""


def sdiag(text: str) -> Scheduler:
    """All lines that are known; a mean that sdiag leaves out (no cycle yet) is absent."""
    section, since = "", None
    figures: dict[Figure, int] = {}
    tables: dict[str, dict[str, Rpcs]] = {"type": {}, "user": {}}
    pending: dict[str, int] = {}
    for line in text.split("\n"):
        if line[:1].isalpha():
            # A headline opens a section; any that is not ours closes the one before.
            if line.startswith("Data since"):
                since = _when(line)
            named = next((name for name in _SECTIONS if line.startswith(name)), None)
            if named or not line.partition(":")[2].strip():
                section = named or line.strip()
        if section.startswith("Remote Procedure Call statistics by "):
            if match := _RPC.match(line):
                table = tables["user" if section.endswith("user") else "type"]
                # Two users may have one name.
                before = table.get(match[1], Rpcs(0, 0))
                table[match[1]] = Rpcs(before.count + int(match[3]), before.microseconds + int(match[4]))
        elif section.startswith("Pending RPC statistics"):
            if match := _PENDING_RPC.match(line):
                pending[match[1]] = int(match[2])
        else:
            _figure(section, line, figures)
    if _BY_LINE["", "Server thread count"] not in figures:
        raise ParseError("sdiag: no line with the server thread count")
    return Scheduler(figures, tables["type"], tables["user"], pending, since)


def _figure(section: str, line: str, figures: dict[Figure, int]) -> None:
    key, _, value = line.strip().partition(":")
    figure = _BY_LINE.get((section, key.strip()))
    if figure is None:
        return
    value = value.strip()
    number = _when(line) if figure.name.endswith("_timestamp_seconds") else int(value) if value.isdigit() else None
    if number is not None:
        figures[figure] = number


def _when(line: str) -> int | None:
    match = _WHEN.search(line)
    return int(match[1]) if match else None
