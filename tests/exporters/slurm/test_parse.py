"""Samples are modelled on what Slurm 22.05.8 prints (src/api/node_info.c, src/sdiag/sdiag.c)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.parse import NODE_STATES, Node, ParseError, array_tasks, jobs, node_state, nodes, sdiag

NODE = (
    "NodeName={name} Arch=x86_64 CoresPerSocket=8  CPUAlloc={allocated} CPUEfctv=8 CPUTot=8 CPULoad=0.10"
    " AvailableFeatures=(null) ActiveFeatures=(null) Gres=(null) NodeAddr=10.0.0.5 NodeHostName={name}"
    " Version=22.05.8 OS=Linux 6.1.0 #1 SMP Debian 6.1.90-1  RealMemory=30000 AllocMem=0 FreeMem=100 Sockets=1"
    " Boards=1 State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=gpu "
    " BootTime=1669000000 SlurmdStartTime=1669000000 LastBusyTime=1669000000 CfgTRES=cpu=8,mem=30000M,billing=8"
    " AllocTRES= CapWatts=n/a CurrentWatts=n/s AveWatts=n/s ExtSensorsJoules=n/s ExtSensorsWatts=n/s"
    " ExtSensorsTemp=n/s{rest}\n"
)
PLACEHOLDER = (
    "NodeName=w1 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=1 CPUTot=1 CPULoad=N/A AvailableFeatures=(null)"
    " ActiveFeatures=(null) Gres=(null) NodeAddr=10.0.0.6 NodeHostName=w1  RealMemory=1 AllocMem=0 FreeMem=N/A"
    " Sockets=1 Boards=1 State=DOWN+DYNAMIC_NORM ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A"
    " Partitions=gpu  BootTime=None SlurmdStartTime=None LastBusyTime=1669000000 CfgTRES=cpu=1,mem=1M,billing=1"
    " AllocTRES= CapWatts=n/a CurrentWatts=n/s AveWatts=n/s ExtSensorsJoules=n/s ExtSensorsWatts=n/s"
    " ExtSensorsTemp=n/s Reason=gpu-watchdog: has not joined yet [root@1669000000]\n"
)


def node(name: str = "pod-1", state: str = "IDLE+DYNAMIC_NORM", allocated: int = 0, rest: str = "") -> str:
    return NODE.format(name=name, state=state, allocated=allocated, rest=rest)


def test_nodes() -> None:
    text = node() + node("pod-2", "MIXED+DYNAMIC_NORM", 3) + PLACEHOLDER
    assert nodes(text) == (Node("pod-1", "idle", 0, 8), Node("pod-2", "mix", 3, 8), Node("w1", "down", 0, 1))


@pytest.mark.parametrize("text", ["", "\n", "No nodes in the system\n"])
def test_no_nodes(text: str) -> None:
    assert nodes(text) == ()


@pytest.mark.parametrize("field", ["Reason", "Comment", "Extra"])
def test_what_people_write_of_a_node_is_not_read(field: str) -> None:
    text = node(rest=f" {field}=State=DOWN CPUTot=1 CPUAlloc=9 NodeName=x [root@1669000000]")
    assert nodes(text) == (Node("pod-1", "idle", 0, 8),)


@pytest.mark.parametrize("text", ["slurm_load_node: error\n", node().replace("CPUTot=8 ", "")])
def test_output_without_a_whole_node_fails_all(text: str) -> None:
    with pytest.raises(ParseError, match="scontrol show nodes: "):
        nodes(text)


@pytest.mark.parametrize("odd", ["\x0b", "\x85", "\u2028", "\r", "\n"])
def test_any_line_end_in_a_comment_or_reason_harms_nobody(odd: str) -> None:
    text = node().rstrip("\n") + f" Comment=one{odd}two\n" + node()
    assert len(nodes(text)) == 2


@pytest.mark.parametrize("text", ["0-3:0", "1-3:x", "1-x"])
def test_what_is_no_array_expression_fails(text: str) -> None:
    with pytest.raises(ParseError, match="is not an array expression"):
        array_tasks(text)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("IDLE", "idle"),
        ("IDLE+DYNAMIC_NORM", "idle"),
        ("IDLE+CLOUD", "idle"),
        ("IDLE*", "other"),
        ("IDLE+NOT_RESPONDING", "other"),
        ("IDLE*+DYNAMIC_NORM", "other"),
        ("IDLE+DRAIN", "drain"),
        ("IDLE*+DRAIN", "drain"),
        ("IDLE+DRAIN+DYNAMIC_NORM+NOT_RESPONDING", "drain"),
        ("MIXED+DRAIN", "drain"),
        ("ALLOCATED+DRAIN", "drain"),
        ("DOWN+DRAIN", "drain"),
        ("DOWN+DYNAMIC_NORM+DRAIN", "drain"),
        ("DRAINED", "drain"),
        ("DRAINING*", "drain"),
        ("IDLE+MAINTENANCE+DRAIN", "drain"),
        ("DOWN", "down"),
        ("DOWN*", "down"),
        ("DOWN+DYNAMIC_NORM", "down"),
        ("DOWN+DYNAMIC_NORM+NOT_RESPONDING", "down"),
        ("DOWN+MAINTENANCE", "down"),
        ("IDLE+FAIL", "fail"),
        ("ALLOCATED+FAIL", "fail"),
        ("FAILING", "fail"),
        ("ALLOCATED", "alloc"),
        ("ALLOCATED+MAINTENANCE", "alloc"),
        ("ALLOCATED+COMPLETING", "comp"),
        ("IDLE+COMPLETING", "comp"),
        ("MIXED+COMPLETING+DYNAMIC_NORM", "comp"),
        ("COMPLETING", "comp"),
        ("MIXED", "mix"),
        ("MIXED-", "mix"),
        ("MIXED+PLANNED", "mix"),
        ("MIXED+RESERVED", "mix"),
        ("IDLE+MAINTENANCE", "maint"),
        ("IDLE+MAINTENANCE+RESERVED", "maint"),
        ("IDLE+RESERVED", "resv"),
        ("IDLE+PLANNED", "other"),
        ("IDLE+CLOUD+POWERED_DOWN", "other"),
        ("IDLE+POWERING_UP", "other"),
        ("IDLE+INVALID_REG", "other"),
        ("IDLE+REBOOT_ISSUED", "other"),
        ("FUTURE", "other"),
        ("UNKNOWN", "other"),
        ("UNKNOWN*", "other"),
        ("ERROR", "err"),
        ("SOMETHING_NEW", "other"),
        ("", "other"),
    ],
)
def test_node_state(text: str, state: str) -> None:
    assert node_state(text) == state


@given(st.text())
def test_any_state_is_one_of_ours(text: str) -> None:
    assert node_state(text) in NODE_STATES


def test_jobs() -> None:
    text = "\n".join(
        [
            "N/A|RUNNING|None",
            "7|RUNNING|None",
            "N/A|PENDING|Resources",
            "0-99%10|PENDING|Dependency",
            "N/A|PENDING|Dependency",
            "N/A|RUNNING|Dependency",
            "1-3|COMPLETED|None",
            "N/A|PENDING|a | b",
        ]
    )
    found = jobs(text + "\n")
    assert found.by_state == {"RUNNING": 3, "PENDING": 103, "COMPLETED": 3}
    assert found.pending_dependency == 101


def test_same_lines_count_each() -> None:
    found = jobs("0-9|PENDING|Dependency\n" * 1000)
    assert (found.by_state, found.pending_dependency) == ({"PENDING": 10_000}, 10_000)


def test_no_jobs() -> None:
    found = jobs("")
    assert (found.by_state, found.pending_dependency) == ({}, 0)


@pytest.mark.parametrize("text", ["slurm_load_jobs error: Unable to contact slurm controller\n", "\n", "N/A|RUNNING\n"])
def test_line_that_is_no_job_fails_all(text: str) -> None:
    with pytest.raises(ParseError, match="squeue: a line has"):
        jobs("N/A|RUNNING|None\n" + text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("N/A", 1),
        ("", 1),
        ("0", 1),
        ("17", 1),
        ("0-99", 100),
        ("0-99%10", 100),
        ("0-99:2%10", 50),
        ("1-10:3", 4),
        ("5-5", 1),
        ("1,5,7-9", 5),
        ("[1-3]", 3),
        ("[1,3-5%2]", 4),
        ("0-4,10-14:2", 8),
    ],
)
def test_array_tasks(text: str, count: int) -> None:
    assert array_tasks(text) == count


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(1, 50))
def test_array_range_with_a_step(first: int, length: int, step: int) -> None:
    assert array_tasks(f"{first}-{first + length}:{step}") == len(range(first, first + length + 1, step))


SDIAG = """\
*******************************************************
sdiag output at Mon Nov 21 03:06:40 2022 (1669000000)
Data since      Mon Nov 21 00:00:00 2022 (1668988800)
*******************************************************
Server thread count:  3
Agent queue size:     1
Agent count:          2
Agent thread count:   6
DBD Agent queue size: 4

