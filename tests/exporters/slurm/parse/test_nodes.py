from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.parse import ParseError, Whole
from exporters.slurm.parse.nodes import STATES, VPENSO_STATES, Node, Nodes, node_state
from tests.exporters.slurm.building import MIB, ODD_TEXT, node_line, read

# Of a node that has never registered (22.05.8).
PLACEHOLDER = (
    "NodeName=w1 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=1 CPUTot=1 CPULoad=N/A AvailableFeatures=(null)"
    " ActiveFeatures=(null) Gres=(null) NodeAddr=10.0.0.6 NodeHostName=w1  RealMemory=1 AllocMem=0 FreeMem=N/A"
    " Sockets=1 Boards=1 State=DOWN+DYNAMIC_NORM ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A"
    " Partitions=gpu  BootTime=None SlurmdStartTime=None LastBusyTime=1669000000 CfgTRES=cpu=1,mem=1M,billing=1"
    " AllocTRES= CapWatts=n/a CurrentWatts=n/s AveWatts=n/s ExtSensorsJoules=n/s ExtSensorsWatts=n/s"
    " ExtSensorsTemp=n/s Reason=gpu-watchdog: has not joined yet [root@1669000000]\n"
)


def nodes(text: str) -> tuple[Node, ...]:
    return read(Whole(Nodes()), text.encode())


def only(text: str) -> Node:
    (found,) = nodes(text)
    return found


def test_a_node() -> None:
    assert only(node_line(state="MIXED+DYNAMIC_NORM", allocated=3)) == Node(
        name="pod-1",
        state=node_state("MIXED"),
        cpus=8,
        cpus_allocated=3,
        cpu_load=0.1,
        memory=30000 * MIB,
        memory_allocated=512 * MIB,
        memory_free=100 * MIB,
        gpus={},
        gpus_allocated={},
        partitions=("gpu", "long"),
        address="10.0.0.5",
        version="22.05.8",
        reason="",
        reason_user="",
        reason_time=None,
        boot_time=1668000000,
        slurmd_start_time=1668000100,
        last_busy_time=1668000200,
    )


def test_a_node_that_never_registered() -> None:
    found = only(PLACEHOLDER)
    assert (found.state.name, found.version, found.address, found.cpus) == ("down", "", "10.0.0.6", 1)
    assert (found.cpu_load, found.memory_free, found.boot_time, found.slurmd_start_time) == (None,) * 4
    why = (found.reason, found.reason_user, found.reason_time)
    assert why == ("gpu-watchdog: has not joined yet", "root", 1669000000)


def test_all_nodes_each_once() -> None:
    text = node_line("a") + node_line("b", "DOWN*") + PLACEHOLDER
    assert [(node.name, node.state.name) for node in nodes(text)] == [("a", "idle"), ("b", "down"), ("w1", "down")]


def test_a_node_without_partitions() -> None:
    assert only(node_line().replace("Partitions=gpu,long ", "")).partitions == ()


def test_gpus_in_use_are_those_of_the_details() -> None:
    found = only(node_line(gres="gpu:h100:8(S:0-1)", more="GresUsed=gpu:h100:3(IDX:0-2) ", tres="gres/gpu=1"))
    assert (found.gpus, found.gpus_allocated) == ({"h100": 8}, {"h100": 3})


def test_gpus_of_jobs_that_asked_for_any_type_are_not_lost() -> None:
    """Captured: the details count only what was asked for by type."""
    found = only(node_line(gres="gpu:h100:8", more="GresUsed=gpu:h100:2 ", tres="cpu=5,mem=500M,gres/gpu=5"))
    assert found.gpus_allocated == {"h100": 2, "": 3}


@pytest.mark.parametrize("more", ["", "GresDrain=N/A "])
def test_gpus_in_use_without_details_are_those_tracked(more: str) -> None:
    found = only(node_line(gres="gpu:1g.10gb:7", more=more, tres="cpu=1,gres/gpu=2,gres/gpu:1g.10gb=2"))
    assert (found.gpus, found.gpus_allocated) == ({"1g.10gb": 7}, {"1g.10gb": 2})


@pytest.mark.parametrize("text", ["\n", "No nodes in the system\n"])
def test_no_nodes(text: str) -> None:
    assert nodes(text) == ()


@pytest.mark.parametrize("field", ["Reason", "Comment", "Extra"])
def test_what_people_write_of_a_node_is_not_read(field: str) -> None:
    plain = only(node_line())
    found = only(node_line(rest=f" {field}=State=DOWN CPUTot=1 CPUAlloc=9 NodeName=x Gres=gpu:9 [root@1669000000]"))
    assert (found.name, found.state, found.cpus, found.cpus_allocated, found.gpus) == ("pod-1", plain.state, 8, 0, {})
    assert bool(found.reason) == (field == "Reason")


