"""The base that the image's tests make trusts what this machine trusts, whichever way it is made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from local.pod import REPOSITORY

DOCKER = """\
#!/bin/sh
case $1 in
image) exit 1 ;;
pull) exit $NO_REGISTRY ;;
build) for context in "$@"; do :; done; cp -r "$context" "$MADE" ;;
import) mkdir "$MADE"; echo "$@" >"$MADE/arguments"; tar -C "$MADE" -x ;;
esac
"""
DEBOOTSTRAP = """\
#!/bin/sh
for word in "$@"; do case $word in */root) root=$word ;; esac; done
mkdir -p "$root/etc/apt" "$root/etc/ssl" "$root/var/cache/apt/archives" "$root/var/lib/apt/lists"
"""


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    file = tmp_path / "bundle.crt"
    file.write_text("the machine's\n")
    return file


def made(folder: Path, no_registry: bool, ca: Path) -> Path:
    """What a stand-in for Docker got to make the base of."""
    for name, text in (("docker", DOCKER), ("debootstrap", DEBOOTSTRAP)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "DOCKER": str(folder / "docker"),
        "NO_REGISTRY": str(int(no_registry)),
        "MACHINES_CA": str(ca),
        "MADE": str(folder / "made"),
    }
    command = ["tests/image/base.sh", "bookworm"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "gpu-watchdog-test/base:bookworm\n"), done.stderr
    return folder / "made"


def test_from_a_registry(tmp_path: Path, ca: Path) -> None:
    base = made(tmp_path, False, ca)
    recipe = (base / "Dockerfile").read_text().splitlines()
    assert recipe[0] == "FROM debian:bookworm-slim"
    assert recipe[1].startswith("RUN apt-get -qq update && ") and "python3-yaml" in recipe[1]
    assert recipe[2:] == ["COPY ca.crt /etc/ssl/machine-ca.crt", "ENV PIP_CERT=/etc/ssl/machine-ca.crt"]
    assert (base / "ca.crt").read_text() == "the machine's\n"


def test_by_debootstrap(tmp_path: Path, ca: Path) -> None:
    base = made(tmp_path, True, ca)
    assert "--change ENV PIP_CERT=/etc/ssl/machine-ca.crt " in (base / "arguments").read_text()
    assert (base / "etc/ssl/machine-ca.crt").read_text() == "the machine's\n"


@pytest.mark.parametrize("no_registry", [False, True])
def test_on_a_machine_without_certificates(no_registry: bool, tmp_path: Path) -> None:
    base = made(tmp_path, no_registry, tmp_path / "absent")
    assert "PIP_CERT" not in (base / ("arguments" if no_registry else "Dockerfile")).read_text()