Jobs submitted: 100
Jobs started:   90
Jobs completed: 80
Jobs canceled:  5
Jobs failed:    0

Job states ts:  Mon Nov 21 03:06:30 2022 (1668999990)
Jobs pending:   10
Jobs running:   5

Main schedule statistics (microseconds):
\tLast cycle:   57
\tMax cycle:    1500
\tTotal cycles: 480
\tMean cycle:   61
\tMean depth cycle:  1
\tCycles per minute: 2
\tLast queue length: 10

Backfilling stats
\tTotal backfilled jobs (since last slurm start): 20
\tTotal backfilled jobs (since last stats cycle start): 12
\tTotal backfilled heterogeneous job components: 0
\tTotal cycles: 30
\tLast cycle when: Mon Nov 21 03:06:10 2022 (1668999970)
\tLast cycle: 210
\tMax cycle:  990
\tMean cycle: 305
\tLast depth cycle: 4
\tLast depth cycle (try sched): 3
\tDepth Mean: 5
\tDepth Mean (try depth): 6
\tLast queue length: 10
\tQueue length mean: 9
\tLast table size: 1
\tMean table size: 1

Latency for 1000 calls to gettimeofday(): 25 microseconds

Remote Procedure Call statistics by message type
\tREQUEST_PARTITION_INFO                  ( 2009) count:9      ave_time:150    total_time:1350
\tMESSAGE_NODE_REGISTRATION_STATUS        ( 1002) count:4      ave_time:300    total_time:1200

