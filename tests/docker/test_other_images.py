"""The images that the image's tests build besides the one under test are removed."""

from __future__ import annotations

import os
import subprocess

import pytest

from local.spec import start_time
from tests.image import build
from tests.system.docker import OWNER


def test_those_of_this_run_and_of_runs_that_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    another = f"{os.getppid()}-{start_time(os.getppid())}-0a"
    removed = []

    def docker(*arguments: str, **_: object) -> subprocess.CompletedProcess[str]:
        if arguments[:2] == ("image", "ls"):
            assert arguments[-1] == build.OTHERS
            tags = f"{OWNER}-0b\n{another}\n999999999-1-0c\n0123456789abcdef\n"
            return subprocess.CompletedProcess(arguments, 0, tags, "")
        assert arguments[:2] == ("image", "rm")
        removed.append(arguments[-1])
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(build, "docker", docker)
    build.remove_others()
    assert removed == [f"{build.OTHERS}:{tag}" for tag in (f"{OWNER}-0b", "999999999-1-0c", "0123456789abcdef")]
