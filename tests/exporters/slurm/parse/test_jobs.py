from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.jobs import (
    DETAILS,
    EACH,
    WHAT,
    WHO,
    Group,
    Job,
    Jobs,
    Kind,
    Request,
    array_tasks,
    command,
    reason,
    requested_gpus,
    seconds,
)
from tests.exporters.slurm.building import MIB, NOW, ODD_TEXT, job_line, queue, read


def only(*lines: bytes) -> Group:
    (group,) = queue(*lines).groups
    return group


@pytest.mark.parametrize("details", [False, True])
def test_the_format_is_made_of_the_columns(details: bool) -> None:
    name, *flags, format_flag, shown = command(details)
    assert (name, format_flag) == ("squeue", "-O")
    assert {"-a", "-h", "--states=all"} <= set(flags)
    assert "-r" not in flags
    columns, ends = zip(*(word.split(":") for word in shown.split(",")), strict=True)
    each = (*EACH, *(DETAILS if details else ()))
    assert columns == (*WHO, *WHAT, *each)
    between = ["\x1f" * (len(part) - 1) for part in (WHO, WHAT, each)]
    assert "".join(ends) == f"{between[0]}\x1d{between[1]}\x1d{between[2]}\x1e"


def test_a_pending_job() -> None:
    line = job_line(
        username="ann",
        account="lab",
        partition="gpu,long",
        reason="Resources",
        tres_alloc="cpu=4,mem=8G,node=2,billing=4,gres/gpu=2,gres/gpu:a100=2",
        arraytaskid="0-9",
        submittime=NOW - 50,
        eligibletime=NOW - 40,
    )
    found = queue(line)
    kind = Kind("PENDING", "ann", "lab", ("gpu", "long"), "Resources")
    group = Group(kind, 10, cpus=40, memory=81920 * MIB, gpus=20, submitted=NOW - 50, eligible=NOW - 40)
    assert found.groups == (group,)
    assert found.pending == ((("gpu", "long"), Request(4, 8192 * MIB, 2, {"a100": 2}, 2), 10),)
    assert (found.waits, found.running, found.taken) == ((), (), NOW)


def test_what_pending_jobs_ask_for_is_told_apart_by_partition() -> None:
    small, large = "cpu=1,node=1", "cpu=9,node=1"
    lines = [
        job_line(tres_alloc=small, arraytaskid="0-2"),
        job_line(tres_alloc=large, username="bob"),
        job_line(tres_alloc=small, username="bob", reason="Priority"),
        job_line(tres_alloc=small, partition="long"),
        job_line(tres_alloc=large, state="RUNNING"),
    ]
    asked = [(partitions, request.cpus, count) for partitions, request, count in queue(*lines).pending]
    assert asked == [(("gpu",), 1, 4), (("gpu",), 9, 1), (("long",), 1, 1)]
    assert [(group.kind.user, group.cpus) for group in queue(*lines).groups] == [
        ("ann", 3), ("bob", 9), ("bob", 1), ("ann", 1), ("ann", 9),
    ]  # fmt: skip


def test_jobs_that_have_the_same_columns_are_one_group() -> None:
    lines = [job_line(arraytaskid=tasks) for tasks in ("N/A", "7", "0-99%10", "")]
    assert only(*lines).count == 1 + 1 + 100 + 1
    lines = [job_line(state="RUNNING"), job_line(username="bob"), *lines]
    counted = [(group.kind.state, group.kind.user, group.count) for group in queue(*lines).groups]
    assert counted == [("RUNNING", "ann", 1), ("PENDING", "bob", 1), ("PENDING", "ann", 103)]


def test_same_lines_count_each() -> None:
    assert only(*[job_line(arraytaskid="0-9", reason="Dependency")] * 1000).count == 10_000


def test_the_oldest_of_a_group() -> None:
    times: list[tuple[int, int | str]] = [(NOW - 10, NOW - 5), (NOW - 30, "N/A"), (NOW - 20, NOW - 9)]
    group = only(*(job_line(submittime=submitted, eligibletime=eligible) for submitted, eligible in times))
    assert (group.submitted, group.eligible) == (NOW - 30, NOW - 9)
    assert only(job_line(eligibletime="N/A")).eligible is None


def test_no_jobs() -> None:
    assert queue().groups == ()


