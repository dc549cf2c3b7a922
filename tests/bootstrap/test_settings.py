from __future__ import annotations

from collections.abc import Mapping

import pytest

from bootstrap.settings import Settings, near_misses, read
from bootstrap.variables import Worker
from tests.bootstrap.samples import HEAD, SECRET, WORKER


def problems(environ: Mapping[str, str]) -> list[str]:
    return [str(problem) for problem in read(environ)[1]]


def workers(count: int) -> str:
    return ",".join(f"w{number}:10.{number >> 8}.{number & 255}.1" for number in range(count))


def test_head_defaults() -> None:
    assert read(HEAD) == (Settings(role="head", munge_key=SECRET.encode()), [])


def test_everything_set() -> None:
    environ = {
        "NODE_ROLE": "worker",
        "HEAD_NODE_IP": "head.internal",
        "CLUSTER_NAME": "c",
        "WORKER_NODES": "w1:10.0.0.7",
        "MAX_NODES": "5",
        "PARTITION_NAME": "p",
        "NODE_IP": "10.0.0.6",
        "NODE_NAME": "n",
        "MUNGE_KEY": SECRET,
        "MUNGE_KEY_FILE": "/k",
        "STATE_DIR": "/s",
        "GPU_EXPORTER_PORT": "1001",
        "SLURM_EXPORTER_PORT": "1002",
        "RUNPOD_CPU_COUNT": "12",
        "RUNPOD_MEM_GB": "31.5",
    }
    assert read(environ) == (
        Settings(
            role="worker",
            head_address="head.internal",
            cluster_name="c",
            workers=(Worker("w1", "10.0.0.7"),),
            max_nodes=5,
            partition_name="p",
            node_ip="10.0.0.6",
            node_name="n",
            munge_key=SECRET.encode(),
            munge_key_file="/k",
            state_dir="/s",
            gpu_exporter_port=1001,
            slurm_exporter_port=1002,
            cpu_hint=12,
            memory_hint_mb=32256,
        ),
        [],
    )


def test_empty_counts_as_unset() -> None:
    empty = dict.fromkeys(
        ("CLUSTER_NAME", "MAX_NODES", "NODE_IP", "STATE_DIR", "GPU_EXPORTER_PORT", "WORKER_NODES"), ""
    )
    assert read({**HEAD, **empty}) == read(HEAD)
    assert problems({**HEAD, "NODE_ROLE": ""}) == ["NODE_ROLE is not set. Set it to head or to worker."]


@pytest.mark.parametrize(
    ("environ", "role", "head", "node"),
    [
        ({"NODE_RANK": "0", "PRIMARY_ADDR": "10.65.0.2", "NODE_ADDR": "10.65.0.2"}, "head", "10.65.0.2", "10.65.0.2"),
        ({"NODE_RANK": "3", "PRIMARY_ADDR": "10.65.0.2", "NODE_ADDR": "10.65.0.5"}, "worker", "10.65.0.2", "10.65.0.5"),
        (
            {"NODE_RANK": "0", "NODE_ROLE": "worker", "HEAD_NODE_IP": "h", "PRIMARY_ADDR": "10.9.9.9"},
            "worker",
            "h",
            None,
        ),
        (
            {"NODE_RANK": "1", "NODE_ROLE": "", "HEAD_NODE_IP": "", "PRIMARY_ADDR": "10.9.9.9"},
            "worker",
            "10.9.9.9",
            None,
        ),
        ({"NODE_ROLE": "head", "NODE_IP": "10.0.0.7", "NODE_ADDR": "10.0.0.8"}, "head", None, "10.0.0.7"),
    ],
)
def test_aliases_stand_in_for_what_is_unset(
    environ: dict[str, str], role: str, head: str | None, node: str | None
) -> None:
    found, wrong = read({**environ, "MUNGE_KEY": SECRET})
    assert not wrong
    assert (found.role, found.head_address, found.node_ip) == (role, head, node)


@pytest.mark.parametrize("text", ["first", "-1", "1.0", "1234567"])
def test_alias_is_named_in_its_problem(text: str) -> None:
    assert problems({"NODE_RANK": text}) == [
        f"NODE_RANK={text!r} is not a rank. Write NODE_ROLE=head or NODE_ROLE=worker instead."
    ]


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "NODE_ROLE is not set. Set it to head or to worker."),
        ({"NODE_ROLE": "HEAD"}, "NODE_ROLE='HEAD' is not a role (did you mean head?)."),
        ({"NODE_ROLE": "foo"}, "NODE_ROLE='foo' is not a role."),
        ({"NODE_ROLE": "worker"}, "HEAD_NODE_IP is not set, which a worker needs."),
        ({**WORKER, "HEAD_NODE_IP": "10.0.0.1:6817"}, "HEAD_NODE_IP='10.0.0.1:6817' has a port."),
        ({**WORKER, "HEAD_NODE_IP": "my head"}, "HEAD_NODE_IP='my head' is neither"),
        ({**WORKER, "HEAD_NODE_IP": "localhost"}, "HEAD_NODE_IP='localhost' is this pod itself."),
        ({**WORKER, "HEAD_NODE_IP": "", "PRIMARY_ADDR": "0.0.0.0"}, "PRIMARY_ADDR='0.0.0.0' is an address that no"),
        ({**HEAD, "GPU_EXPORTER_PORT": "9341"}, "are the same port."),
        ({**HEAD, "GPU_EXPORTER_PORT": "6818"}, "GPU_EXPORTER_PORT=6818 is a port of Slurm's own daemons."),
        ({**HEAD, "SLURM_EXPORTER_PORT": "6817"}, "SLURM_EXPORTER_PORT=6817 is a port of Slurm's own daemons."),
        (
            {**HEAD, "WORKER_NODES": workers(10_000)},
            "WORKER_NODES with 10000 workers and the head do not fit into MAX_",
        ),
        ({**HEAD, "WORKER_NODES": workers(3), "MAX_NODES": "3"}, "Set MAX_NODES to 4 or more, or list fewer workers."),
    ],
)
def test_one_problem(environ: dict[str, str], words: str) -> None:
    found = problems(environ)
    assert len(found) == 1
    assert words in found[0]


