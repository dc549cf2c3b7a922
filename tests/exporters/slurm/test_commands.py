from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from exporters.slurm.commands import CommandError, run
from tests.exporters.slurm.fake import LONG_S, alive, until


def output(argv: Sequence[str], deadline: float = LONG_S, *, any_status: bool = False) -> bytes:
    chunks: list[bytes] = []
    run(argv, deadline, chunks.append, any_status=any_status)
    return b"".join(chunks)


def failure(*argv: str, deadline: float = LONG_S, any_status: bool = False) -> CommandError:
    with pytest.raises(CommandError) as caught:
        output(argv, deadline, any_status=any_status)
    return caught.value


def test_output() -> None:
    assert output(["printf", "a\\nb c\\n"]) == b"a\nb c\n"
    assert output(["true"]) == b""


def test_output_may_be_large() -> None:
    assert len(output([sys.executable, "-c", "print('x' * 5_000_000)"])) == 5_000_001


def test_output_may_be_any_bytes() -> None:
    assert output(["printf", "a\\377\\000b"]) == b"a\xff\0b"


def test_output_is_given_on_as_it_comes(tmp_path: Path) -> None:
    """The command goes on only when its first line was taken."""
    go = tmp_path / "go"
    chunks: list[bytes] = []

    def take(chunk: bytes) -> None:
        chunks.append(chunk)
        go.touch()

    run(["sh", "-c", f"echo first; until [ -e {go} ]; do :; done; echo second"], LONG_S, take)
    assert chunks == [b"first\n", b"second\n"]


def test_words_on_stderr_are_no_output() -> None:
    assert output(["sh", "-c", "echo warning >&2; echo a; echo warning >&2"]) == b"a\n"


def test_many_words_on_stderr_hold_nobody() -> None:
    script = "import sys; sys.stderr.write('x' * 5_000_000); print('a')"
    assert output([sys.executable, "-c", script]) == b"a\n"


def test_failure_has_the_commands_own_words_on_one_line() -> None:
    error = failure("sh", "-c", "echo out; echo 'slurm_load_node error:' >&2; echo 'No such' >&2; exit 3")
    assert (str(error), error.kind) == ("sh ended with 3: slurm_load_node error: No such", "exit")


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("slurm_load_jobs error: Unable to contact slurm controller (connect failure)", "controller"),
        ("error: Unable to connect to slurmctld", "controller"),
        ("slurm_load_node error: Zero Bytes were transmitted or received", "controller"),
        ("slurm_load_node error: Socket timed out on send/recv operation", "controller"),
        ("Protocol authentication error", "authentication"),
        ("error: Munge encode failed: Unable to access socket", "authentication"),
        ("error: If munged is up, restart with --num-threads=10", "authentication"),
        ("slurm_load_jobs error: Invalid authentication credential", "authentication"),
        ("slurm_load_node error: Access/permission denied", "permission"),
        ("fatal: Could not establish a configuration source", "configuration"),
        ('error: s_p_parse_file: unable to read "/etc/slurm/slurm.conf"', "configuration"),
        ("Segmentation fault", "exit"),
        ("", "exit"),
    ],
)
def test_class_of_an_error(words: str, kind: str) -> None:
    assert failure("sh", "-c", 'echo "$0" >&2; exit 1', words).kind == kind


def test_long_complaint_is_cut() -> None:
    assert len(str(failure(sys.executable, "-c", "import sys; sys.exit('x' * 100_000)"))) < 400


def test_complaint_that_is_not_utf_8() -> None:
    assert str(failure("sh", "-c", "printf 'a\\377b' >&2; exit 1")) == "sh ended with 1: a\ufffdb"


def test_command_killed_by_a_signal() -> None:
    assert str(failure("sh", "-c", "kill -9 $$")) == "sh ended with -9: "


def test_missing_command() -> None:
    error = failure("no-such-command")
    assert (str(error), error.kind) == ("no-such-command cannot be run: No such file or directory", "missing")


def test_command_that_is_not_one(tmp_path: Path) -> None:
    path = tmp_path / "squeue"
    path.write_text("")
    assert failure(str(path)).kind == "missing"


def test_where_the_status_is_an_answer_only_silence_is_a_failure() -> None:
    assert output(["sh", "-c", "echo DOWN; exit 1"], any_status=True) == b"DOWN\n"
    error = failure("sh", "-c", "echo 'Unable to contact slurm controller' >&2; exit 1", any_status=True)
    assert error.kind == "controller"


def test_deadline_kills_the_whole_process_group(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/shell; touch {tmp_path}/ready; wait"
    error = failure("sh", "-c", script, deadline=2.0)
    assert (str(error), error.kind) == ("sh gave no answer within 2 s", "timeout")
    assert (tmp_path / "ready").exists()
    for name in ("child", "shell"):
        pid = int((tmp_path / name).read_text())
        until(lambda pid=pid: not alive(pid))  # type: ignore[misc]


def test_child_that_keeps_the_output_open_is_killed_at_the_deadline(tmp_path: Path) -> None:
    """The command itself has ended, what it started has not."""
    assert failure("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/child", deadline=2.0).kind == "timeout"
    pid = int((tmp_path / "child").read_text())
    until(lambda: not alive(pid))


def test_command_that_closes_its_output_and_stays_is_killed_at_the_deadline(tmp_path: Path) -> None:
    script = f"echo $$ > {tmp_path}/shell; exec >&- 2>&-; sleep 1000"
    assert failure("sh", "-c", script, deadline=2.0).kind == "timeout"
    assert not alive(int((tmp_path / "shell").read_text()))


def test_a_descendant_that_left_the_group_and_holds_the_pipe_does_not_hold_us() -> None:
    assert failure("sh", "-c", "setsid sleep 20 & sleep 20", deadline=0.3).kind == "timeout"


def test_command_that_prints_for_ever_is_killed_at_the_deadline() -> None:
    with pytest.raises(CommandError, match="gave no answer"):
        run(["sh", "-c", "while :; do echo x; done"], 0.3, len)


def test_who_takes_the_output_may_refuse_it(tmp_path: Path) -> None:
    def take(chunk: bytes) -> None:
        raise ValueError(chunk.decode())

    with pytest.raises(ValueError, match="a"):
        run(["sh", "-c", f"echo $$ > {tmp_path}/shell; echo a; sleep 1000"], LONG_S, take)
    assert not alive(int((tmp_path / "shell").read_text()))


def test_nothing_is_left_open() -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    output(["true"])
    for argv, deadline in (("false",), LONG_S), (("sleep", "1000"), 0.1), (("no-such-command",), LONG_S):
        failure(*argv, deadline=deadline)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SQUEUE_FORMAT": "%i", "LC_ALL": "de_DE.UTF-8", "SLURM_CONF": "/c", "SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    for name in ("LD_LIBRARY_PATH", "SLURM_CONF_SERVER", "RES_OPTIONS"):
        monkeypatch.delenv(name, raising=False)
    found = dict(line.split("=", 1) for line in output(["/usr/bin/env"]).decode().splitlines())
    assert found == {
        "PATH": os.environ["PATH"],
        "SLURM_CONF": "/c",
        "LC_ALL": "C",
        "TZ": "UTC",
        "SLURM_TIME_FORMAT": "%s",
        "SLURM_BITSTR_LEN": "0",
    }


def test_input_is_empty() -> None:
    assert output(["cat"]) == b""


def test_words_are_not_shell() -> None:
    assert output(["printf", "%s", "$HOME; `id` *"]) == b"$HOME; `id` *"