Remote Procedure Call statistics by user
\troot            (       0) count:13     ave_time:196    total_time:2550

Pending RPC statistics
\tNo pending RPCs
"""
FIGURES = {
    "threads": 3,
    "queue_size": 1,
    "dbd_queue_size": 4,
    "last_cycle": 57,
    "mean_cycle": 61,
    "cycle_per_minute": 2,
    "backfill_last_cycle": 210,
    "backfill_mean_cycle": 305,
    "backfill_depth_mean": 5,
    "backfilled_jobs_since_start_total": 20,
    "backfilled_jobs_since_cycle_total": 12,
    "backfilled_heterogeneous_total": 0,
}


def test_sdiag() -> None:
    assert sdiag(SDIAG).values == FIGURES


def test_sdiag_in_the_middle_of_backfilling() -> None:
    warning = "Backfilling stats (WARNING: data obtained in the middle of backfilling execution.)\n"
    assert sdiag(SDIAG.replace("Backfilling stats\n", warning)).values == FIGURES


def test_sdiag_before_the_first_cycle() -> None:
    means = ("Mean cycle", "Depth Mean", "Cycles per minute")
    text = "".join(line for line in SDIAG.splitlines(keepends=True) if not line.strip().startswith(means))
    absent = {"mean_cycle", "backfill_mean_cycle", "backfill_depth_mean", "cycle_per_minute"}
    assert sdiag(text).values == {name: value for name, value in FIGURES.items() if name not in absent}


@pytest.mark.parametrize("text", ["", "No data available. Probably slurmctld is not working\n"])
def test_output_that_is_not_sdiags(text: str) -> None:
    with pytest.raises(ParseError, match="sdiag: no line with the server thread count"):
        sdiag(text)
