"""All families of a snapshot."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporters.slurm.collect import families
from exporters.slurm.collect.memory import Memory
from exporters.slurm.sources import KINDS, Options, Snapshot
from tests.exporters.slurm.building import NOW, read, read_back, started, values
from tests.exporters.slurm.fake import JOBS, OUTPUTS


def snapshot(options: Options) -> Snapshot:
    outputs = OUTPUTS | ({"jobs": b""} if options.job_metrics else {})
    found: dict[str, Any] = {kind.name: read(kind.parser(options), outputs[kind.name]) for kind in KINDS}
    return Snapshot(now=NOW, **found)


def test_everything_is_read_back_as_it_was_written() -> None:
    options = Options()
    found = [*families(snapshot(options), options, Memory())]
    series = values(found)
    assert len([*read_back(found)]) == len(series)
    assert len(series) > 300


def test_nothing_is_said_of_a_cluster_that_does_not_answer() -> None:
    found = values(families(Snapshot(now=NOW), Options(label_limit=7), Memory()))
    assert found == {"slurm_exporter_label_values_limit": "7"}


def test_a_source_that_fails_takes_no_family_of_another() -> None:
    options = Options()
    whole = snapshot(options)
    names = {family.name for family in families(whole, options, Memory()) if family.samples}
    for kind in KINDS:
        without = replace(whole, **dict[str, Any]({kind.name: None}))
        left = {family.name for family in families(without, options, Memory()) if family.samples}
        assert left < names
        alone = Snapshot(now=NOW, **{kind.name: getattr(whole, kind.name)})
        assert {family.name for family in families(alone, options, Memory()) if family.samples} <= names


def test_single_jobs_are_shown_where_they_are_wanted() -> None:
    for number in (0, 3):
        options = Options(job_metrics=number)
        found = values(families(snapshot(options), options, Memory()))
        assert found.get("slurm_exporter_jobs_limit") == (str(number) if number else None)


def test_memory_is_brought_up_to_date() -> None:
    memory, options = Memory(), Options()
    parser = next(kind for kind in KINDS if kind.name == "jobs").parser(options)
    read(parser, JOBS)
    later = Snapshot(now=NOW + 60, jobs=read(parser, started(-5, 4), NOW + 60))
    for _ in range(2):
        found = values(families(later, options, memory))
        assert found['slurm_job_wait_seconds_count{partition="gpu"}'] == "1"
