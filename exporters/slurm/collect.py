"""Parsed sources -> families. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from exporters.exposition import Family, labels, number, single
from exporters.sampling import Reading
from exporters.slurm.parse import NODE_STATES, Node, Queue, Scheduler

# vpenso's metric -> Slurm's job state.
QUEUE_STATES = {
    "pending": "PENDING",
    "running": "RUNNING",
    "suspended": "SUSPENDED",
    "cancelled": "CANCELLED",
    "completing": "COMPLETING",
    "completed": "COMPLETED",
    "configuring": "CONFIGURING",
    "failed": "FAILED",
    "timeout": "TIMEOUT",
    "preempted": "PREEMPTED",
    "node_fail": "NODE_FAIL",
}

SCHEDULER_HELP = {
    "threads": "Active threads of slurmctld.",
    "queue_size": "Requests in slurmctld's agent queue.",
    "dbd_queue_size": "Messages in slurmctld's queue for slurmdbd.",
    "last_cycle": "Duration of the last scheduling cycle in microseconds.",
    "mean_cycle": "Mean duration of scheduling cycles in microseconds.",
    "cycle_per_minute": "Scheduling cycles per minute.",
    "backfill_last_cycle": "Duration of the last backfill cycle in microseconds.",
    "backfill_mean_cycle": "Mean duration of backfill cycles in microseconds.",
    "backfill_depth_mean": "Mean number of jobs looked at per backfill cycle.",
    "backfilled_jobs_since_start_total": "Jobs started by backfill since slurmctld started.",
    "backfilled_jobs_since_cycle_total": "Jobs started by backfill since the figures were reset.",
    "backfilled_heterogeneous_total": "Heterogeneous job components started by backfill since slurmctld started.",
}


def node_families(nodes: Sequence[Node]) -> Iterable[Family]:
    """Nodes by state and CPUs; every zero is a series."""
    states = Counter(node.state for node in nodes)
    for state in NODE_STATES:
        yield single(f"slurm_nodes_{state}", _node_help(state), states[state])
    yield single("slurm_nodes_total", "Nodes of the cluster.", len(nodes))
    allocated = sum(node.cpus_allocated for node in nodes)
    total = sum(node.cpus_total for node in nodes)
    # As sinfo counts (A/I/O/T): what is left of nodes that take no jobs is other.
    usable = ("alloc", "comp", "idle", "maint", "mix", "resv")
    idle = sum(node.cpus_total - node.cpus_allocated for node in nodes if node.state in usable)
    yield single("slurm_cpus_alloc", "CPUs allocated to jobs.", allocated)
    yield single("slurm_cpus_idle", "CPUs free for jobs.", idle)
    yield single(
        "slurm_cpus_other", "CPUs of nodes that take no jobs (down, drained, not responding).", total - allocated - idle
    )
    yield single("slurm_cpus_total", "CPUs of the cluster.", total)


def _node_help(state: str) -> str:
    return f"Nodes in state {state}." if state != "other" else "Nodes in any other state (not responding, planned ...)."


def queue_families(queue: Queue) -> Iterable[Family]:
    """Jobs by state, array tasks counted one by one; every zero is a series."""
    for metric, state in QUEUE_STATES.items():
        help = f"Jobs in state {state} in slurmctld's memory (ended ones for MinJobAge)."
        yield single(f"slurm_queue_{metric}", help, queue.by_state.get(state, 0))
    help = "Pending jobs that wait for another job."
    yield single("slurm_queue_pending_dependency", help, queue.pending_dependency)


def scheduler_families(scheduler: Scheduler) -> Iterable[Family]:
    """sdiag's figures."""
    for metric, help in SCHEDULER_HELP.items():
        if metric in scheduler.values:
            yield single(f"slurm_scheduler_{metric}", help, scheduler.values[metric])


def own_families(readings: Sequence[tuple[str, Reading[object]]]) -> Iterable[Family]:
    """What the exporter says of itself: each source's success, age, duration, failures and last error."""
    help = "1 if every source was read, 0 if slurmctld or a command fails."
    yield single("slurm_up", help, 0 if any(reading.error for _, reading in readings) else 1)
    rows = [(labels({"source": name}), reading) for name, reading in readings]
    help = "1 if the source's last reading is good and fresh."
    samples = [(text, "0" if reading.error else "1") for text, reading in rows]
    yield Family("slurm_exporter_source_up", "gauge", help, samples)
    help = "Seconds from the source's last good reading to this page."
    samples = [(text, number(round(reading.age, 3))) for text, reading in rows if reading.age is not None]
    yield Family("slurm_exporter_source_age_seconds", "gauge", help, samples)
    help = "Seconds the source's last reading took."
    samples = [(text, number(round(reading.duration, 6))) for text, reading in rows if reading.duration is not None]
    yield Family("slurm_exporter_source_duration_seconds", "gauge", help, samples)
    help = "Readings of the source that failed or hung."
    samples = [(text, number(reading.failures)) for text, reading in rows]
    yield Family("slurm_exporter_source_failures_total", "counter", help, samples)


def problems(readings: Sequence[tuple[str, Reading[object]]]) -> list[str]:
    """What makes this exporter unhealthy."""
    return [f"{name}: {reading.error}" for name, reading in readings if reading.error]
