"""What stands and what goes where commands fail, hang or print half; all by scripts."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from exporters.slurm.exporter import Exporter
from exporters.slurm.sources import KINDS
from tests.exporters.slurm.building import node_line
from tests.exporters.slurm.fake import Slurm, a_round, alive, error, families, metrics, until


@pytest.mark.parametrize(
    ("source", "prefixes"),
    [
        (
            "nodes",
            ("slurm_node", "slurm_cpus", "slurm_gpus", "slurm_memory", "slurm_partition_", "slurm_queue_pending_i"),
        ),
        ("jobs", ("slurm_queue_", "slurm_job", "slurm_user_", "slurm_account_", "slurm_partition_")),
        ("partitions", ("slurm_partition_", "slurm_queue_pending_impossible")),
        ("sdiag", ("slurm_scheduler_", "slurm_jobs_", "slurm_rpc_")),
        ("controllers", ("slurm_controller_up",)),
        ("config", ("slurm_controller_info",)),
        ("reservations", ("slurm_reservation_",)),
        ("licenses", ("slurm_licenses",)),
    ],
)
def test_a_source_that_fails_takes_its_own_series_only(
    slurm: Slurm, exporter: Exporter, source: str, prefixes: tuple[str, ...]
) -> None:
    a_round(exporter)
    whole, targets = families(exporter), exporter.targets.get().body
    slurm.fails(source)
    a_round(exporter, everything=True)
    lost = whole - families(exporter) - {"slurm_account_fairshare"}
    assert lost
    assert all(name.startswith(prefixes) for name in lost)
    found = metrics(exporter)
    assert error(exporter, source) == "controller"
    assert found["slurm_up"] == str(int(source not in ("nodes", "jobs", "partitions", "sdiag")))
    assert found[f'slurm_exporter_source_failures_total{{source="{source}"}}'] == "1"
    assert [name for name in found if name.startswith("slurm_exporter_source_error_info")] == [
        f'slurm_exporter_source_error_info{{source="{source}",class="controller"}}'
    ]
    (problem,) = exporter.metrics.get().problems
    assert problem.startswith(f"{source}: s")
    assert "Unable to contact slurm controller" in problem
    # Who scrapes still has a list: the last.
    assert exporter.targets.get().body == targets
    slurm.works(source)
    a_round(exporter, everything=True)
    assert families(exporter) >= whole
    assert exporter.metrics.get().problems == []


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("echo 'slurm_load_jobs error: Invalid authentication credential' >&2; exit 1", "authentication"),
        ("echo 'slurm_load_jobs error: Access/permission denied' >&2; exit 1", "permission"),
        ("echo 'error: unable to read slurm.conf' >&2; exit 1", "configuration"),
        ("exit 1", "exit"),
        ("kill -9 $$", "exit"),
        ("echo 'slurm_load_jobs error: but status 0'; exit 0", "parse"),
        ("printf 'RUNNING\\037an'; exit 0", "parse"),
    ],
)
def test_class_of_an_error(slurm: Slurm, exporter: Exporter, script: str, kind: str) -> None:
    slurm.does("jobs", script)
    a_round(exporter)
    assert error(exporter, "jobs") == kind


def test_a_command_that_goes_and_comes_back(slurm: Slurm, exporter: Exporter) -> None:
    (slurm.bin / "sdiag").unlink()
    a_round(exporter)
    assert error(exporter, "sdiag") == "missing"
    slurm.install("sdiag")
    a_round(exporter, everything=True)
    assert error(exporter, "sdiag") == ""


def test_an_output_cut_in_two_leaves_the_others_and_counts_nothing_twice(slurm: Slurm, exporter: Exporter) -> None:
    a_round(exporter)
    before = metrics(exporter)["slurm_jobs_submitted_total"]
    slurm.does("sdiag", "printf 'Server thread count: 3\\nJobs submitted: 1'; exit 0")
    slurm.does("nodes", "printf 'NodeName=head CPUTot'; exit 0")
    a_round(exporter, everything=True)
    assert (error(exporter, "sdiag"), error(exporter, "nodes"), error(exporter, "jobs")) == ("parse", "parse", "")
    slurm.works("sdiag", "nodes")
    a_round(exporter, everything=True)
    assert metrics(exporter)["slurm_jobs_submitted_total"] == before


def test_warnings_on_stderr_harm_nobody(slurm: Slurm, exporter: Exporter) -> None:
    for source in (kind.name for kind in KINDS):
        slurm.does(source, "echo 'warning: slurm.conf is old' >&2")
    a_round(exporter)
    assert exporter.metrics.get().problems == []


def test_a_controller_that_is_down_is_an_answer(slurm: Slurm, exporter: Exporter) -> None:
    slurm.does("controllers", "echo 'Slurmctld(primary) at head is DOWN'; exit 1")
    a_round(exporter)
    assert metrics(exporter)['slurm_controller_up{host="head",role="primary"}'] == "0"
    assert error(exporter, "controllers") == ""


def shorten(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command has 2 s."""
    for asked in exporter._asked.values():
        monkeypatch.setattr(asked, "kind", replace(asked.kind, deadline=2.0))


