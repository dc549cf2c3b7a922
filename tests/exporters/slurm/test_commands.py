from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from exporters.slurm.commands import CommandError, run

LONG_S = 60.0


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_output() -> None:
    assert run(["printf", "a\\nb c\\n"], LONG_S) == "a\nb c\n"


def test_output_may_be_large() -> None:
    assert len(run([sys.executable, "-c", "print('x' * 5_000_000)"], LONG_S)) == 5_000_001


def test_output_that_is_not_utf_8() -> None:
    assert run(["printf", "a\\377b"], LONG_S) == "a\ufffdb"


def test_failure_has_the_commands_own_words_on_one_line() -> None:
    script = "echo out; echo 'slurm_load_node error:' >&2; echo 'Unable to contact' >&2; exit 3"
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", script], LONG_S)
    assert str(caught.value) == "sh ended with 3: slurm_load_node error: Unable to contact"


def test_long_complaint_is_cut() -> None:
    with pytest.raises(CommandError) as caught:
        run([sys.executable, "-c", "import sys; sys.exit('x' * 100_000)"], LONG_S)
    assert len(str(caught.value)) < 400


def test_command_killed_by_a_signal() -> None:
    with pytest.raises(CommandError, match=r"^sh ended with -9: $"):
        run(["sh", "-c", "kill -9 $$"], LONG_S)


def test_missing_command() -> None:
    with pytest.raises(CommandError, match=r"^no-such-command cannot be run: No such file or directory$"):
        run(["no-such-command"], LONG_S)


def test_deadline_kills_the_whole_process_group(tmp_path: Path) -> None:
    script = f"sleep 1000 & echo $! > {tmp_path}/child; echo $$ > {tmp_path}/shell; touch {tmp_path}/ready; wait"
    with pytest.raises(CommandError, match=r"^sh gave no answer within 2 s$"):
        run(["sh", "-c", script], 2.0)
    assert (tmp_path / "ready").exists()
    deadline = time.monotonic() + LONG_S
    for name in ("child", "shell"):
        pid = int((tmp_path / name).read_text())
        while alive(pid):
            assert time.monotonic() < deadline


def test_child_that_keeps_the_output_open_is_killed_at_the_deadline(tmp_path: Path) -> None:
    """The command itself has ended, what it started has not."""
    script = f"sleep 1000 & echo $! > {tmp_path}/child"
    with pytest.raises(CommandError, match="gave no answer"):
        run(["sh", "-c", script], 2.0)
    deadline = time.monotonic() + LONG_S
    while alive(int((tmp_path / "child").read_text())):
        assert time.monotonic() < deadline


def test_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SQUEUE_FORMAT": "%i", "LC_ALL": "de_DE.UTF-8", "SLURM_CONF": "/c", "SECRET": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.delenv("SLURM_CONF_SERVER", raising=False)
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    found = dict(line.split("=", 1) for line in run(["/usr/bin/env"], LONG_S).splitlines())
    assert found == {
        "PATH": os.environ["PATH"],
        "SLURM_CONF": "/c",
        "LC_ALL": "C",
        "TZ": "UTC",
        "SLURM_TIME_FORMAT": "%s",
        "SLURM_BITSTR_LEN": "0",
    }


def test_input_is_empty() -> None:
    assert run(["cat"], LONG_S) == ""


def test_words_are_not_shell() -> None:
    assert run(["printf", "%s", "$HOME; `id` *"], LONG_S) == "$HOME; `id` *"


def test_a_descendant_that_left_the_group_and_holds_the_pipe_does_not_hold_us() -> None:
    started = time.monotonic()
    with pytest.raises(CommandError, match="gave no answer"):
        run(["sh", "-c", "setsid sleep 60 & sleep 60"], 0.3)
    assert time.monotonic() - started < 20
