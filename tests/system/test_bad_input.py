"""Wrong environments and unfit machines: a clear error, exit status 2, nothing written, nothing started."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootstrap.munge_key import BAKED_KEY
from local.spec import File
from tests.system.harness import MUNGE_KEY, Cluster

KEY = {"MUNGE_KEY": MUNGE_KEY}
HEAD = {"NODE_ROLE": "head", **KEY}
WORKER = {"NODE_ROLE": "worker", "HEAD_NODE_IP": "10.213.1.99", **KEY}
BOOT = "/opt/gpu-watchdog/venv/bin/python -I -m bootstrap"
# After the boot failed: what exists that it could have written, and what runs.
AFTER = """
status=$?
PATH=/usr/sbin:/usr/bin:/sbin:/bin
echo "status $status"
for path in /etc/gpu-watchdog /etc/supervisor /etc/slurm/slurm.conf /etc/munge/munge.key /run/gpu-watchdog \
    /var/lib/gpu-watchdog /var/log/gpu-watchdog /run/munge; do [ ! -e $path ] || echo "left $path"; done
grep -c gpu-watchdog /etc/hosts
ps -e -o comm= | grep -E 'supervisord|munged|slurm' | sed 's/^/runs /'
exit $status
"""


def boot(
    cluster: Cluster, environment: dict[str, str], *expected: str, before: str = "", problems: int = 1, **options: Any
) -> str:
    """Boot a pod that must refuse with these words, at least one in each line of error; returns what it said."""
    count = f"{problems} problem{'s' if problems > 1 else ''}; nothing was written, nothing was started:"
    cluster.expect(*(f"ERROR .*{re.escape(text)}" for text in (count, *expected)))
    command = ("/bin/sh", "-c", f"{before}\n{BOOT}{AFTER}")
    pod = cluster.add("bad", environment, command=command, **options)
    assert pod.wait(20) == 2, pod.logs()
    said, _, after = pod.logs().partition("status 2\n")
    assert after == "0\n", "it left something behind"
    assert MUNGE_KEY not in said
    assert "Traceback" not in said
    for text in (count, *expected):
        assert text in said
    return said


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        (KEY, ["NODE_ROLE is not set", "head or to worker"]),
        ({**HEAD, "NODE_ROLE": "HEAD"}, ["NODE_ROLE='HEAD'", "did you mean head?"]),
        ({**HEAD, "NODE_ROLE": "foo"}, ["NODE_ROLE='foo'", "Write head"]),
        ({"NODE_ROL": "head", **KEY}, ["NODE_ROLE is not set", "did you mean NODE_ROLE?"]),
        ({"NODE_ROLE": "worker", **KEY}, ["HEAD_NODE_IP is not set, which a worker needs"]),
        ({**WORKER, "HEAD_NODE_IP": "10.0.0.1:6817"}, ["has a port", "Write it without one: '10.0.0.1'"]),
        ({**WORKER, "HEAD_NODE_IP": "10.0.0.1 10.0.0.2"}, ["neither an IP address nor a DNS name"]),
        (
            {**WORKER, "HEAD_NODE_IP": "10.213.9.9", "NODE_IP": "10.213.9.9"},
            ["HEAD_NODE_IP 10.213.9.9 is this pod itself"],
        ),
        ({**HEAD, "WORKER_NODES": "a:10.0.0.2,b"}, ["the entry 'b' without an address"]),
        ({**HEAD, "WORKER_NODES": "a:10.0.0.2,a:10.0.0.3"}, ["'a:10.0.0.3'", "List each worker once"]),
        ({**HEAD, "WORKER_NODES": "bad:10.213.9.9"}, ["WORKER_NODES entry bad:10.213.9.9 is this head itself"]),
        ({**HEAD, "MUNGE_KEY": "abc"}, ["MUNGE_KEY=(hidden) has 3 bytes"]),
        ({**HEAD, "GPU_EXPORTER_PORT": "9341"}, ["are the same port"]),
        ({**HEAD, "GPU_EXPORTER_PORT": "0"}, ["GPU_EXPORTER_PORT='0'", "from 1 to 65535"]),
        ({**HEAD, "SLURM_EXPORTER_PORT": "70000"}, ["SLURM_EXPORTER_PORT='70000'", "from 1 to 65535"]),
        ({**HEAD, "CLUSTER_NAME": "a\n[program:evil]\ncommand=x"}, ["CLUSTER_NAME='a\\n[program:evil]"]),
        ({**HEAD, "STATE_DIR": "relative"}, ["STATE_DIR='relative'", "absolute path"]),
    ],
)
def test_a_wrong_environment(cluster: Cluster, environment: dict[str, str], expected: list[str]) -> None:
    boot(cluster, environment, *expected)


def test_no_key(cluster: Cluster) -> None:
    expected = "MUNGE_KEY is not set and this image has no key of its own"
    boot(cluster, {"NODE_ROLE": "head"}, expected, before=f"rm -f {BAKED_KEY}")


def test_thousands_of_workers(cluster: Cluster) -> None:
    """As many as one environment variable can hold (128 KiB)."""
    workers = ",".join(f"w{number}:9.1.{number // 250}.{number % 250}" for number in range(7_000))
    said = boot(cluster, {**HEAD, "WORKER_NODES": workers}, "7000 workers", "MAX_NODES=100")
    assert len(said) < 2000


OLD_SLURM = File(text="#!/bin/sh\necho slurm 21.08.8\n", mode=0o755)


def test_all_problems_are_reported_at_once(cluster: Cluster) -> None:
    wrong = {"NODE_ROLE": "foo", "HEAD_NODE_IP": "a b", "MUNGE_KEY": "abc", "GPU_EXPORTER_PORT": "0", "STATE_DIR": "x"}
    expected = (*(f"{name}=" for name in wrong), "Slurm 21.08.8")
    boot(cluster, wrong, *expected, problems=6, files={"/usr/local/bin/slurmd": OLD_SLURM})


def test_slurm_too_old(cluster: Cluster) -> None:
    boot(cluster, HEAD, "Slurm 21.08.8 is too old", "22.05", files={"/usr/local/bin/slurmd": OLD_SLURM})


def test_no_slurm(cluster: Cluster) -> None:
    boot(cluster, {**HEAD, "PATH": "/nowhere"}, "Slurm is not installed")


def test_no_slurm_user(cluster: Cluster) -> None:
    boot(cluster, HEAD, "The system user slurm does not exist", before="sed -i /^slurm:/d /etc/passwd")


@pytest.mark.parametrize(("port", "name"), [(9400, "GPU_EXPORTER_PORT"), (6817, "slurmctld's port")])
def test_a_port_is_taken(cluster: Cluster, port: int, name: str) -> None:
    listener = f"import socket, time; s = socket.create_server(('', {port})); time.sleep(60)"
    taken = f"python3 -c \"{listener}\" & until bash -c '</dev/tcp/127.0.0.1/{port}' 2>/dev/null; do :; done"
    boot(cluster, HEAD, f"{name} {port} is taken by another process", before=taken)


def test_no_network(cluster: Cluster) -> None:
    boot(cluster, HEAD, "This pod has no network address", "NODE_IP", address="", without_network=True)


def test_state_folder_is_read_only(cluster: Cluster) -> None:
    expected = "STATE_DIR /proc/sys/state cannot be written (/proc/sys is read-only)"
    boot(cluster, {**HEAD, "STATE_DIR": "/proc/sys/state"}, expected)


@pytest.fixture
def full_volume(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_state_folder_is_full(full_volume: Path, cluster: Cluster) -> None:
    environment = {**HEAD, "STATE_DIR": "/full/state"}
    boot(cluster, environment, "STATE_DIR /full/state is full", volumes={str(full_volume): "/full"})


def test_a_key_file_that_is_no_key(cluster: Cluster) -> None:
    environment = {"NODE_ROLE": "head", "MUNGE_KEY_FILE": "/etc/short.key"}
    boot(
        cluster,
        environment,
        "MUNGE_KEY_FILE='/etc/short.key' has 5 bytes",
        files={"/etc/short.key": File(text="short")},
    )
    boot(cluster, environment, "MUNGE_KEY_FILE='/etc/short.key' cannot be read")