@pytest.mark.parametrize(
    "text",
    ["slurm_load_node: error\n", node_line().replace("CPUTot=8 ", ""), node_line().replace("CPUTot=8", "CPUTot=x")],
)
def test_output_without_a_whole_node_fails_all(text: str) -> None:
    with pytest.raises(ParseError, match="scontrol show nodes: "):
        nodes(text)


def test_output_cut_anywhere_fails_or_holds_whole_nodes_only() -> None:
    text = node_line("a", rest=" Reason=x [root@1]") + node_line("b")
    whole = nodes(text)
    for length in range(1, len(text)):
        try:
            found = nodes(text[:length])
        except ParseError:
            continue
        assert text[length - 1] == "\n"
        assert found == whole[: len(found)]


@pytest.mark.parametrize("odd", ["\x0b", "\x85", "\u2028", "\r", "\n", "\x1f"])
def test_any_line_end_in_a_comment_or_reason_harms_nobody(odd: str) -> None:
    text = node_line().rstrip("\n") + f" Comment=one{odd}two\n" + node_line("pod-2")
    assert len(nodes(text)) == 2


def test_bytes_that_are_not_utf_8() -> None:
    line = node_line(rest=" Reason=a X b [root@1669000000]").encode().replace(b"X", b"\xff")
    (found,) = read(Whole(Nodes()), line)
    assert (found.reason, found.reason_user) == ("a \ufffd b", "root")


@pytest.mark.parametrize(
    ("printed", "reason", "user", "moment"),
    [
        ("why [root@1669000000]", "why", "root", 1669000000),
        ("why", "why", "", None),
        ("[not] a [time@all] [root@5]", "[not] a [time@all]", "root", 5),
        ("a | b, 'c' \"d\" \\ = {} State=X [root@5]", "a | b, 'c' \"d\" \\ = {} State=X", "root", 5),
        ("why [ann@uni.example@5]", "why", "ann@uni.example", 5),
        ("why [4294967294@Unknown]", "why", "4294967294", None),
        ("why [root@5] Comment=more [x@6]", "why", "root", 5),
        ("why [root@5] Extra=more", "why", "root", 5),
        ("why [root@5] InstanceId=i-1 InstanceType=p5", "why", "root", 5),
        ("why [root@5] InstanceType=p5", "why", "root", 5),
        ("why [root@5] ReservationName=maint", "why", "root", 5),
        ("first [root@5]        second        third", "first\nsecond\nthird", "root", 5),
        ("first [root@5]        second ReservationName=maint", "first\nsecond", "root", 5),
    ],
)
def test_reason(printed: str, reason: str, user: str, moment: int | None) -> None:
    found = only(node_line(rest=f" Reason={printed}"))
    assert (found.reason, found.reason_user, found.reason_time) == (reason, user, moment)


@given(ODD_TEXT, ODD_TEXT)
def test_any_reason_comes_through(reason: str, user: str) -> None:
    # A line end is never printed as one (slurm_sprint_node_table); the brackets are Slurm's own.
    reason, user = reason.replace("\n", " "), user.translate({ord(odd): "_" for odd in "\n[]"})
    found = only(node_line(rest=f" Reason={reason} [{user}@5]"))
    assert (found.reason, found.reason_user, found.reason_time) == (reason, user, 5)


def test_lines_that_were_there_before_are_not_parsed_anew() -> None:
    parse = Nodes()
    first, second = parse(node_line("a") + node_line("b"))
    again, changed = parse(node_line("a") + node_line("b", "DOWN"))
    assert again is first
    assert (changed.state.name, second.state.name) == ("down", "idle")
    assert parse(node_line("b"))[0] == second
    assert parse("") == ()


