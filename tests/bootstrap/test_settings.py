from __future__ import annotations

from collections.abc import Mapping

import pytest

from bootstrap.settings import Settings, fixed_ports, near_misses, ports, read
from bootstrap.variables import Worker
from tests.bootstrap.keys import ED25519, RSA
from tests.bootstrap.samples import HEAD, SECRET, WORKER

SSH = {"PUBLIC_KEY": ED25519}
JUPYTER = {"JUPYTER_PASSWORD": "pw-8u1-pw"}


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
        "PUBLIC_KEY": f"{ED25519}\n{RSA}",
        "JUPYTER_PASSWORD": "pw-8u1-pw",
        "SESSION_ENV": "HF_TOKEN",
        "GPU_METRICS": "all",
        "DCGM_EXPORTER_INTERVAL": "30000",
        "GPU_EXPORTER_HOSTNAME_LABEL": "hostname",
        "GPU_EXPORTER_HPC_JOB_LABELS": "duplicate",
        "DCGM_HPC_JOB_MAPPING_DIR": "/j",
        "GPU_PROCESS_METRICS": "on",
        "SLURM_EXPORTER_INTERVAL": "10000",
        "SLURM_EXPORTER_JOB_METRICS": "500",
        "GPU_EXPORTER_PORT": "1001",
        "SLURM_EXPORTER_PORT": "1002",
        "RUNPOD_CPU_COUNT": "12",
        "RUNPOD_MEM_GB": "31.5",
        "RUNPOD_POD_ID": "abc123def456",
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
            public_keys=(ED25519, RSA),
            jupyter_password="pw-8u1-pw",
            session_names=("HF_TOKEN",),
            gpu_metrics="all",
            gpu_interval_ms=30000,
            gpu_hostname_label="hostname",
            gpu_job_labels="duplicate",
            gpu_job_folder="/j",
            gpu_process_metrics="on",
            slurm_interval_ms=10000,
            slurm_job_metrics=500,
            gpu_exporter_port=1001,
            slurm_exporter_port=1002,
            cpu_hint=12,
            memory_hint_mb=32256,
            pod_id="abc123def456",
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
        ({**HEAD, "GPU_EXPORTER_PORT": "6818"}, "GPU_EXPORTER_PORT=6818 is slurmd's port. Choose another."),
        ({**HEAD, "SLURM_EXPORTER_PORT": "6817"}, "SLURM_EXPORTER_PORT=6817 is slurmctld's port."),
        ({**WORKER, "GPU_EXPORTER_PORT": "6817"}, "GPU_EXPORTER_PORT=6817 is slurmctld's port."),
        ({**HEAD, **SSH, "GPU_EXPORTER_PORT": "22"}, "GPU_EXPORTER_PORT=22 is sshd's port."),
        ({**HEAD, **JUPYTER, "SLURM_EXPORTER_PORT": "8888"}, "SLURM_EXPORTER_PORT=8888 is Jupyter's port."),
        ({**HEAD, "PUBLIC_KEY": "me"}, "PUBLIC_KEY=(hidden) has no SSH public key in line 1."),
        ({**HEAD, "JUPYTER_PASSWORD": "sesame"}, "JUPYTER_PASSWORD=(hidden) has 6 characters"),
        ({**HEAD, "SESSION_ENV": "A B"}, "SESSION_ENV='A B' has 'A B', which is not a variable's name."),
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
        {**HEAD, "GPU_EXPORTER_PORT": "22", "SLURM_EXPORTER_PORT": "8888"},
        {**HEAD, **SSH, **JUPYTER, "SESSION_ENV": "HF_TOKEN,NOT_SET"},
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
        "PUBLIC_KEY": "me",
        "JUPYTER_PASSWORD": "sesame",
        "SESSION_ENV": "my token",
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


@pytest.mark.parametrize("name", ["MUNGE_KEY", "JUPYTER_PASSWORD"])
@pytest.mark.parametrize("secret", ["x9q", SECRET])
def test_secret_is_never_shown(name: str, secret: str) -> None:
    found, wrong = read({"NODE_ROLE": "foo", "MAX_NODES": "x", name: secret})
    assert secret not in repr(found) + repr(wrong) + "".join(map(str, wrong))


def test_private_key_is_never_shown() -> None:
    body = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"
    found, wrong = read({**HEAD, "PUBLIC_KEY": f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n{body}\n"})
    assert [str(problem).partition(".")[0] for problem in wrong] == ["PUBLIC_KEY=(hidden) holds a private key"]
    assert body not in repr(found) + repr(wrong)


def test_ports_of_each_role() -> None:
    changed = {"GPU_EXPORTER_PORT": "1001", "SLURM_EXPORTER_PORT": "1002"}
    head, worker = read({**HEAD, **changed})[0], read({**WORKER, **changed})[0]
    assert fixed_ports(head) == {6817: "slurmctld's port", 6818: "slurmd's port"}
    assert fixed_ports(worker) == {6818: "slurmd's port"}
    assert ports(head) == {1001: "GPU_EXPORTER_PORT", 1002: "SLURM_EXPORTER_PORT", **fixed_ports(head)}
    assert ports(worker) == {1001: "GPU_EXPORTER_PORT", **fixed_ports(worker)}
    everything = ports(read({**WORKER, **SSH, **JUPYTER})[0])
    assert {port: everything[port] for port in (22, 8888)} == {22: "sshd's port", 8888: "Jupyter's port"}


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
        ("GPU_EXPORTER_INTERVAL", "DCGM_EXPORTER_INTERVAL"),
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
