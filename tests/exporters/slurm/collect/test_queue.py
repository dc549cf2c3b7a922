from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given

from exporters.exposition import Family
from exporters.slurm.collect import queue as collected
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import BUCKETS_S, Histogram, Memory
from exporters.slurm.collect.queue import VPENSO_STATES
from tests.exporters.slurm.building import MIB, NOW, ODD_TEXT, job_line, jobs, label_values, queue, read_back, values


def families(*lines: bytes, limit: int = 100) -> list[Family]:
    return [*collected.families(queue(*lines), Bounds(limit, Memory()))]


def series(found: dict[str, str], name: str) -> dict[str, str]:
    """Labels -> value of one metric."""
    return {text.removeprefix(name): value for text, value in found.items() if text.partition("{")[0] == name}


def test_vpensos_queue() -> None:
    found = values(
        families(
            jobs(7, reason="Resources"),
            jobs(3, reason="Dependency"),
            jobs(1, reason="DependencyNeverSatisfied"),
            jobs(2, state="RUNNING", reason="Dependency"),
            jobs(1, state="NODE_FAIL"),
            jobs(4, state="OUT_OF_MEMORY"),
        )
    )
    wanted = {"pending": "11", "running": "2", "node_fail": "1"}
    for name in VPENSO_STATES:
        assert found[f"slurm_queue_{name}"] == wanted.get(name, "0")
    assert found["slurm_queue_pending_dependency"] == "3"
    states = series(found, "slurm_jobs")
    assert states['{state="out_of_memory"}'] == "4"
    assert states['{state="suspended"}'] == "0"
    assert sum(map(int, states.values())) == 18


def test_empty_queue_has_every_sum_at_zero() -> None:
    found = values(families())
    assert {name: value for name, value in found.items() if not name.startswith("slurm_jobs{")} == {
        **{f"slurm_queue_{name}": "0" for name in VPENSO_STATES},
        "slurm_queue_pending_dependency": "0",
    }
    assert set(series(found, "slurm_jobs").values()) == {"0"}


def test_reasons() -> None:
    groups = [jobs(7, reason="Resources"), jobs(3, reason="Priority"), jobs(1, state="FAILED", reason="NonZero")]
    found = values(families(*groups))
    assert series(found, "slurm_queue_pending_by_reason") == {'{reason="Priority"}': "3", '{reason="Resources"}': "7"}
    assert series(found, "slurm_queue_jobs_by_reason") == {'{state="failed",reason="NonZero"}': "1"}


def test_thousands_of_reasons_are_bounded() -> None:
    groups = [jobs(1, state=state, reason=f"r{number}") for number in range(5000) for state in ("PENDING", "FAILED")]
    found = values(families(*groups, jobs(9, reason="other"), jobs(8, state="TIMEOUT", reason="x"), limit=3))
    pending = series(found, "slurm_queue_pending_by_reason")
    assert (len(pending), sum(map(int, pending.values()))) == (3, 5009)
    others = series(found, "slurm_queue_jobs_by_reason")
    assert (len(others), sum(map(int, others.values()))) == (4, 5008)
    assert others['{state="other",reason="other"}'] == "4998"
    assert others['{state="timeout",reason="x"}'] == "8"


def test_users_and_accounts() -> None:
    found = values(
        families(
            jobs(3, cpus=4, gpus={"a100": 1, "": 1}, memory=2 * MIB),
            jobs(2, state="RUNNING", cpus=8, gpus={"a100": 4}, account="else"),
            jobs(1, state="COMPLETED", username="bob"),
        )
    )
    states = ("pending", "running", "suspended")
    for what, numbers in {"jobs": (3, 2, 0), "cpus": (12, 16, 0), "gpus": (6, 8, 0)}.items():
        for state, number in zip(states, numbers, strict=True):
            assert found[f'slurm_user_{what}_{state}{{user="ann"}}'] == str(number)
            assert found[f'slurm_user_{what}_{state}{{user="bob"}}'] == "0"
    assert found['slurm_user_memory_pending_bytes{user="ann"}'] == str(6 * MIB)
    assert found['slurm_account_cpus_pending{account="lab"}'] == "12"
    assert found['slurm_account_cpus_running{account="lab"}'] == "0"
    assert found['slurm_account_jobs_running{account="else"}'] == "2"


def test_users_over_the_limit_are_other_and_sums_stay_equal() -> None:
    groups = [jobs(number, username=f"u{number}", cpus=2, gpus={"": 1}, memory=3 * MIB) for number in range(1, 8)]
    groups += [jobs(1, username="other", cpus=5), jobs(2, state="RUNNING", username="u7", cpus=9)]
    all_of_them, bounded = (families(*groups, limit=limit) for limit in (100, 2))
    for name in ("jobs_pending", "cpus_pending", "gpus_pending", "memory_pending_bytes", "cpus_running"):
        rows = label_values(bounded, f"slurm_user_{name}", "user")
        assert set(rows) == {"u6", "u7", "other"}
        assert sum(rows.values()) == sum(label_values(all_of_them, f"slurm_user_{name}", "user").values())
    assert label_values(bounded, "slurm_user_jobs_pending", "user")["other"] == 1 + 2 + 3 + 4 + 5 + 1


