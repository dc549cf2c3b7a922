"""EDGE: what this pod is: one frozen Hardware from cgroups, /proc, NVML, interfaces and the installed Slurm."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bootstrap import gpus, hosts, network
from bootstrap.gpus import Gpu
from bootstrap.limits import Limits, host_cpus, host_memory_mb, read_limits
from bootstrap.variables import without_secrets

SLURM_DEADLINE_S = 10.0
NVML_DEADLINE_S = 10.0
WORKSPACE = "/workspace"


@dataclass(frozen=True)
class Hardware:
    """What was found. Memory in MiB; limits are None where the container has none."""

    hostname: str
    """Up to the first dot, as slurmd takes it."""
    host_cpus: int
    host_memory_mb: int
    limits: Limits
    address: str | None
    """By which peers reach this pod; None without a network."""
    slurm_version: tuple[int, int, int] | None
    """Of the installed slurmd; None where there is none."""
    gpus: tuple[Gpu, ...] = ()
    gpu_error: str = ""
    workspace_is_volume: bool = False
    own_name_in_hosts: bool = True
    missing_users: tuple[str, ...] = ()
    taken_ports: tuple[int, ...] = ()
    sshd: str = ""
    """Path of the SSH server; empty without one."""
    jupyter: str = ""
    """Path of jupyter-lab; empty without it."""


def probe(ports: tuple[int, ...], users: tuple[str, ...]) -> Hardware:
    """Look at everything; bounded by the deadlines above, writes nothing."""
    search = gpus.Search()
    hostname = socket.gethostname().partition(".")[0]
    version = slurm_version()
    found = search.result(NVML_DEADLINE_S)
    return Hardware(
        hostname=hostname,
        host_cpus=host_cpus(),
        host_memory_mb=host_memory_mb(),
        limits=read_limits(),
        address=network.detect_address(),
        slurm_version=version,
        gpus=found.gpus,
        gpu_error=found.error,
        workspace_is_volume=os.path.ismount(WORKSPACE),
        own_name_in_hosts=hostname in hosts.names(_read_hosts()),
        missing_users=tuple(user for user in users if not _user_exists(user)),
        taken_ports=network.taken_ports(ports),
        sshd=shutil.which("sshd") or "",
        jupyter=shutil.which("jupyter-lab") or "",
    )


def slurm_version() -> tuple[int, int, int] | None:
    """Version of the installed slurmd (`slurmd -V`), None where there is none that runs."""
    try:
        done = subprocess.run(
            ["slurmd", "-V"],
            env=without_secrets(os.environ),
            capture_output=True,
            text=True,
            timeout=SLURM_DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_slurm_version(done.stdout)


def parse_slurm_version(text: str) -> tuple[int, int, int] | None:
    """(22, 5, 8) from `slurm-wlm 22.05.8` or `slurm 22.05.8`."""
    found = re.search(r"\b(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def _read_hosts() -> str:
    try:
        return Path(hosts.PATH).read_text(errors="replace")
    except OSError:
        return ""


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@dataclass(frozen=True)
class StateFolder:
    """Where slurmctld's state would go: what is wrong with the place, if anything."""

    path: str
    problem: str = ""
    write: str = ""


STATE_MIN_FREE_MB = 64


def _open_to_all(folder: Path) -> bool:
    """Whether any user may pass through; a folder that is not root's may be slurm's own."""
    status = folder.stat()
    return bool(status.st_mode & 0o001) or status.st_uid != 0


def inspect_state_folder(path: str) -> StateFolder:
    """Look at the nearest folder that exists, without writing."""
    nearest = Path(path)
    try:
        while not nearest.exists():
            nearest = nearest.parent
        if not nearest.is_dir():
            return StateFolder(path, f"cannot be made, because {nearest} is not a folder", "Name another folder")
        closed = next((folder for folder in (nearest, *nearest.parents) if not _open_to_all(folder)), None)
        if closed:
            return StateFolder(path, f"cannot be reached by the user slurm ({closed} is closed)", "Name another folder")
        if os.statvfs(nearest).f_flag & os.ST_RDONLY or not os.access(nearest, os.W_OK):
            return StateFolder(path, f"cannot be written ({nearest} is read-only)", "Name a writable folder")
        status = os.statvfs(nearest)
    except OSError as error:
        return StateFolder(path, f"cannot be used: {error.strerror}", "Name another folder")
    free_mb = status.f_bavail * status.f_frsize // 2**20
    if free_mb < STATE_MIN_FREE_MB:
        return StateFolder(
            path, f"is full: {free_mb} MiB free, {STATE_MIN_FREE_MB} needed", "Free some space or name another folder"
        )
    return StateFolder(path)
