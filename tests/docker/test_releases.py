from __future__ import annotations

import re

import pytest

from bootstrap import slurm_conf
from local.pod import REPOSITORY

LINES = (REPOSITORY / "docker/slurm-releases.txt").read_text().splitlines()
ROWS = [line.split() for line in LINES if not line.startswith("#")]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_row(row: list[str]) -> None:
    """The shell scripts that read it take what they find."""
    version, tag, digest, flaws = row
    assert re.fullmatch(r"2[2-9]\.(?:02|05|08|11)\.[0-9]{1,2}", version)
    assert re.fullmatch(re.escape(version.replace(".", "-")) + "-[1-9]", tag)
    assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert re.fullmatch(
        r"-|(?:CVE-20[0-9]{2}-[0-9]{4,}|unsupported)(?:,(?:CVE-20[0-9]{2}-[0-9]{4,}|unsupported))*", flaws
    )
    assert numbers(version) >= slurm_conf.OLDEST_SLURM


def test_rows_are_of_different_releases_newest_first() -> None:
    assert ROWS
    for column in range(3):
        assert len({row[column] for row in ROWS}) == len(ROWS)
    versions = [numbers(row[0]) for row in ROWS]
    assert versions == sorted(versions, reverse=True)


def test_default_is_the_newest_without_known_flaws() -> None:
    (default,) = re.findall(r"^ARG SLURM_VERSION=(\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    assert default == next(row[0] for row in ROWS if row[3] == "-")
