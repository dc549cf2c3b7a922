"""Rounds of the exporter with commands that are scripts."""

from __future__ import annotations

import json

import pytest

from exporters.slurm import pace
from exporters.slurm.exporter import Exporter
from exporters.slurm.sources import Options
from tests.exporters.slurm.building import job_line, jobs
from tests.exporters.slurm.fake import INTERVAL_S, JOBS, NODES, Clock, Slurm, a_round, made, metrics
from tests.exporters.slurm.samples import CONFIG

ALL = ["config", "controllers", "jobs", "licenses", "nodes", "partitions", "reservations", "sdiag"]
OFTEN = ["controllers", "jobs", "nodes", "partitions", "sdiag"]


def test_before_the_first_round(exporter: Exporter) -> None:
    assert exporter.metrics.get().expired
    assert exporter.targets.get().expired


def test_a_round(slurm: Slurm, exporter: Exporter) -> None:
    assert a_round(exporter) == ALL
    assert slurm.asked() == ALL
    found = metrics(exporter)
    wanted = {
        "slurm_up": "1",
        "slurm_nodes_idle": "1",
        "slurm_nodes_drain": "1",
        "slurm_gpus_alloc": "3",
        "slurm_queue_pending": "4",
        "slurm_queue_pending_dependency": "1",
        'slurm_user_gpus_pending{user="ann"}': "3",
        'slurm_partition_jobs_pending{partition="gpu"}': "4",
        "slurm_jobs_submitted_total": "100",
        'slurm_rpc_pending{type="REQUEST_JOB_INFO"}': "7",
        'slurm_controller_info{cluster_name="pods",version="24.11.5",host="head"}': "1",
        'slurm_reservation_nodes{reservation="maint"}': "2",
        'slurm_licenses_used{license="matlab"}': "2",
        'slurm_exporter_source_bytes{source="nodes"}': str(len(NODES)),
        'slurm_exporter_source_lines{source="nodes"}': "3",
        'slurm_exporter_source_bytes{source="jobs"}': str(len(JOBS)),
        'slurm_exporter_source_interval_seconds{source="nodes"}': "10.0",
        'slurm_exporter_source_interval_seconds{source="config"}': "30.0",
    }
    assert {name: found.get(name) for name in wanted} == wanted
    assert exporter.metrics.get().problems == []
    assert not any("job_info" in name for name in found)


def test_targets(exporter: Exporter) -> None:
    a_round(exporter)
    groups = json.loads(exporter.targets.get().body)
    labels = [(group["labels"]["job"], group["labels"].get("node"), group["labels"].get("role")) for group in groups]
    assert labels == [
        ("gpu-exporter", "head", "head"),
        ("gpu-exporter", "w1", "worker"),
        ("slurm-exporter", None, None),
    ]


def test_each_source_is_asked_at_its_own_pace(slurm: Slurm, exporter: Exporter, clock: Clock) -> None:
    slurm.prints("config", CONFIG.replace("slurmdbd", "none"))
    asked = []
    for _ in range(7):
        asked.append(a_round(exporter))
        clock.now += INTERVAL_S
    assert asked == [ALL, OFTEN, OFTEN] * 2 + [ALL]


def test_shares_are_asked_for_only_where_there_is_a_slurmdbd(slurm: Slurm, exporter: Exporter, clock: Clock) -> None:
    slurm.prints("config", CONFIG.replace("slurmdbd", "none"))
    for _ in range(3):
        a_round(exporter, everything=True)
    assert "shares" not in slurm.asked()
    assert not any("fairshare" in name or '"shares"' in name for name in metrics(exporter))
    slurm.prints("config", CONFIG)
    a_round(exporter, everything=True)
    assert "shares" in a_round(exporter)
    assert metrics(exporter)['slurm_user_level_fairshare{account="root",user="root"}'] == "+Inf"


def test_single_jobs(slurm: Slurm, clock: Clock) -> None:
    slurm.prints("jobs", jobs(3, state="RUNNING", details=True) + job_line(True, state="RUNNING", jobarrayid="18"))
    for exporter in made(Options(job_metrics=1)):
        a_round(exporter)
        found = metrics(exporter)
        assert [name for name in found if name.startswith("slurm_job_info{jobid=")] == [
            'slurm_job_info{jobid="17",user="ann",account="lab",partition="gpu",nodes="n1"}'
        ]
        assert (found["slurm_exporter_jobs_limit"], found["slurm_exporter_jobs_left_out"]) == ("1", "1")


def test_what_fails_is_asked_later_each_time(slurm: Slurm, exporter: Exporter, clock: Clock) -> None:
    slurm.fails("jobs")
    asked, paces = [], []
    for _ in range(10):
        asked.append("jobs" in a_round(exporter))
        paces.append(metrics(exporter)['slurm_exporter_source_interval_seconds{source="jobs"}'])
        clock.now += INTERVAL_S
    assert asked == [True, True, False, True, False, False, True, False, False, True]
    assert [paces[0], paces[1], paces[3], paces[6]] == ["10.0", "20.0", "30.0", "30.0"]
    slurm.works("jobs")
    clock.now += INTERVAL_S * 2
    assert "jobs" in a_round(exporter)
    assert metrics(exporter)['slurm_exporter_source_interval_seconds{source="jobs"}'] == "10.0"


def test_what_takes_long_is_asked_less_often_and_says_so(
    slurm: Slurm, exporter: Exporter, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slurm.prints("config", CONFIG.replace("slurmdbd", "none"))
    caplog.set_level("INFO")
    durations = []

    def pause(interval: float, duration: float, failures: int) -> float:
        durations.append(duration)
        return 60.0

    monkeypatch.setattr(pace, "pause", pause)
    a_round(exporter)
    assert all(duration > 0 for duration in durations)
    assert metrics(exporter)['slurm_exporter_source_interval_seconds{source="jobs"}'] == "60.0"
    assert [record.getMessage() for record in caplog.records if "jobs" in record.getMessage()] == [
        "jobs: asked every 60 s now"
    ]
    clock.now += 50
    assert a_round(exporter) == []
    clock.now += 9.5
    assert a_round(exporter) == ALL


def test_who_recovers_makes_the_others_that_fail_due(slurm: Slurm, exporter: Exporter, clock: Clock) -> None:
    slurm.fails("config", "licenses", "sdiag")
    a_round(exporter)
    clock.now += INTERVAL_S
    assert a_round(exporter) == OFTEN
    slurm.works("config", "licenses", "sdiag")
    clock.now += 2 * INTERVAL_S
    slurm.fails("config")
    assert a_round(exporter) == ALL
    slurm.fails("jobs")
    slurm.works("config")
    clock.now += INTERVAL_S
    assert a_round(exporter) == sorted([*OFTEN, "config"])
    assert metrics(exporter)['slurm_exporter_source_up{source="config"}'] == "1"
