from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from exporters.command_line import interval_seconds, or_exit

ROOT = Path(__file__).resolve().parents[2]
EXPORTERS = {"gpu": "DCGM_EXPORTER", "slurm": "SLURM_EXPORTER"}


def run(name: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], **environ}
    command = [sys.executable, "-m", f"exporters.{name}", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one line on stderr."""
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", EXPORTERS)
@pytest.mark.parametrize("address", ["9400", "host", ":0", ":70000"])
def test_bad_address(name: str, address: str) -> None:
    for done in (run(name, f"--address={address}"), run(name, **{f"{EXPORTERS[name]}_LISTEN": address})):
        assert refused(done).startswith(f"{name}-exporter: {address!r} is not an address to listen on: write ")


@pytest.mark.parametrize("name", EXPORTERS)
@pytest.mark.parametrize("interval", ["99", "3600001", "1s", "-5", "1.5"])
def test_bad_interval(name: str, interval: str) -> None:
    for done in (run(name, f"--collect-interval={interval}"), run(name, **{f"{EXPORTERS[name]}_INTERVAL": interval})):
        line = refused(done)
        assert line == (
            f"{name}-exporter: --collect-interval {interval!r} is not a number of milliseconds from 100 to 3600000"
        )


@pytest.mark.parametrize("name", EXPORTERS)
def test_an_empty_variable_is_an_unset_one(name: str) -> None:
    done = run(name, "--address=nowhere", **{f"{EXPORTERS[name]}_INTERVAL": "", f"{EXPORTERS[name]}_LISTEN": ""})
    assert "'nowhere' is not an address" in refused(done)


@pytest.mark.parametrize("name", EXPORTERS)
@pytest.mark.parametrize("flag", ["--no-such-flag", "-x", "-c", "word"])
def test_a_flag_that_is_none_is_told_in_one_line(name: str, flag: str) -> None:
    line = refused(run(name, flag))
    assert line.startswith(f"{name}-exporter: ") and line.endswith(f"; {name}-exporter --help lists all flags")
    assert flag in line


@pytest.mark.parametrize("name", EXPORTERS)
def test_flag_goes_before_the_environment(name: str) -> None:
    done = run(name, "-c", "1", "-a", "nowhere", **{f"{EXPORTERS[name]}_INTERVAL": "2"})
    assert "--collect-interval '1' " in refused(done)


@pytest.mark.parametrize("name", EXPORTERS)
def test_port_in_use(name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        line = refused(run(name, "-a", address))
        assert line.startswith(f"{name}-exporter: cannot listen on {address}: Address already in use")


@pytest.mark.parametrize("name", EXPORTERS)
def test_address_of_another_machine(name: str) -> None:
    assert refused(run(name, "-a", "192.0.2.1:9400")).startswith(f"{name}-exporter: cannot listen on 192.0.2.1:9400: ")


@pytest.mark.parametrize("name", EXPORTERS)
def test_help_and_unknown_flags(name: str) -> None:
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{EXPORTERS[name]}_LISTEN" in done.stdout
    assert run(name, "--addres=:1").returncode == 2


ENTRY = "  - {name: a, type: gauge, help: A., value: VALUE}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory"),
        ("", "has no list named `metrics`"),
        ("metrics: [", "is not YAML: "),
        ("metrics:\n" + ENTRY.replace("VALUE", "power"), "line 2 (a): value 'power' is none of "),
        ("metrics:\n" + ENTRY.replace("VALUE", "nvmlDeviceGetNothing()"), "line 2 (a): nvidia-ml-py has no function "),
        ("metrics:\n" + ENTRY.replace("VALUE", "nvmlDeviceGetTemperature(NVML_NO)"), "has no constant NVML_NO"),
    ],
)
def test_catalogue_that_cannot_be_used(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "metrics.yaml"
    if text is not None:
        path.write_text(text)
    for done in (run("gpu", "-f", str(path)), run("gpu", DCGM_EXPORTER_COLLECTORS=str(path))):
        line = refused(done)
        assert line.startswith("gpu-exporter: ")
        assert words in line


@pytest.mark.parametrize(("text", "seconds"), [("100", 0.1), ("1500", 1.5), ("3600000", 3600)])
def test_interval(text: str, seconds: float) -> None:
    assert interval_seconds(text) == seconds


def test_or_exit_lets_a_bug_through() -> None:
    def bug() -> None:
        raise KeyError("x")

    assert or_exit("x", lambda: 5) == 5
    with pytest.raises(KeyError):
        or_exit("x", bug)
