from __future__ import annotations

from typing import Any

import pytest

from bootstrap import check, settings
from bootstrap.hardware import StateFolder
from tests.bootstrap import captures
from tests.bootstrap.keys import ED25519
from tests.bootstrap.samples import CATALOGUE, HEAD, WORKER, with_hardware


@pytest.mark.parametrize("case", captures.CASES)
def test_captured_boot_has_nothing_to_complain_about(case: str) -> None:
    wanted, problems = settings.read(captures.environ(case))
    assert problems == []
    assert list(check.check(wanted, captures.hardware(case), StateFolder("/var/lib/gpu-watchdog"))) == []


def test_users_of_the_programs() -> None:
    assert check.users(CATALOGUE) == ("munge", "nobody", "root", "slurm")


@pytest.mark.parametrize(
    ("environ", "hardware", "state", "words"),
    [
        (HEAD, {"slurm_version": None}, "", "Slurm is not installed"),
        (HEAD, {"slurm_version": (21, 8, 5)}, "", "Slurm 21.08.5 is too old"),
        (HEAD, {"address": None}, "", "This pod has no network address"),
        (
            HEAD,
            {"hostname": "localhost"},
            "",
            "The hostname 'localhost' is a word that Slurm keeps for itself. Start the head",
        ),
        (WORKER, {"hostname": "a" * 64}, "", "is not a name Slurm can take. Set NODE_NAME"),
        (HEAD, {"missing_users": ("slurm",)}, "", "useradd --system slurm"),
        (
            HEAD,
            {"taken_ports": (9400,)},
            "",
            "GPU_EXPORTER_PORT 9400 is taken by another process. Choose another port.",
        ),
        (HEAD, {"taken_ports": (9341,)}, "", "SLURM_EXPORTER_PORT 9341 is taken"),
        (HEAD, {"taken_ports": (6817,)}, "", "slurmctld's port 6817 is taken by another process. Stop that process."),
        ({**HEAD, "NODE_IP": "fd00::5"}, {}, "", "The head's address fd00::5 is IPv6"),
        (
            {**WORKER, "HEAD_NODE_IP": "fd00::1"},
            {"slurm_version": (24, 5, 9)},
            "",
            "The head's address fd00::1 is IPv6",
        ),
        (WORKER, {"taken_ports": (6818,)}, "", "slurmd's port 6818 is taken"),
        (
            {**HEAD, "PUBLIC_KEY": ED25519},
            {"taken_ports": (22,)},
            "",
            "sshd's port 22 is taken by another process. Stop",
        ),
        ({**WORKER, "JUPYTER_PASSWORD": "x" * 8}, {"taken_ports": (8888,)}, "", "Jupyter's port 8888 is taken"),
        ({**WORKER, "HEAD_NODE_IP": "10.0.0.5"}, {}, "", "HEAD_NODE_IP 10.0.0.5 is this pod itself. Set it to the"),
        ({**WORKER, "HEAD_NODE_IP": "pod-1"}, {}, "", "HEAD_NODE_IP pod-1 is this pod itself."),
        (HEAD, {}, "is full", "STATE_DIR (default) /s is full. Do."),
        ({**HEAD, "STATE_DIR": "/s"}, {}, "is full", "STATE_DIR /s is full. Do."),
        ({**HEAD, "WORKER_NODES": "pod-1:10.0.0.9"}, {}, "", "WORKER_NODES entry pod-1:10.0.0.9 is this head itself"),
        ({**HEAD, "WORKER_NODES": "w1:10.0.0.5"}, {}, "", "WORKER_NODES entry w1:10.0.0.5 is this head itself"),
        ({**HEAD, "NODE_NAME": "h", "WORKER_NODES": "h:10.0.0.9"}, {}, "", "entry h:10.0.0.9 is this head itself"),
        ({**HEAD, "NODE_IP": "10.0.0.9", "WORKER_NODES": "w1:10.0.0.9"}, {}, "", "w1:10.0.0.9 is this head itself"),
    ],
)
def test_check_finds(environ: dict[str, str], hardware: dict[str, Any], state: str, words: str) -> None:
    wanted, problems = settings.read(environ)
    assert not problems
    folder = StateFolder("/s", state, "Do" if state else "")
    (found,) = check.check(wanted, with_hardware(**hardware), folder)
    assert words in str(found)


@pytest.mark.parametrize(
    ("environ", "hardware", "state"),
    [
        (HEAD, {}, ""),
        (HEAD, {"slurm_version": (22, 5, 0)}, ""),
        ({**HEAD, "NODE_IP": "10.0.0.5"}, {"address": None}, ""),
        ({**HEAD, "NODE_IP": "fd00::5"}, {"slurm_version": (24, 11, 0)}, ""),
        ({**WORKER, "NODE_IP": "fd00::5"}, {}, ""),
        (WORKER, {}, "is full"),
        ({**WORKER, "WORKER_NODES": "pod-1:10.0.0.5"}, {}, ""),
    ],
)
def test_check_lets_pass(environ: dict[str, str], hardware: dict[str, Any], state: str) -> None:
    wanted, problems = settings.read(environ)
    assert not problems
    assert list(check.check(wanted, with_hardware(**hardware), StateFolder("/s", state, "Do"))) == []


def test_check_tells_everything_at_once() -> None:
    hardware = with_hardware(
        slurm_version=None, address=None, missing_users=("munge", "slurm"), taken_ports=(6817, 9400)
    )
    found = list(check.check(settings.read(HEAD)[0], hardware, StateFolder("/s", "is full", "Do")))
    assert len(found) == 7
