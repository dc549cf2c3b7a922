from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bootstrap.hardware import StateFolder, inspect_state_folder, parse_slurm_version, probe, slurm_version

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("slurm-wlm 22.05.8\n", (22, 5, 8)),
        ("slurm 26.05.0\n", (26, 5, 0)),
        ("slurm 23.11.0-0rc1\n", (23, 11, 0)),
        ("slurm-wlm 22.05.8-4+deb12u3\n", (22, 5, 8)),
        ("", None),
        ("slurm unknown\n", None),
    ],
)
def test_parse_slurm_version(text: str, expected: tuple[int, int, int] | None) -> None:
    assert parse_slurm_version(text) == expected


@pytest.mark.parametrize(
    ("script", "expected"), [("echo slurm-wlm 22.05.8", (22, 5, 8)), ("exit 127", None), (None, None)]
)
def test_slurm_version_of_slurmd_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, expected: tuple[int, int, int] | None
) -> None:
    if script is not None:
        (tmp_path / "slurmd").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "slurmd").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_version() == expected


def test_state_folder_that_can_be_used_is_not_made() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        path = str(folder / "a/b/c")
        assert inspect_state_folder(path) == StateFolder(path)
        assert not (folder / "a").exists()


def test_state_folder_that_slurm_cannot_reach() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "closed").mkdir(mode=0o700)
        folder.chmod(0o755)
        problem = inspect_state_folder(str(folder / "closed/state")).problem
        expected = f"cannot be reached by the user slurm ({folder}/closed is closed)"
        assert problem == (expected if os.geteuid() == 0 else "")


def test_state_folder_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = inspect_state_folder(str(tmp_path / "file"))
    assert found.problem == f"cannot be made, because {tmp_path}/file is not a folder"
    assert inspect_state_folder(str(tmp_path / "file/state")).problem


def test_state_folder_on_a_file_system_that_cannot_be_written() -> None:
    assert "read-only" in inspect_state_folder("/proc/sys/gpu-watchdog").problem or not Path("/proc/sys").exists()


def test_probe_reads_this_machine() -> None:
    found = probe((), ("root", "no-such-user"))
    assert found.missing_users == ("no-such-user",)
    assert found.taken_ports == ()
    assert found.hostname
    assert "." not in found.hostname
    assert found.host_cpus >= 1
    assert found.host_memory_mb > 0


def test_driver_that_does_not_answer_is_left_behind() -> None:
    """In a process of its own, as the child that is left behind cannot be waited for."""
    code = "from bootstrap.gpus import Search; print(Search().result(0.0).error)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "the driver did not answer within 0 s\n"
