"""Jobs -> families: by state, reason, user and account; waits; single jobs. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from exporters.exposition import Family, labels, number, single
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import BUCKETS_S, Histogram, label_text
from exporters.slurm.parse.jobs import Group, Queue

# vpenso's metric -> Slurm's job state.
VPENSO_STATES = {
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
SHOWN_STATES = ("pending", "running", "suspended")
"""Of users and accounts."""
WHAT = {"jobs": "Jobs", "cpus": "CPUs of jobs", "gpus": "GPUs of jobs", "memory": "Memory of jobs"}

Use = Mapping[tuple[str, str], int]
"""What (of WHAT) and state -> how much."""


def families(queue: Queue, bounds: Bounds) -> Iterable[Family]:
    """Every zero of the cluster's sums is a series, and of each user and account that has a job in any state."""
    by_state: Counter[str] = Counter()
    by_reason: Counter[tuple[str, str]] = Counter()
    users: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    accounts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    for group in queue.groups:
        kind = group.kind
        by_state[kind.state] += group.count
        by_reason[kind.state, kind.reason] += group.count
        for key, value in use(group).items():
            users[kind.user][key] += value
            accounts[kind.account][key] += value
    yield from _vpenso(by_state, by_reason)
    yield from _states(by_state, by_reason, bounds)
    yield from _age(queue.groups, queue.taken)
    yield from scope_families("user", users, SHOWN_STATES, bounds)
    yield from scope_families("account", accounts, SHOWN_STATES, bounds)


def use(group: Group) -> dict[tuple[str, str], int]:
    """What the jobs of a group hold or ask for."""
    state = group.kind.state.lower()
    return {
        ("jobs", state): group.count,
        ("cpus", state): group.cpus,
        ("gpus", state): group.gpus,
        ("memory", state): group.memory,
    }


def scope_families(
    scope: str, rows: Mapping[str, Counter[tuple[str, str]]], states: Sequence[str], bounds: Bounds
) -> Iterable[Family]:
    """Families of a label: jobs, CPUs, GPUs and memory by state."""
    bounded = bounds.largest(scope, rows, _weight, _add)
    texts = [(label_text((scope, name)), bounded[name]) for name in sorted(bounded)]
    for what, of in WHAT.items():
        for state in states:
            name = f"slurm_{scope}_{what}_{state}" + ("_bytes" if what == "memory" else "")
            help = f"{of} in state {state.upper()} by {scope}."
            yield Family(name, "gauge", help, [(text, str(row[what, state])) for text, row in texts])


def _weight(row: Counter[tuple[str, str]]) -> float:
    return sum(value for (what, _), value in row.items() if what == "jobs")