def test_a_command_that_hangs_is_killed_at_its_deadline(
    slurm: Slurm, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten(exporter, monkeypatch)
    slurm.does("sdiag", "echo $$ >>DIRECTORY/hanging; /bin/sleep 1000 & echo $! >>DIRECTORY/hanging; wait")
    a_round(exporter)
    assert error(exporter, "sdiag") == "timeout"
    assert "sdiag: sdiag gave no answer within 2 s" in exporter.metrics.get().problems
    assert metrics(exporter)["slurm_nodes"] == "3"
    pids = slurm.pids("hanging")
    assert len(pids) == 2
    until(lambda: not any(map(alive, pids)))
    slurm.works("sdiag")
    a_round(exporter, everything=True)
    assert error(exporter, "sdiag") == ""


def test_a_command_that_hangs_never_runs_twice_at_once(
    slurm: Slurm, exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_round(exporter)
    shorten(exporter, monkeypatch)
    slurm.does("jobs", "echo $$ >>DIRECTORY/hanging; exec /bin/sleep 1000")
    slurm.prints("nodes", node_line("alone"))
    a_round(exporter, everything=True, most=0.05)
    until(lambda: len(slurm.pids("hanging")) == 1)
    (first,) = slurm.pids("hanging")
    rounds = 0
    while len(slurm.pids("hanging")) == 1:
        # The others go on; its last value stands until the deadline has passed.
        a_round(exporter, everything=True, most=0.05)
        rounds += 1
    assert rounds > 1
    assert not alive(first)
    until(lambda: len(slurm.pids("hanging")) == 2)
    until(lambda: metrics_after(exporter, "slurm_nodes") == "1")
    slurm.works("jobs")
    until(lambda: metrics_after(exporter, 'slurm_exporter_source_up{source="jobs"}') == "1")


def metrics_after(exporter: Exporter, name: str) -> str:
    a_round(exporter, everything=True, most=0.05)
    return metrics(exporter)[name]


def test_counters_and_waits_outlast_readings_that_fail(slurm: Slurm, exporter: Exporter) -> None:
    a_round(exporter)
    slurm.prints("sdiag", "Server thread count: 1\nJobs submitted: 3\n")
    slurm.fails("jobs")
    a_round(exporter, everything=True)
    assert metrics(exporter)["slurm_jobs_submitted_total"] == "103"
    slurm.fails("sdiag")
    a_round(exporter, everything=True)
    assert "slurm_jobs_submitted_total" not in metrics(exporter)
    slurm.works("sdiag", "jobs")
    a_round(exporter, everything=True)
    assert metrics(exporter)["slurm_jobs_submitted_total"] == "103"


def test_many_rounds_leave_nothing_behind(slurm: Slurm, exporter: Exporter) -> None:
    def held() -> tuple[int, int, str]:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return threading.active_count(), len([*Path("/proc/self/fd").iterdir()]), children

    a_round(exporter, everything=True)
    before = held()
    for number in range(9):
        (slurm.fails if number % 3 else slurm.works)("jobs", "sdiag")
        slurm.does("nodes", "echo half; kill -9 $$" if number % 2 else "")
        a_round(exporter, everything=True)
    assert held() == before
