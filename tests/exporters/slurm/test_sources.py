from __future__ import annotations

from dataclasses import fields

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.jobs import DETAILS, Queue
from exporters.slurm.sources import KINDS, Kind, Options, Snapshot
from tests.exporters.slurm.building import read
from tests.exporters.slurm.fake import OUTPUTS

BY_NAME = {kind.name: kind for kind in KINDS}


def value(kind: Kind, options: Options, output: bytes) -> object:
    return read(kind.parser(options), output)


def test_each_source_has_a_place_in_the_snapshot() -> None:
    assert {kind.name for kind in KINDS} == {field.name for field in fields(Snapshot)} - {"now"}
    assert len(BY_NAME) == len(KINDS)


def test_each_command_runs_once() -> None:
    commands = [kind.command(Options()) for kind in KINDS]
    assert len(set(commands)) == len(commands)
    assert {command[0] for command in commands} == {"squeue", "scontrol", "sdiag", "sshare"}
    assert [command[0] for command in commands].count("squeue") == 1


def test_single_jobs_are_asked_for_only_where_they_are_shown() -> None:
    jobs = BY_NAME["jobs"]
    plain, detailed = (jobs.command(Options(job_metrics=number))[-1] for number in (0, 5))
    assert not any(column in plain for column in DETAILS)
    assert all(column in detailed for column in DETAILS)
    assert isinstance(value(jobs, Options(), b""), Queue)
    assert isinstance(value(jobs, Options(job_metrics=1), b""), Queue)


def test_what_a_cluster_cannot_be_without_and_what_needs_a_slurmdbd() -> None:
    assert {kind.name for kind in KINDS if kind.core} == {"nodes", "partitions", "jobs", "sdiag"}
    assert {kind.name for kind in KINDS if kind.accounting} == {"shares"}
    assert {kind.name for kind in KINDS if kind.any_status} == {"controllers"}
    assert all(kind.every == 0 for kind in KINDS if kind.core)


def test_each_parser_reads_its_own_output_and_no_other_text() -> None:
    for kind in KINDS:
        assert value(kind, Options(), OUTPUTS[kind.name])
        for text in (b"half a line", b"some error\n"):
            try:
                value(kind, Options(), text)
            except ParseError:
                continue
            raise AssertionError(f"{kind.name} takes {text!r}")


def test_parsers_are_each_sources_own() -> None:
    for kind in KINDS:
        assert kind.parser(Options()) is not kind.parser(Options())
