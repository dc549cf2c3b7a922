"""local/packages.sh on machines that are not as they must be; a PATH of stand-ins keeps it off this one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "local/packages.sh"
TOOLS = ("sh", "sed", "mktemp", "rm", "cat", "chmod", "dpkg")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder of programs: no Slurm, an apt that finds whatever the test says."""
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found, tool
        (tmp_path / tool).symlink_to(found)
    program(tmp_path, "id", "echo 0")
    program(tmp_path, "apt-get", f'echo "$*" >>{tmp_path}/asked')
    return tmp_path


def program(folder: Path, name: str, text: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def run(machine: Path, *programs: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(SCRIPT), *programs],
        env={"PATH": str(machine)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_there_is_not_installed(machine: Path) -> None:
    assert run(machine, "sed", "cat").returncode == 0
    assert not (machine / "asked").exists()


@pytest.mark.parametrize("candidate", ["21.08.5-2ubuntu1", "20.11.7+really20.11.4-2", "(none)"])
def test_a_slurm_that_is_too_old_says_what_to_do_and_installs_nothing(machine: Path, candidate: str) -> None:
    program(machine, "apt-cache", f'echo "slurmd:"; echo "  Installed: (none)"; echo "  Candidate: {candidate}"')
    done = run(machine, "slurmd")
    assert done.returncode == 1
    assert candidate in done.stderr and "22.05 or later" in done.stderr and "Use Debian 12" in done.stderr
    assert "install" not in (machine / "asked").read_text()


def test_without_root_it_says_what_to_install(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    done = run(machine, "munged", "slurmctld", "scontrol")
    assert done.returncode == 1
    assert "As root, run: apt-get install --no-install-recommends munge slurmctld slurm-client" in done.stderr


def test_without_apt_it_says_so(machine: Path) -> None:
    (machine / "apt-get").unlink()
    done = run(machine, "munged")
    assert done.returncode == 1
    assert "lacks: munge" in done.stderr and "Debian 12" in done.stderr
