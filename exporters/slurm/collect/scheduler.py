"""slurmctld itself -> families: sdiag's figures, calls, versions, who answers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from exporters.exposition import Family, labels, number, single
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import Counters, label_text
from exporters.slurm.parse.controller import Config, Controller
from exporters.slurm.parse.sdiag import FIGURES, Scheduler


def families(scheduler: Scheduler, counters: Counters, bounds: Bounds) -> Iterable[Family]:
    """sdiag in full; what this version does not print is absent. Counters go on where sdiag begins anew."""
    found: dict[str, Family] = {}
    for figure in FIGURES:
        if figure not in scheduler.figures:
            continue
        value = counters.total(figure) if figure.type == "counter" else scheduler.figures[figure]
        text = label_text(figure.label) if figure.label[0] else ""
        family = found.setdefault(figure.name, Family(figure.name, figure.type, figure.help, []))
        found[figure.name] = Family(
            family.name, family.type, family.help, [*family.samples, (text, number(value or 0))]
        )
    yield from found.values()
    yield from _calls("type", "slurm_rpc", counters, bounds)
    yield from _calls("user", "slurm_rpc_user", counters, bounds)
    waiting = [(label_text(("type", name)), number(count)) for name, count in sorted(scheduler.pending.items())]
    yield Family("slurm_rpc_pending", "gauge", "Calls that wait for slurmctld by type.", waiting)
    if scheduler.since is not None:
        help = "Unix time since which sdiag counts; its gauges of means and maxima begin anew with it."
        yield single("slurm_scheduler_statistics_since_timestamp_seconds", help, scheduler.since)


def _calls(label: str, prefix: str, counters: Counters, bounds: Bounds) -> Iterable[Family]:
    rows = {
        name: (counters.total((label, name, "count")) or 0, counters.total((label, name, "microseconds")) or 0)
        for name in counters.known(label)
    }
    bounded = bounds.first(f"rpc_{label}", rows, lambda one, other: (one[0] + other[0], one[1] + other[1]))
    texts = [(label_text((label, name)), bounded[name]) for name in sorted(bounded)]
    help = f"Calls that slurmctld answered by {label}."
    yield Family(f"{prefix}_requests_total", "counter", help, [(text, str(count)) for text, (count, _) in texts])
    help = f"Seconds that slurmctld spent on calls by {label}."
    samples = [(text, number(microseconds / 1e6)) for text, (_, microseconds) in texts]
    yield Family(f"{prefix}_seconds_total", "counter", help, samples)


def controller_families(controllers: Sequence[Controller] | None, config: Config | None) -> Iterable[Family]:
    """Which controllers answer, and what version slurmctld is."""
    if controllers is not None:
        samples = [(labels({"host": one.host, "role": one.role}), str(int(one.up))) for one in controllers]
        yield Family("slurm_controller_up", "gauge", "1 if the controller answers a ping.", samples)
    if config is not None:
        text = labels({"cluster_name": config.cluster, "version": config.version, "host": config.host})
        yield Family("slurm_controller_info", "gauge", "The cluster's name and slurmctld's version.", [(text, "1")])
