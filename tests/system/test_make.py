"""The commands a new user types, on this machine's own network."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cluster import get

pytestmark = pytest.mark.namespaces

REPOSITORY = Path(__file__).resolve().parents[2]
MOUNTS = (str(REPOSITORY / "build"), "gpu-watchdog", "gw-local")


def make(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["make", "--no-print-directory", *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def traces() -> list[str]:
    """What a cluster could leave behind: mounts, links, ports."""
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    found = [line for line in mounts if any(trace in line for trace in MOUNTS)]
    links = subprocess.run(["ip", "-brief", "link"], capture_output=True, text=True, check=True).stdout.splitlines()
    found += [line for line in links if line.startswith("gw-local")]
    found += [str(path) for path in Path("/run").glob("gw-local*")]
    found += [f"port {port}" for port in (6817, 6818, 9400, 9341) if get(f"http://localhost:{port}/")[0]]
    return found


@pytest.fixture
def nothing_runs() -> Iterator[None]:
    assert "Nothing runs" in make("status").stdout, "a cluster runs on this machine: make stop"
    yield
    make("stop")


def test_run_status_shell_stop(nothing_runs: None) -> None:
    before = {path: path.stat().st_mtime_ns for path in (Path("/etc"), Path("/var/lib"), Path("/etc/hosts"))}
    summary = make("run", "WORKERS=2", "GPUS=4").stdout
    for name in ("head", "worker1", "worker2"):
        assert f"{name} boots" in summary
    for text in ("idle", "curl localhost:9400/metrics", "curl localhost:9341/metrics", "sbatch", "make stop"):
        assert text in summary
    status, body = get("http://localhost:9400/metrics")
    assert status == 200
    assert body.count("\nDCGM_FI_DEV_GPU_TEMP{") == 4
    status, body = get("http://localhost:9341/metrics")
    assert status == 200 and "\nslurm_up 1\n" in body
    again = make("run", check=False)
    assert again.returncode != 0 and "runs already" in again.stderr
    overview = make("status").stdout
    assert overview.count("RUNNING") == 5 + 3 + 3
    shell = ["make", "--no-print-directory", "shell", "POD=worker1"]
    done = subprocess.run(
        shell,
        cwd=REPOSITORY,
        input="hostname; srun -N3 hostname\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split().count("worker1") == 2 and "worker2" in done.stdout
    unknown = make("shell", "POD=nobody", check=False)
    assert unknown.returncode != 0 and "There are: head worker1 worker2" in unknown.stderr
    make("stop")
    assert traces() == []
    assert {path: path.stat().st_mtime_ns for path in before} == before, "the machine's own files were touched"
    assert "Nothing runs" in make("stop").stdout


def test_a_port_in_use_is_told_and_nothing_is_left(nothing_runs: None) -> None:
    import socket

    with socket.create_server(("", 9341)):
        done = make("run", check=False)
    assert done.returncode != 0
    assert "SLURM_EXPORTER_PORT 9341 is taken by another process" in done.stderr
    assert traces() == []


def test_wrong_numbers_are_refused() -> None:
    for words in (("run", "WORKERS=x"), ("run", "WORKERS=100"), ("run", "GPUS=-1")):
        done = make(*words, check=False)
        assert done.returncode != 0 and "is not a number from 0 to 99" in done.stderr


def test_without_root_it_says_what_to_run_instead() -> None:
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in ("run", "status", "shell", "stop", "system", "bench", "test"):
        done = subprocess.run(
            [*user, "make", "--no-print-directory", "-f", "-", target],
            cwd="/",
            input=makefile,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "HOME": "/"},
        )
        assert done.returncode != 0
        assert f"sudo make {target}" in done.stderr, done.stderr


def test_help_lists_every_target() -> None:
    listed = {line.split()[1] for line in make("help").stdout.splitlines()}
    wanted = {"run", "status", "shell", "stop", "test", "lint", "types", "imports", "unit", "system", "bench", "clean"}
    assert wanted <= listed