@pytest.mark.parametrize(
    "environ",
    [
        {**HEAD, "WORKER_NODES": workers(10_000), "MAX_NODES": "20000"},
        {**HEAD, "WORKER_NODES": workers(3), "MAX_NODES": "4"},
        {**WORKER, "GPU_EXPORTER_PORT": "9341"},
    ],
)
def test_no_problem(environ: dict[str, str]) -> None:
    assert problems(environ) == []


def test_all_problems_at_once() -> None:
    environ = {
        "NODE_ROLE": "boss",
        "HEAD_NODE_IP": "localhost",
        "CLUSTER_NAME": "a b",
        "WORKER_NODES": "w1",
        "MAX_NODES": "many",
        "PARTITION_NAME": "all",
        "NODE_IP": "here",
        "NODE_NAME": "-",
        "MUNGE_KEY": "abc",
        "MUNGE_KEY_FILE": "key",
        "STATE_DIR": "state",
        "GPU_EXPORTER_PORT": "0",
        "SLURM_EXPORTER_PORT": "70000",
    }
    found = problems(environ)
    assert [problem.partition("=")[0] for problem in found] == list(environ)


def test_wrong_value_reads_as_unset() -> None:
    found, _ = read({**HEAD, "MAX_NODES": "x", "STATE_DIR": "y", "WORKER_NODES": "z"})
    assert found == read(HEAD)[0]


def test_problem_is_one_line_whatever_the_value_holds() -> None:
    (text,) = problems({**HEAD, "CLUSTER_NAME": "a\nERROR b\x1b[31m"})
    assert "\n" not in text
    assert "\x1b" not in text
    (text,) = problems({**HEAD, "CLUSTER_NAME": "a" * 100_000})
    assert len(text) < 400


def test_secret_is_never_shown() -> None:
    for secret in ("x9q", SECRET):
        found, wrong = read({"NODE_ROLE": "foo", "MAX_NODES": "x", "MUNGE_KEY": secret})
        assert secret not in repr(found) + repr(wrong) + "".join(map(str, wrong))


@pytest.mark.parametrize(
    ("cpus", "memory", "expected"),
    [
        ("16", "62", (16, 63488)),
        ("", "", (None, None)),
        ("many", "much", (None, None)),
        ("0", "-1", (None, None)),
        ("nan", "inf", (None, None)),
        ("1e9", "1e9", (None, None)),
    ],
)
def test_hints_are_taken_where_they_make_sense(cpus: str, memory: str, expected: tuple[int | None, int | None]) -> None:
    found, wrong = read({**HEAD, "RUNPOD_CPU_COUNT": cpus, "RUNPOD_MEM_GB": memory})
    assert (found.cpu_hint, found.memory_hint_mb) == expected
    assert not wrong


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("NODE_ROL", "NODE_ROLE"),
        ("node_role", "NODE_ROLE"),
        ("WORKERS_NODES", "WORKER_NODES"),
        ("MUNGEKEY", "MUNGE_KEY"),
        ("HEAD_NODE_IPS", "HEAD_NODE_IP"),
    ],
)
def test_near_miss_gets_a_hint(name: str, meant: str) -> None:
    assert near_misses({name: "value-x"}) == [f"{name} is set but means nothing here: did you mean {meant}?"]


def test_no_hint_for_what_is_right_empty_or_foreign() -> None:
    foreign = ["NODE_RANK", "NODE_ADDR", "PRIMARY_ADDR", "HOST_NODE_ADDR", "NUM_NODES", "PRIMARY_PORT", "MASTER_ADDR"]
    foreign += ["RUNPOD_POD_ID", "RUNPOD_CPU_COUNT", "RUNPOD_MEM_GB", "PATH", "HOME", "HOSTNAME", "CUDA_VERSION"]
    assert near_misses(dict.fromkeys(foreign, "1") | HEAD) == []
    assert near_misses({"NODE_ROL": ""}) == []
    assert near_misses({"NODE_ROL": "x", "NODE_ROLE": "head"}) == []