@pytest.mark.parametrize(
    "text",
    ["slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n", "\n", "No jobs\n", "RUNNING"],
)
def test_text_that_is_no_job_fails_all(text: str) -> None:
    with pytest.raises(ParseError, match="squeue: the output is not whole"):
        queue(job_line(), text.encode())
    assert len(queue(job_line()).groups) == 1


@pytest.mark.parametrize("line", [b"\x1e\n", b"a\x1fb\x1e\n", b"RUNNING\x1fann" + 2 * b"\x1d" + b"\x1e\n"])
def test_line_with_too_few_columns_fails_all(line: bytes) -> None:
    with pytest.raises(ParseError, match=r"squeue: (a line has too few columns|the output is not whole)"):
        queue(job_line(), line)
    with pytest.raises(ParseError, match="squeue: "):
        queue(line, job_line())


def test_what_looks_like_an_end_of_line_in_an_account_harms_nobody() -> None:
    """Without slurmdbd an account is whatever its user writes."""
    account, token = "x\x1da\x1db\x1e\nRUNNING", "t0ken"
    line = job_line(account="HERE").replace(b"\x1d", b"\x1dt0ken").replace(b"\x1e", b"\x1et0ken")
    (group,) = read(Jobs(token=token), line.replace(b"HERE", account.encode())).groups
    assert (group.kind.state, group.kind.account, group.count) == ("PENDING", account, 1)
    assert command(token=token)[-1].endswith(f"\x1e{token}")


def test_output_cut_anywhere_fails_or_holds_whole_jobs_only() -> None:
    lines = [job_line(username=name, arraytaskid="0-99") for name in ("ann", "bob")]
    output = b"".join(lines)
    for length in range(1, len(output)):
        if length == len(lines[0]):
            assert queue(output[:length]) == queue(lines[0])
        else:
            with pytest.raises(ParseError):
                queue(output[:length])


@pytest.mark.parametrize("details", [False, True])
def test_pieces_of_any_size_are_the_same_output(details: bool) -> None:
    lines = [job_line(details, state="RUNNING", username=name) for name in ("ann", "ä\x1f|,", "x\n\x1f")]
    lines.append(job_line(details, arraytaskid="0-9"))
    whole = queue(*lines, details=details)
    assert sum(group.count for group in whole.groups) == 13
    for size in (1, 2, 3, 7):
        parser, output = Jobs(details), b"".join(lines)
        parser.begin(NOW)
        for start in range(0, len(output), size):
            parser.feed(output[start : start + size])
        assert parser.finish() == whole


@pytest.mark.parametrize("where", [1, 20, 60, 80])
def test_pieces_that_split_at_every_byte(where: int) -> None:
    output = job_line() + job_line(username="bob")
    for split in range(where, where + 20):
        parser = Jobs()
        parser.begin(NOW)
        for chunk in (output[:split], output[split:]):
            parser.feed(chunk)
        assert parser.finish() == queue(output)


def test_an_output_left_half_read_is_forgotten() -> None:
    parser = Jobs()
    parser.begin(NOW)
    parser.feed(job_line(username="bob") + b"half")
    assert [group.kind.user for group in read(parser, job_line()).groups] == ["ann"]
    with pytest.raises(ParseError):
        read(parser, b"half")
    assert [group.kind.user for group in read(parser, job_line()).groups] == ["ann"]


@given(ODD_TEXT, ODD_TEXT.map(lambda text: text.replace("\x1f", "")), st.booleans())
def test_names_of_any_characters(user: str, account: str, details: bool) -> None:
    # What is never in a name, as a line of /etc/passwd cannot hold it; the account could, if no slurmdbd checks it.
    user, account = (name.replace("\x1e\n", "") for name in (user, account))
    found = queue(
        job_line(details, state="RUNNING", username=user, account=account), job_line(details), details=details
    )
    kind = found.groups[0].kind
    assert (kind.user, kind.account, kind.partitions, kind.reason) == (user, account, ("gpu",), "None")
    assert [job.kind for job in found.running] == ([kind] if details else [])


