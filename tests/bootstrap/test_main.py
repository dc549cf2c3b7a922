from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import apply, hardware, hooks
from bootstrap.__main__ import conf_folder, main
from bootstrap.hardware import StateFolder
from bootstrap.plan import SUPERVISORD_CONF
from bootstrap.variables import VARIABLES
from tests.bootstrap.keys import ED25519
from tests.bootstrap.samples import CATALOGUE, CONF, HEAD, SECRET, SESSIONS, WITH_SESSIONS, WORKER

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


@pytest.mark.parametrize(
    ("command", "status", "output"),
    [
        (["sh", "-c", 'echo "$0 $A"; exit 3', "it's"], 3, "it's b\n"),
        (["sh", "-c", "echo $MUNGE_KEY"], 0, f"{SECRET}\n"),
        (["echo", "--print-only", "--help"], 0, "--print-only --help\n"),
    ],
)
def test_another_command_is_run_instead(command: list[str], status: int, output: str) -> None:
    """As in `docker run IMAGE sbatch --version`, with all that it was given."""
    done = boot(*command, A="b", MUNGE_KEY=SECRET)
    assert (done.returncode, done.stdout, done.stderr) == (status, output, "")


def test_command_that_is_not_there_or_cannot_be_run(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    for command, status, why in (
        ("no-such-command", 127, "No such file or directory"),
        (f"{tmp_path}/absent", 127, "No such file or directory"),
        (f"{tmp_path}/data", 126, "Permission denied"),
        (str(tmp_path), 126, "Permission denied"),
    ):
        done = boot(command)
        assert (done.returncode, done.stderr) == (status, "")
        assert messages(done.stdout) == [("ERROR", f"{command} cannot be run: {why}")]


def test_empty_command_cannot_be_run() -> None:
    assert boot("").stderr == ""


def test_slurms_commands_find_a_configuration_where_no_pod_was_booted() -> None:
    command = ("sh", "-c", "echo $SLURM_CONF")
    assert boot(*command).stdout == f"{CONF}/no-cluster.conf\n"
    assert boot(*command, SLURM_CONF="/my/slurm.conf").stdout == "/my/slurm.conf\n"
    assert "ClusterName=" in (CONF / "no-cluster.conf").read_text()


class Become(Exception):
    """What would have taken this process's place."""


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, dict[str, str]]]:
    """A machine that lacks nothing, on which nothing is written; who was given which environment, in order."""
    given: list[tuple[str, dict[str, str]]] = []

    def become(path: str, argv: tuple[str, ...], environ: dict[str, str]) -> int:
        given.append(("supervisord", environ))
        raise Become(path, argv)

    def before(environ: dict[str, str], _: object) -> int:
        given.append(("pre_start", environ))
        return 0

    monkeypatch.chdir(tmp_path)  # main leaves it
    monkeypatch.setattr(hardware, "probe", lambda *_: WITH_SESSIONS)
    monkeypatch.setattr(hardware, "inspect_state_folder", StateFolder)
    monkeypatch.setattr(apply, "apply", lambda _: given.append(("files", {})))
    monkeypatch.setattr(hooks, "run_before", before)
    monkeypatch.setattr(hooks, "start_after", lambda environ, _: given.append(("post_start", dict(environ))))
    monkeypatch.setattr(os, "execve", become)
    return given


def test_boot_gives_each_its_environment_and_becomes_supervisord(
    pod: list[tuple[str, dict[str, str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {**HEAD, **SESSIONS, "PATH": "/usr/bin", "HF_TOKEN": "hf_1", "PUBLIC_KEY": ED25519}
    with pytest.raises(Become) as become:
        main([], environ)
    assert become.value.args == (
        sys.executable,
        (sys.executable, "-I", "-m", "supervisor.supervisord", "-c", SUPERVISORD_CONF),
    )
    assert [name for name, _ in pod] == ["files", "pre_start", "post_start", "supervisord"]
    for name, given in pod:
        assert not {"MUNGE_KEY", "PUBLIC_KEY", "JUPYTER_PASSWORD"} & set(given), name
    hook = {"NODE_ROLE": "head", "PATH": "/usr/bin", "HF_TOKEN": "hf_1"}
    assert pod[1][1] == pod[2][1] == hook
    assert pod[3][1] == {"PATH": "/usr/bin"}
    found = messages(capsys.readouterr().out)
    assert [level for level, _ in found] == ["INFO", "INFO"]
    assert found[1][1].startswith("sessions do not see HF_TOKEN, which may be secret;")


def test_hook_that_fails_ends_the_boot(pod: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "run_before", lambda *_: 1)
    assert main([], HEAD) == 1
    assert [name for name, _ in pod] == ["files"]
