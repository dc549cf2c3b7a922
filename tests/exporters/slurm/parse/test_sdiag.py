from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given

from exporters.slurm.parse import ParseError, Whole
from exporters.slurm.parse.sdiag import FIGURES, Rpcs, Scheduler, sdiag
from tests.exporters.slurm.building import ODD_TEXT, read
from tests.exporters.slurm.samples import NEWER_SDIAG, SDIAG

# Metric -> value.
FOUND = {
    "slurm_scheduler_threads": 3,
    "slurm_scheduler_queue_size": 1,
    "slurm_scheduler_agents": 2,
    "slurm_scheduler_agent_threads": 6,
    "slurm_scheduler_dbd_queue_size": 4,
    "slurm_jobs_submitted_total": 100,
    "slurm_jobs_started_total": 90,
    "slurm_jobs_completed_total": 80,
    "slurm_jobs_canceled_total": 5,
    "slurm_jobs_failed_total": 0,
    "slurm_scheduler_last_cycle": 57,
    "slurm_scheduler_max_cycle": 1500,
    "slurm_scheduler_cycles_total": 480,
    "slurm_scheduler_mean_cycle": 61,
    "slurm_scheduler_depth_mean": 1,
    "slurm_scheduler_cycle_per_minute": 2,
    "slurm_scheduler_last_queue_length": 10,
    "slurm_scheduler_backfilled_jobs_since_start_total": 20,
    "slurm_scheduler_backfilled_jobs_since_cycle_total": 12,
    "slurm_scheduler_backfilled_heterogeneous_total": 0,
    "slurm_scheduler_backfill_cycles_total": 30,
    "slurm_scheduler_backfill_last_cycle_timestamp_seconds": 1668999970,
    "slurm_scheduler_backfill_last_cycle": 210,
    "slurm_scheduler_backfill_max_cycle": 990,
    "slurm_scheduler_backfill_mean_cycle": 305,
    "slurm_scheduler_backfill_last_depth": 4,
    "slurm_scheduler_backfill_last_depth_try": 3,
    "slurm_scheduler_backfill_depth_mean": 5,
    "slurm_scheduler_backfill_depth_try_mean": 6,
    "slurm_scheduler_backfill_last_queue_length": 11,
    "slurm_scheduler_backfill_queue_length_mean": 9,
    "slurm_scheduler_backfill_last_table_size": 8,
    "slurm_scheduler_backfill_table_size_mean": 7,
}


def figures(scheduler: Scheduler) -> dict[str, int]:
    return {figure.name: value for figure, value in scheduler.figures.items()}


def exits(scheduler: Scheduler) -> dict[tuple[str, str], int]:
    return {
        (figure.name.removeprefix("slurm_scheduler_"), figure.label[1]): value
        for figure, value in scheduler.figures.items()
        if figure.label[0]
    }


def test_sdiag() -> None:
    found = sdiag(SDIAG)
    assert figures(found) == FOUND
    assert found.by_type == {
        "REQUEST_PARTITION_INFO": Rpcs(9, 1350),
        "MESSAGE_NODE_REGISTRATION_STATUS": Rpcs(4, 1200),
    }
    assert found.by_user == {"root": Rpcs(13, 2550)}
    assert found.pending == {}
    assert found.since == 1668988800


def test_why_the_schedulers_end() -> None:
    found = sdiag(NEWER_SDIAG)
    assert {name: value for name, value in figures(found).items() if name in FOUND} == FOUND
    assert exits(found) == {
        ("exits_total", "end_of_queue"): 470,
        ("exits_total", "default_queue_depth"): 4,
        ("exits_total", "sched_max_job_start"): 3,
        ("exits_total", "licenses"): 2,
        ("exits_total", "max_rpc_cnt"): 1,
        ("exits_total", "max_sched_time"): 0,
        ("backfill_exits_total", "end_of_queue"): 25,
        ("backfill_exits_total", "bf_max_job_start"): 1,
        ("backfill_exits_total", "bf_max_job_test"): 2,
        ("backfill_exits_total", "state_changed"): 3,
        ("backfill_exits_total", "bf_node_space_size"): 4,
        ("backfill_exits_total", "bf_max_time"): 5,
    }
    assert set(found.figures) == set(FIGURES)


