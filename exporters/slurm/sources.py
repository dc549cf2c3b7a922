"""What is asked of Slurm, by which command, how often. Pure: one row a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporters.slurm.parse import Parser, Whole, controller, jobs, limits, nodes, partitions, sdiag


@dataclass(frozen=True)
class Options:
    """What the command line says of all sources."""

    job_metrics: int = 0
    """Most single jobs that are shown; 0 for none."""
    token: str = ""
    """Part of what separates squeue's columns; random, so that no user can write it."""
    label_limit: int = 500
    """Most values of a label that users, jobs or administrators make up; the others are summed as `other`."""


@dataclass(frozen=True)
class Kind:
    """One source."""

    name: str
    """Also that of the snapshot's field."""
    command: Callable[[Options], tuple[str, ...]]
    parser: Callable[[Options], Parser[Any]]
    every: float = 0.0
    """Seconds between two readings, if they are more than an interval."""
    core: bool = False
    """Without it the cluster counts as down."""
    accounting: bool = False
    """Asked only where there is a slurmdbd."""
    any_status: bool = False
    """Its exit status is an answer."""
    deadline: float = 10.0
    """Seconds after which its command is ended."""


def _always(command: tuple[str, ...]) -> Callable[[Options], tuple[str, ...]]:
    return lambda options: command


def _whole(parse: Callable[[str], Any]) -> Callable[[Options], Parser[Any]]:
    return lambda options: Whole(parse)


KINDS = (
    # A ping gives up by itself after Slurm's MessageTimeout (10 s) for each controller, and then says who is down.
    Kind("controllers", _always(controller.PING_COMMAND), _whole(controller.ping), any_status=True, deadline=25.0),
    Kind("nodes", _always(nodes.COMMAND), lambda options: Whole(nodes.Nodes()), core=True),
    Kind("partitions", _always(partitions.COMMAND), _whole(partitions.partitions), core=True),
    Kind(
        "jobs",
        lambda options: jobs.command(options.job_metrics > 0, options.token),
        lambda options: jobs.Jobs(options.job_metrics > 0, options.token),
        core=True,
    ),
    Kind("sdiag", _always(sdiag.COMMAND), _whole(sdiag.sdiag), core=True),
    Kind("config", _always(controller.CONFIG_COMMAND), _whole(controller.config), every=30.0),
    Kind("reservations", _always(limits.RESERVATIONS_COMMAND), _whole(limits.reservations), every=30.0),
    Kind("licenses", _always(limits.LICENSES_COMMAND), _whole(limits.licenses), every=30.0),
    Kind("shares", _always(limits.SHARES_COMMAND), _whole(limits.shares), every=60.0, accounting=True),
)


@dataclass(frozen=True)
class Snapshot:
    """What every source said last; None where it fails or was not asked."""

    now: float
    """Unix time."""
    controllers: tuple[controller.Controller, ...] | None = None
    nodes: tuple[nodes.Node, ...] | None = None
    partitions: tuple[partitions.Partition, ...] | None = None
    jobs: jobs.Queue | None = None
    sdiag: sdiag.Scheduler | None = None
    config: controller.Config | None = None
    reservations: tuple[limits.Reservation, ...] | None = None
    licenses: tuple[limits.License, ...] | None = None
    shares: tuple[limits.Share, ...] | None = None
