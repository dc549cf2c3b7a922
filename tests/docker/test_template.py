"""`make template-build` and `make template-push` refuse early, with all that is wrong and what to write."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.pod import REPOSITORY

KNOWN = re.findall(r"^([0-9.]+) ", (REPOSITORY / "docker/slurm-releases.txt").read_text(), re.MULTILINE)


@pytest.fixture
def without_docker(tmp_path: Path) -> str:
    """A PATH with what the script itself uses, and no Docker."""
    for name in ("awk", "date", "dirname", "git", "grep", "head", "make", "od", "sed", "sh", "tail", "tr"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    return str(tmp_path)


def make(target: str, path: str, **settings: str) -> tuple[int, str]:
    """Status and stderr of make with these settings on its command line."""
    words = [f"{name}={value}" for name, value in settings.items()]
    environment = {name: value for name, value in os.environ.items() if name not in ("DOCKER", "DOCKER_USERNAME")}
    done = subprocess.run(
        ["make", "--no-print-directory", target, *words],
        cwd=REPOSITORY,
        env={**environment, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("target", ["template-build", "template-push"])
def test_without_an_account(target: str, without_docker: str) -> None:
    status, said = make(target, without_docker)
    assert status == 2
    assert f"DOCKER_USERNAME is not set: write make {target} DOCKER_USERNAME=" in said


def test_without_docker(without_docker: str) -> None:
    status, said = make("template-build", without_docker, DOCKER_USERNAME="me")
    assert status == 2
    assert "docker is not installed: see https://docs.docker.com/engine/install/" in said


def test_without_an_engine(without_docker: str) -> None:
    """Any program that fails is a client without an engine."""
    (Path(without_docker) / "docker").symlink_to("/bin/false")
    status, said = make("template-build", without_docker, DOCKER_USERNAME="me")
    assert status == 2
    assert "docker finds no engine: start it (dockerd)" in said


@pytest.mark.parametrize("version", ["26.05", "1.2.3", "26.05.5-1", "latest", "26-05-5", ".*", "26.05.5 "])
def test_an_unknown_slurm_lists_the_known_ones(version: str, without_docker: str) -> None:
    status, said = make("template-build", without_docker, DOCKER_USERNAME="me", SLURM_VERSION=version)
    assert status == 2
    assert f"SLURM_VERSION={version} is not known: write one of {' '.join(KNOWN)} " in said


@pytest.mark.parametrize("version", KNOWN)
def test_a_known_slurm_is_no_problem(version: str, without_docker: str) -> None:
    assert "SLURM_VERSION" not in make("template-build", without_docker, SLURM_VERSION=version)[1]


def test_all_problems_at_once(without_docker: str) -> None:
    wrong = {"DOCKER_USERNAME": "Me You", "SLURM_SOURCE": "rpm", "MUNGE_KEY_FILE": "/no/such/file"}
    status, said = make("template-build", without_docker, **wrong)
    assert status == 2
    for name in wrong:
        assert f"\n  {name}={wrong[name]} " in said
    assert "\n  docker is not installed" in said


def test_a_version_means_nothing_with_apt(without_docker: str) -> None:
    said = make("template-build", without_docker, SLURM_SOURCE="apt", SLURM_VERSION="26.05.5")[1]
    assert "SLURM_VERSION=26.05.5 has no meaning with SLURM_SOURCE=apt" in said


@pytest.mark.parametrize("name", ["me", "registry.example/team", "localhost:5000/me", "a-b_c"])
def test_accounts_that_are_fine(name: str, without_docker: str) -> None:
    assert "DOCKER_USERNAME" not in make("template-build", without_docker, DOCKER_USERNAME=name)[1]
