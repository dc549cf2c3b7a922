from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bootstrap.join import fields, fits

JOIN = [sys.executable, "-I", "-S", str(Path(__file__).resolve().parents[2] / "bootstrap/join.py")]
NODE = (
    "NodeName={name} Arch=x86_64 CoresPerSocket=8  CPUAlloc=0 CPUEfctv=8 CPUTot=8 CPULoad=0.10 AvailableFeatures=(null)"
    " ActiveFeatures=(null) Gres=(null) NodeAddr={address} NodeHostName={name} Version=22.05.8"
    " OS=Linux 6.1.0 #1 SMP  RealMemory=30000 AllocMem=0 FreeMem=100 Sockets=1 Boards=1 State=IDLE+DYNAMIC_NORM"
    " ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=gpu  BootTime=1669000000"
    " SlurmdStartTime={started} LastBusyTime=1669000000 CfgTRES=cpu=8,mem=30000M,billing=8 AllocTRES= CapWatts=n/a"
)
SCONTROL = """#!/bin/sh
printf '%s\\n' "$*" >> {root}/asked
case "$*" in
  "show config") cat {root}/config ;;
  *nodes) cat {root}/nodes ;;
  delete*) cat {root}/delete; read status < {root}/delete_status; echo 0 > {root}/delete_status; exit $status ;;
  create*) cat {root}/create; read status < {root}/create_status; exit $status ;;
esac
"""


def node(name: str = "pod-1", address: str = "10.0.0.5", started: str = "1669000000") -> str:
    return NODE.format(name=name, address=address, started=started)


def test_fields() -> None:
    found = fields(node() + " Reason=gpu NodeAddr=1.2.3.4 CPUTot=1 [root@1669000000]")
    expected = {"NodeName": "pod-1", "NodeAddr": "10.0.0.5", "CPUTot": "8", "RealMemory": "30000"}
    assert {key: found[key] for key in expected} == expected
    assert found["State"] == "IDLE+DYNAMIC_NORM"
    assert "Reason" not in found
    assert fields("") == {}


@pytest.mark.parametrize(
    ("address", "cpus", "memory", "expected"),
    [
        ("10.0.0.5", 8, 30000, True),
        ("10.0.0.6", 8, 30000, False),
        ("10.0.0.5", 4, 30000, False),
        ("10.0.0.5", 8, 29999, False),
    ],
)
def test_fits(address: str, cpus: int, memory: int, expected: bool) -> None:
    assert fits(fields(node()), address, cpus, memory) is expected


def test_nothing_fits_an_empty_node() -> None:
    assert not fits({}, "10.0.0.5", 8, 30000)


