"""What `make` does in which order, as far as it says so without doing it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.pod import REPOSITORY

INSTALLS = "local/packages.sh munged "
UNIT_TESTS = '-m "not system and not image"'


def steps(target: str, user: int, folder: Path) -> str:
    """The commands of a target for a user of this number."""
    (folder / "id").write_text(f"#!/bin/sh\necho {user}\n")
    (folder / "id").chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    command = ["make", "--dry-run", "--no-print-directory", target]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


@pytest.mark.parametrize("target", ["test", "unit"])
def test_roots_unit_tests_find_slurms_users_and_iproute(target: str, tmp_path: Path) -> None:
    said = steps(target, 0, tmp_path)
    assert 0 <= said.find(INSTALLS) < said.find(UNIT_TESTS)


def test_unit_tests_need_no_root(tmp_path: Path) -> None:
    said = steps("unit", 1000, tmp_path)
    assert UNIT_TESTS in said
    assert INSTALLS not in said
    assert "need root" not in said
