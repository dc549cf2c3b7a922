"""The command line: what is refused, in one line, and that it serves."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from exporters.slurm import __main__ as tested
from tests.exporters.slurm.fake import LONG_S, Slurm, page, until

ROOT = Path(__file__).resolve().parents[3]


def start(slurm: Slurm, *arguments: str, **environ: str) -> subprocess.Popen[str]:
    """With the fake commands only."""
    return subprocess.Popen(
        [sys.executable, "-m", "exporters.slurm", *arguments],
        cwd=ROOT,
        env={"PATH": str(slurm.bin), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def refused(slurm: Slurm, *arguments: str, **environ: str) -> str:
    """The one line on stderr."""
    with start(slurm, *arguments, **environ) as process:
        stdout, stderr = process.communicate(timeout=LONG_S)
    assert (process.returncode, stdout) == (2, "")
    (line,) = stderr.splitlines()
    assert line.startswith("slurm-exporter: ")
    return line.removeprefix("slurm-exporter: ")


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("flag", ["--addres=:1", "--no-such-flag", "-x", "argument", "--job-metric=1"])
def test_unknown_flag(slurm: Slurm, flag: str) -> None:
    line = refused(slurm, flag)
    assert line == f"unrecognized arguments: {flag}; slurm-exporter --help lists all flags"


def test_interval_0(slurm: Slurm) -> None:
    wanted = "--collect-interval '0' is not a number of milliseconds from 100 to 3600000"
    assert refused(slurm, "-c", "0") == wanted
    assert refused(slurm, SLURM_EXPORTER_INTERVAL="0") == wanted


@pytest.mark.parametrize(
    ("flag", "variable", "text", "words"),
    [
        ("--job-metrics", "SLURM_EXPORTER_JOB_METRICS", "-1", "from 0 to 100000"),
        ("--job-metrics", "SLURM_EXPORTER_JOB_METRICS", "100001", "from 0 to 100000"),
        ("--job-metrics", "SLURM_EXPORTER_JOB_METRICS", "yes", "from 0 to 100000"),
        ("--label-limit", "SLURM_EXPORTER_LABEL_LIMIT", "0", "from 1 to 1000000"),
        ("--label-limit", "SLURM_EXPORTER_LABEL_LIMIT", "²", "from 1 to 1000000"),
        ("--gpu-exporter-port", "GPU_EXPORTER_PORT", "0", "from 1 to 65535"),
        ("--gpu-exporter-port", "GPU_EXPORTER_PORT", "65536", "from 1 to 65535"),
    ],
)
def test_numbers(slurm: Slurm, flag: str, variable: str, text: str, words: str) -> None:
    wanted = f"{flag} {text!r} is not a whole number {words}"
    environ = {"LC_ALL": "C.UTF-8"}
    assert refused(slurm, f"{flag}={text}", **environ) == wanted
    assert refused(slurm, **{variable: text}, **environ) == wanted


def test_port_in_use(slurm: Slurm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert refused(slurm, "-a", address) == f"cannot listen on {address}: Address already in use"
    assert slurm.asked() == []


def test_no_slurm_installed(slurm: Slurm, tmp_path: Path) -> None:
    line = refused(slurm, PATH=str(tmp_path))
    assert line.startswith("Slurm is not installed here: scontrol, sdiag, squeue, sshare not found on PATH.")


def test_one_command_missing(slurm: Slurm) -> None:
    (slurm.bin / "sdiag").unlink()
    assert refused(slurm).startswith("Slurm is not installed here: sdiag not found on PATH.")


@pytest.mark.parametrize(("name", "words"), [("missing", "No such file"), ("", "Is a directory")])
def test_unreadable_slurm_conf(slurm: Slurm, tmp_path: Path, name: str, words: str) -> None:
    path = tmp_path / name
    line = refused(slurm, SLURM_CONF=str(path))
    assert words in line
    assert str(path) in line


def test_slurm_conf_in_its_usual_place(slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "slurm.conf"
    monkeypatch.setattr(tested, "DEFAULT_CONF", path)
    tested.check_slurm()  # there is none: Slurm's commands know where to ask
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        tested.check_slurm()
    monkeypatch.setenv("SLURM_CONF", os.devnull)
    tested.check_slurm()


def test_help(slurm: Slurm) -> None:
    with start(slurm, "--help", SLURM_EXPORTER_INTERVAL="0") as process:
        stdout, stderr = process.communicate(timeout=LONG_S)
    assert (process.returncode, stderr) == (0, "")
    for words in ("--job-metrics", "SLURM_EXPORTER_LISTEN", "SLURM_EXPORTER_LABEL_LIMIT", "GPU_EXPORTER_PORT", ":9341"):
        assert words in stdout


@contextmanager
def serving(slurm: Slurm, *arguments: str, **environ: str) -> Iterator[str]:
    """Its address; it ends at once and well when it is told to."""
    address = free_address()
    with start(slurm, "-a", address, "-c", "100", *arguments, **environ) as process:
        try:
            until(lambda: process.poll() is not None or get(address, "/metrics")[0] == 200)
            assert process.poll() is None
            yield address
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONG_S) == 0
        finally:
            process.kill()


def get(address: str, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=LONG_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
    except OSError:
        return 0, b""


def test_it_serves_metrics_targets_and_health(slurm: Slurm) -> None:
    # What SLURM_CONF names must be there: Slurm's own commands read it.
    with serving(slurm, "--gpu-exporter-port=9555", SLURM_CONF=os.devnull) as address:
        found = page(get(address, "/metrics")[1])
        assert (found["slurm_up"], found["slurm_nodes_idle"]) == ("1", "1")
        assert found["slurm_exporter_label_values_limit"] == "500"
        targets = {target for group in json.loads(get(address, "/sd")[1]) for target in group["targets"]}
        assert targets == {"10.0.0.5:9555", f"10.0.0.1:{address.rpartition(':')[2]}"}
        assert get(address, "/health") == (200, b"ok\n")
        slurm.fails("jobs")
        until(lambda: get(address, "/health")[0] == 503)
        assert get(address, "/health")[1].startswith(b"jobs: squeue ended with 1: slurm_load error: Unable to contact")
        assert page(get(address, "/metrics")[1])["slurm_up"] == "0"
        slurm.works("jobs")
        until(lambda: get(address, "/health")[0] == 200)


def test_flags_go_before_the_environment(slurm: Slurm) -> None:
    slurm.prints("jobs", b"")
    environ = {"SLURM_EXPORTER_LABEL_LIMIT": "0", "SLURM_EXPORTER_JOB_METRICS": "7"}
    with serving(slurm, "--label-limit=3", **environ) as address:
        found = page(get(address, "/metrics")[1])
        assert (found["slurm_exporter_label_values_limit"], found["slurm_exporter_jobs_limit"]) == ("3", "7")