def _add(one: Counter[tuple[str, str]], other: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    return one + other


def _vpenso(by_state: Counter[str], by_reason: Counter[tuple[str, str]]) -> Iterable[Family]:
    for metric, state in VPENSO_STATES.items():
        help = f"Jobs in state {state} in slurmctld's memory (ended ones for MinJobAge)."
        yield single(f"slurm_queue_{metric}", help, by_state[state])
    help = "Pending jobs that wait for another job."
    yield single("slurm_queue_pending_dependency", help, by_reason["PENDING", "Dependency"])


def _states(by_state: Counter[str], by_reason: Counter[tuple[str, str]], bounds: Bounds) -> Iterable[Family]:
    states = {state: by_state[state] for state in (*VPENSO_STATES.values(), *by_state)}
    samples = [(label_text(("state", state.lower())), str(states[state])) for state in sorted(states)]
    yield Family("slurm_jobs", "gauge", "Jobs in slurmctld's memory by state.", samples)
    pending = {reason: count for (state, reason), count in by_reason.items() if state == "PENDING"}
    rows = bounds.largest("reason", pending, float, lambda one, other: one + other)
    samples = [(label_text(("reason", reason)), str(rows[reason])) for reason in sorted(rows)]
    yield Family("slurm_queue_pending_by_reason", "gauge", "Pending jobs by why they wait.", samples)
    others = {f"{state.lower()}\n{reason}": count for (state, reason), count in by_reason.items() if state != "PENDING"}
    rows = bounds.largest("reason", others, float, lambda one, other: one + other)
    samples = []
    for key in sorted(rows):
        state, _, reason = key.partition("\n")
        samples.append((label_text(("state", state), ("reason", reason or "other")), str(rows[key])))
    yield Family("slurm_queue_jobs_by_reason", "gauge", "Jobs that are not pending by state and reason.", samples)


def _age(groups: Iterable[Group], now: float) -> Iterable[Family]:
    pending = [group for group in groups if group.kind.state == "PENDING"]
    submitted = [group.submitted for group in pending if group.submitted is not None]
    help = "Seconds since the oldest pending job was submitted, held ones too."
    if submitted:
        yield single("slurm_queue_oldest_pending_seconds", help, max(0, int(now) - min(submitted)))
    if (wait := oldest_wait(pending, now)) is not None:
        help = "Seconds that the job waits which could run since longest, as far as its user is concerned."
        yield single("slurm_queue_oldest_wait_seconds", help, wait)


def oldest_wait(groups: Iterable[Group], now: float) -> int | None:
    """Seconds since the first pending job became eligible; None where none is. Held ones are not."""
    times = [
        group.eligible
        for group in groups
        if group.eligible is not None and group.eligible <= now and not group.kind.reason.startswith("JobHeld")
    ]
    return int(now) - min(times) if times else None


def wait_families(waits: Mapping[str, Histogram], bounds: Bounds) -> Iterable[Family]:
    """The histogram of waits of jobs that started since this exporter did."""
    samples: list[tuple[str, str]] = []
    rows = bounds.first("wait_partition", waits, Histogram.plus)
    for partition in sorted(rows):
        histogram, total = rows[partition], 0
        for most, count in zip((*map(str, BUCKETS_S), "+Inf"), histogram.counts, strict=True):
            total += count
            samples.append(("_bucket" + label_text(("partition", partition), ("le", most)), str(total)))
        text = label_text(("partition", partition))
        samples += [(f"_sum{text}", str(histogram.sum)), (f"_count{text}", str(total))]
    help = "Seconds from eligible to start of jobs that started, by partition."
    yield Family("slurm_job_wait_seconds", "histogram", help, samples)


def job_families(queue: Queue, most: int) -> Iterable[Family]:
    """Running jobs one by one, the oldest first, no more than so many."""
    jobs = sorted(queue.running, key=lambda job: (job.started or 0, job.id))[:most]
    rows = [(labels({"jobid": job.id}), job) for job in jobs]
    info = [
        (
            labels(
                {
                    "jobid": job.id,
                    "user": job.kind.user,
                    "account": job.kind.account,
                    "partition": ",".join(job.kind.partitions),
                    "nodes": job.nodes,
                }
            ),
            "1",
        )
        for job in jobs
    ]
    yield Family("slurm_job_info", "gauge", "A running job: whose it is and where it runs.", info)
    yield Family(
        "slurm_job_cpus", "gauge", "CPUs of a running job.", [(text, str(job.request.cpus)) for text, job in rows]
    )
    gpus = [(text, str(job.request.all_gpus)) for text, job in rows]
    yield Family("slurm_job_gpus", "gauge", "GPUs of a running job.", gpus)
    elapsed = [(text, number(max(0, int(queue.taken) - job.started))) for text, job in rows if job.started is not None]
    yield Family("slurm_job_elapsed_seconds", "gauge", "Seconds since a running job started.", elapsed)
    limits = [(text, number(job.limit)) for text, job in rows if job.limit is not None]
    yield Family("slurm_job_time_limit_seconds", "gauge", "Time limit of a running job, if it has one.", limits)
    yield single("slurm_exporter_jobs_limit", "Most running jobs that are shown one by one.", most)
    help = "Running jobs beyond the limit, which are not shown one by one."
    yield single("slurm_exporter_jobs_left_out", help, len(queue.running) - len(jobs))