@pytest.mark.parametrize(
    ("text", "name", "vpenso"),
    [
        ("IDLE", "idle", "idle"),
        ("IDLE+DYNAMIC_NORM", "idle", "idle"),
        ("IDLE+CLOUD", "idle", "idle"),
        ("IDLE~", "idle", "idle"),
        ("IDLE*", "not_responding", "other"),
        ("IDLE+NOT_RESPONDING", "not_responding", "other"),
        ("IDLE*+DYNAMIC_NORM", "not_responding", "other"),
        ("IDLE*+CLOUD+POWERED_DOWN", "not_responding", "other"),
        ("IDLE+DRAIN", "drained", "drain"),
        ("IDLE*+DRAIN", "drained", "drain"),
        ("IDLE+DRAIN+DYNAMIC_NORM+NOT_RESPONDING", "drained", "drain"),
        ("MIXED+DRAIN", "draining", "drain"),
        ("ALLOCATED+DRAIN", "draining", "drain"),
        ("ALLOCATED+COMPLETING+DRAIN", "draining", "drain"),
        ("IDLE+COMPLETING+DRAIN", "draining", "drain"),
        ("DOWN+DRAIN", "drained", "drain"),
        ("DOWN+DYNAMIC_NORM+DRAIN", "drained", "drain"),
        ("DRAINED", "drained", "drain"),
        ("DRAINED*", "drained", "drain"),
        ("DRAINING*", "draining", "drain"),
        ("DRAINING@", "draining", "drain"),
        ("IDLE+MAINTENANCE+DRAIN", "drained", "drain"),
        ("DOWN", "down", "down"),
        ("DOWN*", "down", "down"),
        ("DOWN$", "down", "down"),
        ("DOWN+DYNAMIC_NORM", "down", "down"),
        ("DOWN+DYNAMIC_NORM+NOT_RESPONDING", "down", "down"),
        ("DOWN+MAINTENANCE", "down", "down"),
        ("DOWN+CLOUD+POWERED_DOWN", "down", "down"),
        ("IDLE+FAIL", "fail", "fail"),
        ("ALLOCATED+FAIL", "failing", "fail"),
        ("FAILING", "failing", "fail"),
        ("FAIL*", "fail", "fail"),
        ("ALLOCATED", "allocated", "alloc"),
        ("ALLOCATED+MAINTENANCE", "allocated", "alloc"),
        ("ALLOCATED+COMPLETING", "completing", "comp"),
        ("IDLE+COMPLETING", "completing", "comp"),
        ("MIXED+COMPLETING+DYNAMIC_NORM", "completing", "comp"),
        ("COMPLETING", "completing", "comp"),
        ("MIXED", "mixed", "mix"),
        ("MIXED-", "mixed", "mix"),
        ("MIXED+PLANNED", "mixed", "mix"),
        ("MIXED+RESERVED", "mixed", "mix"),
        ("MIXED+BLOCKED", "mixed", "mix"),
        ("IDLE+MAINTENANCE", "maint", "maint"),
        ("IDLE$+MAINTENANCE", "maint", "maint"),
        ("IDLE+MAINTENANCE+RESERVED", "maint", "maint"),
        ("IDLE+DYNAMIC_NORM+MAINTENANCE+RESERVED", "maint", "maint"),
        ("IDLE+RESERVED", "reserved", "resv"),
        ("IDLE+PLANNED", "planned", "other"),
        ("IDLE+BLOCKED", "blocked", "other"),
        ("IDLE+CLOUD+POWERED_DOWN", "powered_down", "other"),
        ("IDLE+CLOUD+POWERING_DOWN", "powering_down", "other"),
        ("IDLE+POWER_DOWN", "powering_down", "other"),
        ("IDLE#+POWERING_UP", "powering_up", "other"),
        ("ALLOCATED+CLOUD+POWERING_UP", "powering_up", "other"),
        ("IDLE+INVALID_REG", "inval", "other"),
        ("IDLE^+REBOOT_ISSUED", "reboot", "other"),
        ("IDLE+REBOOT_REQUESTED", "idle", "idle"),
        ("FUTURE", "future", "other"),
        ("UNKNOWN", "unknown", "other"),
        ("UNKNOWN*", "not_responding", "other"),
        ("ERROR", "error", "err"),
        ("SOMETHING_NEW", "unknown", "other"),
        ("", "unknown", "other"),
    ],
)
def test_node_state(text: str, name: str, vpenso: str) -> None:
    state = node_state(text)
    assert (state.name, state.vpenso) == (name, vpenso)


@pytest.mark.parametrize("text", ["DOWN*", "IDLE+DRAIN+NOT_RESPONDING", "IDLE*+DRAIN", "DRAINED*"])
def test_a_silent_node_is_told_whatever_its_state(text: str) -> None:
    assert not node_state(text).responds
    assert node_state(text.replace("*", "").replace("+NOT_RESPONDING", "")).responds


def test_which_nodes_take_jobs_and_which_run() -> None:
    usable = {name for name, vpenso in STATES.items() if vpenso in ("alloc", "comp", "idle", "maint", "mix", "resv")}
    usable.add("planned")  # what it has free is idle to sinfo: a job that fits may still start
    words = ("IDLE", "MIXED", "ALLOCATED", "DOWN", "IDLE+DRAIN", "IDLE*", "IDLE+PLANNED", "IDLE+RESERVED", "FUTURE")
    for state in map(node_state, words):
        assert state.usable == (state.name in usable)
    there = {text: node_state(text).there for text in ("IDLE", "DOWN", "DOWN*", "IDLE+POWERED_DOWN", "FUTURE")}
    assert there == {"IDLE": True, "DOWN": True, "DOWN*": False, "IDLE+POWERED_DOWN": False, "FUTURE": False}


@given(st.text() | st.lists(st.sampled_from(["IDLE*", "DOWN", "DRAIN", "MAINTENANCE", "FAIL", "X"])).map("+".join))
def test_any_state_is_one_of_ours(text: str) -> None:
    state = node_state(text)
    assert state.name in STATES
    assert state.vpenso in VPENSO_STATES