@pytest.mark.parametrize(
    ("groups", "pending", "wait"),
    [
        (
            [jobs(submittime=NOW - 50, eligibletime=NOW - 30), jobs(submittime=NOW - 60, eligibletime=NOW - 20)],
            "60",
            "30",
        ),
        ([jobs(submittime=NOW - 50, eligibletime=NOW - 50, reason="JobHeldUser")], "50", None),
        ([jobs(submittime=NOW - 50, eligibletime=NOW + 50, reason="BeginTime")], "50", None),
        ([jobs(submittime=NOW - 50, eligibletime="N/A", reason="Dependency")], "50", None),
        ([jobs(submittime=NOW + 5, eligibletime=NOW)], "0", "0"),
        ([jobs(submittime="N/A", eligibletime="N/A")], None, None),
        ([jobs(state="RUNNING", submittime=NOW - 50, eligibletime=NOW - 50)], None, None),
        ([], None, None),
    ],
)
def test_oldest_pending_job(groups: list[bytes], pending: str | None, wait: str | None) -> None:
    found = values(families(*groups))
    assert found.get("slurm_queue_oldest_pending_seconds") == pending
    assert found.get("slurm_queue_oldest_wait_seconds") == wait


def histogram(*waits: int) -> Histogram:
    made = Histogram()
    for wait in waits:
        made.add(wait, 1)
    return made


def test_waits() -> None:
    found = values(collected.wait_families({"gpu": histogram(0, 20, 20, 10**7)}, Bounds(5, Memory())))
    counts = [found[f'slurm_job_wait_seconds_bucket{{partition="gpu",le="{most}"}}'] for most in BUCKETS_S]
    assert counts == ["1", "1"] + ["3"] * (len(BUCKETS_S) - 2)
    assert found['slurm_job_wait_seconds_bucket{partition="gpu",le="+Inf"}'] == "4"
    assert found['slurm_job_wait_seconds_sum{partition="gpu"}'] == str(10**7 + 40)
    assert found['slurm_job_wait_seconds_count{partition="gpu"}'] == "4"


def test_partitions_of_waits_over_the_limit_are_other() -> None:
    memory, waits = Memory(), {"a": histogram(5), "b": histogram(5, 6)}
    assert values(collected.wait_families({}, Bounds(1, memory))) == {}
    values(collected.wait_families(waits, Bounds(1, memory)))
    waits["c"] = histogram(7)
    found = values(collected.wait_families(waits, Bounds(1, memory)))
    counts = series(found, "slurm_job_wait_seconds_count")
    assert counts == {'{partition="a"}': "1", '{partition="other"}': "3"}


def running(id: str, started: int | str, limit: str = "UNLIMITED", **of_job: Any) -> bytes:
    times: dict[str, Any] = {"starttime": started, "timelimit": limit}
    return jobs(details=True, state="RUNNING", jobarrayid=id, nodelist="n[1-2]", **times, **of_job)


def one_by_one(*lines: bytes, most: int) -> dict[str, str]:
    return values(collected.job_families(queue(*lines, details=True), most))


def test_running_jobs_one_by_one() -> None:
    found = one_by_one(
        running("7", NOW - 50, "1:00:00", cpus=4, gpus={"a": 1, "": 2}, partitions=("gpu", "x")),
        running("8_[1]", "N/A"),
        jobs(details=True),
        most=5,
    )
    assert found == {
        'slurm_job_info{jobid="8_[1]",user="ann",account="lab",partition="gpu",nodes="n[1-2]"}': "1",
        'slurm_job_info{jobid="7",user="ann",account="lab",partition="gpu,x",nodes="n[1-2]"}': "1",
        'slurm_job_cpus{jobid="7"}': "4",
        'slurm_job_cpus{jobid="8_[1]"}': "1",
        'slurm_job_gpus{jobid="7"}': "3",
        'slurm_job_gpus{jobid="8_[1]"}': "0",
        'slurm_job_elapsed_seconds{jobid="7"}': "50",
        'slurm_job_time_limit_seconds{jobid="7"}': "3600",
        "slurm_exporter_jobs_limit": "5",
        "slurm_exporter_jobs_left_out": "0",
    }


def test_of_running_jobs_over_the_limit_the_oldest_are_shown() -> None:
    found = one_by_one(*(running(str(number), NOW - number) for number in range(10)), most=2)
    assert series(found, "slurm_job_elapsed_seconds") == {'{jobid="9"}': "9", '{jobid="8"}': "8"}
    assert (found["slurm_exporter_jobs_limit"], found["slurm_exporter_jobs_left_out"]) == ("2", "8")


def short(reason: str) -> str:
    """A reason's name: what is before the first sign that something follows."""
    return re.split("[,;:(]", reason)[0].strip() or "None"


@given(ODD_TEXT, ODD_TEXT, ODD_TEXT)
def test_any_names_and_reasons_are_read_back_as_they_were(user: str, account: str, reason: str) -> None:
    # squeue prints a line end in a name or reason as it is; behind \x1e it would be the end of a job.
    user, account, reason = (text.replace("\x1e", "") for text in (user, account, reason))
    account, reason = (text.replace("\x1f", "") for text in (account, reason))
    found = queue(
        job_line(True, username=user, account=account, reason=reason),
        job_line(True, state="RUNNING", username=user, account=account, reason=reason),
        details=True,
    )
    shown = [*collected.families(found, Bounds(9, Memory())), *collected.job_families(found, most=9)]
    assert label_values(shown, "slurm_queue_pending_by_reason", "reason") == {short(reason): 1}
    assert label_values(shown, "slurm_queue_jobs_by_reason", "reason") == {short(reason): 1}
    assert label_values(shown, "slurm_user_jobs_pending", "user") == {user: 1}
    assert label_values(shown, "slurm_account_jobs_running", "account") == {account: 1}
    (info,) = [labels for family, labels, _ in read_back(shown) if family == "slurm_job_info"]
    assert (info["user"], info["account"]) == (user, account)
