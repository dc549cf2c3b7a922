from __future__ import annotations

from hypothesis import given

from exporters.slurm.collect import scheduler as collected
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import Memory
from exporters.slurm.parse.controller import Config, Controller
from exporters.slurm.parse.sdiag import FIGURES, Figure, Rpcs, Scheduler, sdiag
from exporters.slurm.sources import Snapshot
from tests.exporters.slurm.building import ODD_TEXT, label_values, values


def figure(name: str, reason: str = "") -> Figure:
    return next(one for one in FIGURES if one.name == f"slurm_{name}" and one.label[1] == reason)


def shown(memory: Memory, scheduler: Scheduler, limit: int = 50) -> dict[str, str]:
    memory.follow(Snapshot(now=1.0, sdiag=scheduler))
    return values(collected.families(scheduler, memory.counters, Bounds(limit, memory)))


def test_what_is_not_printed_is_left_out() -> None:
    found = shown(Memory(), Scheduler({figure("scheduler_threads"): 3, figure("scheduler_last_cycle"): 0}))
    assert found == {"slurm_scheduler_threads": "3", "slurm_scheduler_last_cycle": "0"}


def test_all_that_is_known() -> None:
    scheduler = Scheduler(
        dict.fromkeys(FIGURES, 7),
        {"REQUEST_PING": Rpcs(2, 1500000)},
        {"ann": Rpcs(3, 250)},
        {"REQUEST_X": 4},
        1669000000,
    )
    found = shown(Memory(), scheduler)
    for one in FIGURES:
        label = f'{{reason="{one.label[1]}"}}' if one.label[0] else ""
        assert found.pop(one.name + label) == "7"
    assert found == {
        'slurm_rpc_requests_total{type="REQUEST_PING"}': "2",
        'slurm_rpc_seconds_total{type="REQUEST_PING"}': "1.5",
        'slurm_rpc_user_requests_total{user="ann"}': "3",
        'slurm_rpc_user_seconds_total{user="ann"}': "0.00025",
        'slurm_rpc_pending{type="REQUEST_X"}': "4",
        "slurm_scheduler_statistics_since_timestamp_seconds": "1669000000",
    }


def test_counters_go_on_after_a_reset_and_gauges_begin_anew() -> None:
    memory, submitted, threads = Memory(), figure("jobs_submitted_total"), figure("scheduler_threads")
    end = figure("scheduler_exits_total", "end_of_queue")
    shown(memory, Scheduler({submitted: 50, threads: 9, end: 5}, {"A": Rpcs(4, 10)}, {"ann": Rpcs(7, 10)}))
    found = shown(memory, Scheduler({submitted: 2, threads: 3, end: 1}, {"B": Rpcs(1, 10)}, {"ann": Rpcs(1, 5)}))
    assert found["slurm_jobs_submitted_total"] == "52"
    assert found["slurm_scheduler_threads"] == "3"
    assert found['slurm_scheduler_exits_total{reason="end_of_queue"}'] == "6"
    assert found['slurm_rpc_requests_total{type="A"}'] == "4"
    assert found['slurm_rpc_requests_total{type="B"}'] == "1"
    assert found['slurm_rpc_user_requests_total{user="ann"}'] == "8"
    assert found['slurm_rpc_user_seconds_total{user="ann"}'] == "1.5e-05"


def test_callers_over_the_limit_are_other_and_never_change_places() -> None:
    memory = Memory()
    users = {"ann": Rpcs(5, 10), "bob": Rpcs(1, 10)}
    shown(memory, Scheduler(by_user=users), limit=2)
    users |= {"cat": Rpcs(100, 10), "other": Rpcs(2, 10)}
    found = shown(memory, Scheduler(by_user=users), limit=2)
    assert {text: value for text, value in found.items() if text.startswith("slurm_rpc_user_requests_total")} == {
        'slurm_rpc_user_requests_total{user="ann"}': "5",
        'slurm_rpc_user_requests_total{user="bob"}': "1",
        'slurm_rpc_user_requests_total{user="other"}': "102",
    }


@given(ODD_TEXT)
def test_any_caller_is_read_back_as_it_was(user: str) -> None:
    # A line of /etc/passwd has no line end in it; sdiag fills with blanks.
    user = user.replace("\n", "").strip() or "x"
    scheduler = sdiag(
        "Server thread count: 1\nRemote Procedure Call statistics by user\n"
        f"\t{user:15} (    1000) count:5      ave_time:2      total_time:10\n"
    )
    memory = Memory()
    memory.follow(Snapshot(now=1.0, sdiag=scheduler))
    families = [*collected.families(scheduler, memory.counters, Bounds(9, memory))]
    assert label_values(families, "slurm_rpc_user_requests_total", "user") == {user: 5}


def test_controllers() -> None:
    controllers = [Controller("primary", "head", True), Controller("backup1", "spare", False)]
    config = Config("pods", "24.11.5", accounting=False, host="head", address="")
    assert values(collected.controller_families(controllers, config)) == {
        'slurm_controller_up{host="head",role="primary"}': "1",
        'slurm_controller_up{host="spare",role="backup1"}': "0",
        'slurm_controller_info{cluster_name="pods",version="24.11.5",host="head"}': "1",
    }
    assert values(collected.controller_families(None, None)) == {}
