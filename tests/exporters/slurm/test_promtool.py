"""Prometheus' own linter finds nothing in the exporter's page but what belongs to vpenso's names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from exporters.exposition import Family, render
from exporters.sampling import Reading
from exporters.slurm.collect import families, own
from exporters.slurm.collect.memory import Memory
from exporters.slurm.sources import KINDS, Options, Snapshot
from tests.exporters.gpu.test_promtool import GAUGE_TOTAL, problems
from tests.exporters.slurm.building import NOW, job_line, read
from tests.exporters.slurm.fake import OUTPUTS

# Gauges that vpenso/prometheus-slurm-exporter names so.
VPENSO = {
    "slurm_cpus_total",
    "slurm_gpus_total",
    "slurm_node_cpu_total",
    "slurm_node_mem_total",
    "slurm_partition_cpus_total",
    "slurm_scheduler_backfilled_heterogeneous_total",
    "slurm_scheduler_backfilled_jobs_since_cycle_total",
    "slurm_scheduler_backfilled_jobs_since_start_total",
}
ODDITIES = {(name, GAUGE_TOTAL) for name in VPENSO}


def whole_page() -> list[Family]:
    """Every family that there is."""
    options, memory = Options(job_metrics=5), Memory()
    parsers = {kind.name: kind.parser(options) for kind in KINDS}
    outputs = dict(OUTPUTS)
    outputs["jobs"] = job_line(True) + job_line(True, state="RUNNING", starttime=NOW + 5, timelimit="1:00:00")
    outputs["jobs"] += job_line(True, state="FAILED")
    outputs["shares"] += b"classic||1|0.5|0|0|0.5|\n"  # with the multifactor plugin's own algorithm
    read(parsers["jobs"], b"")
    found: dict[str, Any] = {name: read(parser, outputs[name], NOW + 60) for name, parser in parsers.items()}
    reading = Reading[object](None, "no", 1.0, 1.0, 1)
    states = [own.State("nodes", True, reading, "exit", 1, 1, 5.0)]
    return [*families(Snapshot(now=NOW + 60, **found), options, memory), *own.families(states)]


def linted(page: Iterable[Family]) -> set[tuple[str, str]]:
    return set(problems(render(page).decode()))


def test_only_vpensos_names_are_odd_and_each_that_is_listed_is() -> None:
    page = whole_page()
    assert [family.name for family in page if not family.samples] == []
    assert linted(page) == ODDITIES


def test_names_of_any_characters() -> None:
    odd = "\\\"'{}=#|,\x1f\x0b\r\x85\u2028ä中\udcff"
    options = Options(job_metrics=5)
    jobs = next(kind for kind in KINDS if kind.name == "jobs").parser(options)
    lines = [
        job_line(True, state=state, username=odd, account="a\nb", reason="c\nd") for state in ("PENDING", "RUNNING")
    ]
    snapshot = Snapshot(now=NOW, jobs=read(jobs, b"".join(lines)))
    assert linted(families(snapshot, options, Memory())) == set()
