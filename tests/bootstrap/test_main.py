from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.__main__ import conf_folder
from bootstrap.variables import VARIABLES
from tests.bootstrap.samples import CATALOGUE, CONF, HEAD, SECRET, WORKER

ROOT = Path(__file__).resolve().parents[2]
LOG_LINE = re.compile(r"\[bootstrap\] \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (ERROR|WARNING|INFO) (.*)")


@pytest.fixture
def slurm(tmp_path: Path) -> str:
    """A PATH on which slurmd is of a version that will do."""
    (tmp_path / "slurmd").write_text("#!/bin/sh\necho slurm-wlm 22.05.8\n")
    (tmp_path / "slurmd").chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def boot(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bootstrap", *arguments]
    environ = {"PATH": os.environ["PATH"], **environ}
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=100, check=False)


def messages(output: str) -> list[tuple[str, str]]:
    """Level and message of each line; fails on a line that is none of the log's."""
    found = [LOG_LINE.fullmatch(line) for line in output.splitlines()]
    assert all(found)
    return [(match[1], match[2]) for match in found if match]


def needs_the_daemons_users() -> None:
    for user in {program.user for program in CATALOGUE.programs.values()} | {"slurm"}:
        try:
            pwd.getpwnam(user)
        except KeyError:
            pytest.skip(f"no user {user} here")


def test_all_that_is_wrong_is_told_at_once(slurm: str) -> None:
    done = boot(
        PATH=slurm, NODE_ROLE="HEAD", MAX_NODES="x", STATE_DIR="state", MUNGE_KEY="sesame", WORKER_NODE="w1:10.0.0.6"
    )
    assert (done.returncode, done.stderr) == (2, "")
    found = messages(done.stdout)
    assert {level for level, _ in found} == {"ERROR"}
    assert re.fullmatch(r"\d+ problems; nothing was written, nothing was started:", found[0][1])
    for name in ("NODE_ROLE='HEAD' ", "MAX_NODES='x' ", "STATE_DIR='state' ", "MUNGE_KEY=(hidden) has 6 bytes"):
        assert sum(message.startswith(f"  {name}") for _, message in found) == 1
    assert found[-1][1] == "  WORKER_NODE is set but means nothing here: did you mean WORKER_NODES?"
    assert "sesame" not in done.stdout


def test_missing_key_and_unreadable_key_file_are_problems(slurm: str) -> None:
    done = boot(PATH=slurm, NODE_ROLE="head", MUNGE_KEY_FILE="/no/such/key", NODE_IP="10.0.0.5")
    assert done.returncode == 2
    texts = [message for _, message in messages(done.stdout)]
    assert any(text.startswith("  MUNGE_KEY_FILE='/no/such/key' cannot be read: No such file") for text in texts)


@pytest.mark.parametrize("environ", [HEAD, WORKER], ids=["head", "worker"])
def test_print_only_shows_all_and_touches_nothing(slurm: str, environ: dict[str, str]) -> None:
    needs_the_daemons_users()

    def states(paths: list[str]) -> list[tuple[int, int] | None]:
        existing = [Path(path) if Path(path).exists() else None for path in paths]
        return [(path.stat().st_ino, path.stat().st_mtime_ns) if path else None for path in existing]

    first = boot("--print-only", PATH=slurm, NODE_IP="10.0.0.5", **environ)
    assert (first.returncode, first.stderr) == (0, "")
    paths = re.findall(r"^# (?:file|folder) (\S+) ", first.stdout, re.MULTILINE)
    assert {"/etc/munge/munge.key", "/etc/hosts", "/etc/gpu-watchdog/programs/slurmd.conf"} <= set(paths)
    before = states(paths)
    second = boot("--print-only", PATH=slurm, NODE_IP="10.0.0.5", **environ)
    assert second.stdout == first.stdout
    assert states(paths) == before
    assert SECRET not in first.stdout
    assert ("/etc/slurm/slurm.conf" in paths) == (environ is HEAD)


def test_unknown_flag_is_refused() -> None:
    done = boot("--force", **HEAD)
    assert done.returncode == 2
    assert "unrecognized arguments: --force" in done.stderr


def test_conf_lies_beside_the_code() -> None:
    assert conf_folder() == CONF


def test_every_variable_is_known_by_one_name() -> None:
    names = [variable.name for variable in VARIABLES] + [row.alias for row in VARIABLES if row.alias]
    assert len(set(names)) == len(names)