def test_each_figure_is_a_line_and_a_series_of_its_own() -> None:
    assert len({(figure.section, figure.key) for figure in FIGURES}) == len(FIGURES)
    assert set(Counter((figure.name, figure.label) for figure in FIGURES).values()) == {1}


def test_in_the_middle_of_backfilling() -> None:
    warning = "Backfilling stats (WARNING: data obtained in the middle of backfilling execution.)\n"
    assert figures(sdiag(SDIAG.replace("Backfilling stats\n", warning))) == FOUND


def test_before_the_first_cycle() -> None:
    means = ("Mean cycle", "Depth Mean", "Cycles per minute")
    text = "".join(line for line in SDIAG.splitlines(keepends=True) if not line.strip().startswith(means))
    text = text.replace("Mon Nov 21 03:06:10 2022 (1668999970)", "N/A")
    absent = {
        "slurm_scheduler_mean_cycle",
        "slurm_scheduler_cycle_per_minute",
        "slurm_scheduler_backfill_last_cycle_timestamp_seconds",
        "slurm_scheduler_backfill_mean_cycle",
        "slurm_scheduler_backfill_depth_mean",
        "slurm_scheduler_backfill_depth_try_mean",
    }
    assert figures(sdiag(text)) == {name: value for name, value in FOUND.items() if name not in absent}


def test_calls_that_wait() -> None:
    pending = "\tREQUEST_JOB_INFO ( 2003) count:7   : n[1-2]\n\tMESSAGE_EPILOG_COMPLETE ( 6012) count:1\n"
    found = sdiag(SDIAG.replace("\tNo pending RPCs\n", pending))
    assert found.pending == {"REQUEST_JOB_INFO": 7, "MESSAGE_EPILOG_COMPLETE": 1}
    assert len(found.by_user) == 1


def test_a_section_that_nobody_knows_is_nobodys() -> None:
    text = SDIAG.replace("Backfilling stats\n", "Something new\n\tLast cycle: 999\n\nBackfilling stats\n")
    assert figures(sdiag(text)) == FOUND


@given(ODD_TEXT)
def test_users_of_any_characters(user: str) -> None:
    user = user.replace("\n", "").strip() or "x"
    line = f"\t{user:15} (    1000) count:5      ave_time:2      total_time:10\n"
    found = sdiag(SDIAG.replace("statistics by user\n", f"statistics by user\n{line}"))
    assert found.by_user == {user: Rpcs(5, 10), "root": Rpcs(13, 2550)}
    assert figures(found) == FOUND


@pytest.mark.parametrize("text", ["", "No data available. Probably slurmctld is not working\n"])
def test_output_that_is_not_sdiags(text: str) -> None:
    with pytest.raises(ParseError, match="sdiag: no line with the server thread count"):
        sdiag(text)


def test_a_number_cut_in_two_is_no_number() -> None:
    for end in ("Jobs submitted: 10", "total_time:13", "Server thread count:  3"):
        with pytest.raises(ParseError, match="the output is not whole"):
            read(Whole(sdiag), SDIAG[: SDIAG.index(end) + len(end)].encode())


def test_a_users_name_may_be_longer_than_its_column_and_two_users_may_share_one() -> None:
    text = SDIAG + (
        "\nRemote Procedure Call statistics by user\n"
        "\tfirst.lastname@example.org(    1234) count:3      ave_time:5      total_time:15\n"
        "\tann             (    1001) count:2      ave_time:5      total_time:10\n"
        "\tann             (    1002) count:4      ave_time:5      total_time:20\n"
    )
    users = sdiag(text).by_user
    assert users["first.lastname@example.org"] == Rpcs(3, 15)
    assert users["ann"] == Rpcs(6, 30)