def test_bytes_that_are_not_utf_8() -> None:
    group = only(job_line(username="a\udcffb", account="\udc80"))
    assert (group.kind.user, group.kind.account) == ("a\ufffdb", "\ufffd")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Resources", "Resources"),
        ("ReqNodeNotAvail, UnavailableNodes:w[1-3]", "ReqNodeNotAvail"),
        ("Nodes required for job are DOWN, DRAINED or reserved", "Nodes required for job are DOWN"),
        ("(JobHeldAdmin)", "None"),
        ("launch failed requeued held", "launch failed requeued held"),
        ("QOSMaxJobsPerUserLimit;x", "QOSMaxJobsPerUserLimit"),
        ("", "None"),
        (" ", "None"),
        ("x" * 100, "x" * 64),
    ],
)
def test_reason(text: str, name: str) -> None:
    assert reason(text) == name


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({}, {}),
        ({"tres-per-job": "gres/gpu:8"}, {"": 8}),
        ({"tres-per-job": "gres:gpu:a100:8", "tres-per-node": "gres/gpu:4"}, {"a100": 8}),
        ({"tres-per-node": "gres/gpu:a100:4"}, {"a100": 12}),
        ({"tres-per-node": "gpu:4"}, {"": 12}),
        ({"tres-per-node": "gres:gpu"}, {"": 3}),
        ({"tres-per-node": "gres/gpu:a100:1,gres/gpu:h100:2"}, {"a100": 3, "h100": 6}),
        ({"tres-per-socket": "gres/gpu:2"}, {"": 6}),
        ({"tres-per-task": "gres/gpu:2"}, {"": 48}),
        ({"tres-per-task": "gres/gpu:2", "cpus-per-task": "4"}, {"": 12}),
        ({"tres-per-task": "gres/gpu=2", "cpus-per-task": "100"}, {"": 2}),
        ({"tres-per-node": "gres/shard:4"}, {}),
        ({"tres-per-job": "(null)", "tres-per-node": "", "tres-per-task": "N/A"}, {}),
    ],
)
def test_requested_gpus(columns: Mapping[str, str], found: Mapping[str, int]) -> None:
    ways = ("tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task", "cpus-per-task")
    assert requested_gpus({**dict.fromkeys(ways, "N/A"), **columns}, nodes=3, cpus=24) == found


def test_gpus_that_are_tracked_go_before_what_was_asked_for() -> None:
    line: dict[str, Any] = {"tres_per_node": "gres/gpu:4"}
    assert only(job_line(tres_alloc="cpu=2,node=2,gres/gpu=1", **line)).gpus == 1
    assert only(job_line(tres_alloc="cpu=2,node=2", **line)).gpus == 8
    assert only(job_line(tres_alloc="N/A", **line)).gpus == 4


def test_single_jobs_only_where_they_are_wanted() -> None:
    more: dict[str, Any] = {"jobarrayid": "12_[3]", "nodelist": "n[1-2],m", "starttime": NOW - 60}
    lines = [
        job_line(True, state="RUNNING", timelimit="1-02:03:04", **more),
        job_line(True, state="RUNNING", starttime="N/A"),
        job_line(True),
        job_line(True, state="COMPLETED"),
    ]
    found = queue(*lines, details=True)
    kind, request = found.groups[0].kind, Request(1, MIB, 1, {}, 0)
    assert found.running == (
        Job(kind, request, "12_[3]", "n[1-2],m", NOW - 60, 93784),
        Job(kind, request, "17", "n1", None, None),
    )


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
        ("0-99999", 100_000),
    ],
)
def test_array_tasks(text: str, count: int) -> None:
    assert array_tasks(text) == count
    assert only(job_line(arraytaskid=text)).count == count


@given(st.integers(0, 10**6), st.integers(0, 10**4), st.integers(1, 50))
def test_array_range_with_a_step(first: int, length: int, step: int) -> None:
    assert array_tasks(f"{first}-{first + length}:{step}") == len(range(first, first + length + 1, step))


@pytest.mark.parametrize("text", ["0-3:0", "1-3:x", "1-x"])
def test_what_is_no_array_expression_fails(text: str) -> None:
    with pytest.raises(ParseError, match="is not an array expression"):
        array_tasks(text)
    with pytest.raises(ParseError, match="is not an array expression"):
        queue(job_line(arraytaskid=text))


@pytest.mark.parametrize(
    ("text", "number"),
    [("1-02:03:04", 93784), ("02:03:04", 7384), ("03:04", 184), ("365-00:00:00", 31536000), ("0:00", 0)],
)
def test_seconds(text: str, number: int) -> None:
    assert seconds(text) == number


@pytest.mark.parametrize(
    "text", ["UNLIMITED", "NOT_SET", "Partition_Limit", "INVALID", "", "5", "x-01:00:00", "1:2:3:4", "1-"]
)
def test_what_is_no_time(text: str) -> None:
    assert seconds(text) is None