class Slurm:
    """A folder with a scontrol that answers from files and writes down what it is asked."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "scontrol").write_text(SCONTROL.format(root=root))
        (root / "scontrol").chmod(0o755)
        self.answer(nodes="No nodes in the system\n", config="BOOT_TIME = 1669000000\n", delete="", create="")
        self.answer(delete_status="0\n", create_status="0\n")

    def answer(self, **files: str) -> None:
        for name, text in files.items():
            (self.root / name).write_text(text)

    def join(self, *arguments: str) -> tuple[list[str], str]:
        """What scontrol was asked to change, and join's log."""
        command = [*JOIN, "--node", "pod-1", "--address", "10.0.0.5", "--cpus", "8", "--memory", "30000"]
        command += ["--controller", "10.0.0.1:6817", "--once", str(self.root / "joined"), *arguments]
        environment = {**os.environ, "PATH": f"{self.root}:{os.environ['PATH']}"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        assert done.stderr == ""
        asked = (self.root / "asked").read_text().splitlines()
        (self.root / "asked").unlink()
        return [line for line in asked if "show" not in line], done.stdout


@pytest.fixture
def slurm(tmp_path: Path) -> Slurm:
    return Slurm(tmp_path)


def test_unknown_node_and_node_that_fits_are_left_alone(slurm: Slurm) -> None:
    assert slurm.join() == ([], "")
    (slurm.root / "joined").unlink()
    slurm.answer(nodes=node() + "\n")
    assert slurm.join() == ([], "")
    assert (slurm.root / "joined").exists()


def test_node_that_does_not_fit_is_deleted_once_per_boot(slurm: Slurm) -> None:
    slurm.answer(nodes=node("other") + "\n" + node(address="127.0.0.9") + "\n")
    changes, log = slurm.join()
    assert changes == ["delete nodename=pod-1"]
    assert log.endswith(" INFO node pod-1 of an earlier life or of WORKER_NODES makes room for this pod\n")
    assert slurm.join("--announce=w1=10.0.0.6")[0][0].startswith("create nodename=w1")


def test_jobs_of_an_earlier_life_are_ended(slurm: Slurm) -> None:
    slurm.answer(nodes=node(address="127.0.0.9") + "\n", delete="node is in use\n", delete_status="1\n")
    changes, _ = slurm.join()
    assert changes == [
        "delete nodename=pod-1",
        "update nodename=pod-1 nodeaddr=10.0.0.5 state=down reason=gpu-watchdog: pod restarted",
        "delete nodename=pod-1",
    ]


def test_workers_that_are_not_known_are_announced(slurm: Slurm) -> None:
    slurm.answer(nodes=node() + "\n" + node("w1") + "\n")
    changes, log = slurm.join("--announce=w1=10.0.0.6", "--announce=w2=10.0.0.7", "--announce=w3=fd00::8")
    assert changes == [
        "create nodename=w2,w3 nodeaddr=10.0.0.7,fd00::8 cpus=1 state=FUTURE",
        "update nodename=w2,w3 state=DOWN reason=gpu-watchdog: has not joined yet",
    ]
    assert log.endswith(" INFO 2 workers of WORKER_NODES are announced, down until they join\n")


def test_many_workers_are_announced_in_batches(slurm: Slurm) -> None:
    changes, _ = slurm.join(*(f"--announce=w{number}=10.0.{number >> 8}.{number & 255}" for number in range(450)))
    created = [line.split()[1].removeprefix("nodename=").split(",") for line in changes if line.startswith("create")]
    assert [len(names) for names in created] == [200, 200, 50]
    assert ",".join(",".join(names) for names in created) == ",".join(f"w{number}" for number in range(450))


def test_failure_is_logged_and_does_not_stop_slurmd(slurm: Slurm) -> None:
    slurm.answer(create="Access denied\n", create_status="1\n")
    changes, log = slurm.join("--announce=w1=10.0.0.6")
    assert [change.split()[0] for change in changes] == ["create"]
    assert log.endswith(" WARNING 1 workers from w1 on could not be announced: Access denied\n")


@pytest.mark.parametrize("known", [node(), node("head", started="4000000000")])
def test_worker_goes_on_once_the_head_has_announced(slurm: Slurm, known: str) -> None:
    """slurmctld started just now: the worker goes on when its name, or a slurmd started since, is known."""
    slurm.answer(config=f"BOOT_TIME = {int(time.time()) + 3600}\n", nodes="No nodes in the system\n")
    slurm.answer(nodes=known + "\n")
    assert slurm.join("--worker") == ([], "")


def test_worker_of_an_old_slurmctld_does_not_wait(slurm: Slurm) -> None:
    assert slurm.join("--worker") == ([], "")


def test_a_living_node_is_left_alone_after_the_first_start_whatever_slurmctld_forgot(slurm: Slurm) -> None:
    """After a restart of slurmctld a node has no SlurmdStartTime until it answers; jobs may run on it."""
    (slurm.root / "joined").touch()
    slurm.answer(nodes=node(address="127.0.0.9", started="None") + "\n")
    assert slurm.join() == ([], "")


@pytest.mark.parametrize("state", ["DOWN+DYNAMIC_NORM", "FUTURE+DYNAMIC_NORM"])
def test_a_placeholder_makes_room_at_any_start(slurm: Slurm, state: str) -> None:
    (slurm.root / "joined").touch()
    placeholder = node(address="127.0.0.9", started="None").replace("IDLE+DYNAMIC_NORM", state)
    slurm.answer(nodes=f"{placeholder} Reason=gpu-watchdog: has not joined yet [root@1669000000]\n")
    assert slurm.join()[0] == ["delete nodename=pod-1"]


def test_a_node_that_is_down_for_another_reason_is_no_placeholder(slurm: Slurm) -> None:
    (slurm.root / "joined").touch()
    down = node(started="None").replace("IDLE+DYNAMIC_NORM", "DOWN+DYNAMIC_NORM")
    slurm.answer(nodes=f"{down} Reason=broken fan [root@1669000000]\n")
    assert slurm.join() == ([], "")
