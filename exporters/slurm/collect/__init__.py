"""A snapshot -> families. Pure.

Each subject is a module of its own. What needs a source that fails is left out; the rest stands.
"""

from __future__ import annotations

from collections.abc import Iterable

from exporters.exposition import Family
from exporters.slurm.collect import limits, nodes, partitions, queue, scheduler
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import Memory
from exporters.slurm.sources import Options, Snapshot


def families(snapshot: Snapshot, options: Options, memory: Memory) -> Iterable[Family]:
    """Everything that is said of the cluster. memory: of what was said before; it is brought up to date."""
    bounds = Bounds(options.label_limit, memory)
    memory.follow(snapshot)
    if snapshot.nodes is not None:
        yield from nodes.families(snapshot.nodes, memory)
    if snapshot.jobs is not None:
        yield from queue.families(snapshot.jobs, bounds)
        yield from queue.wait_families(memory.waits, bounds)
        if options.job_metrics:
            yield from queue.job_families(snapshot.jobs, options.job_metrics)
    if snapshot.partitions is not None:
        yield from partitions.families(snapshot, bounds)
    if snapshot.sdiag is not None:
        yield from scheduler.families(snapshot.sdiag, memory.counters, bounds)
    yield from scheduler.controller_families(snapshot.controllers, snapshot.config)
    yield from limits.families(snapshot, bounds)
    yield from bounds.families()
