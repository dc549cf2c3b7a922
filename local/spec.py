"""What one pod is made of: plain data that the launcher writes and the pod's first process reads."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CODE_IN_POD = "opt/gpu-watchdog"
PYTHON_IN_POD = f"/{CODE_IN_POD}/venv/bin/python"
PATH_IN_POD = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
NVML_IN_POD = "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"
FAKE_NVML_STATE_IN_POD = "/etc/fake-nvml.conf"
FAKE_NVML_FOLDER_IN_POD = "/opt/fake-nvml"

# Emptied at every start, as in a container made from an image in which no daemon ever ran.
FRESH_FOLDERS = {
    "/etc/munge": 0o755,
    "/etc/slurm": 0o755,
    "/root": 0o700,
    "/run": 0o755,
    "/tmp": 0o1777,
    "/var/lib/munge": 0o755,
    "/var/lib/slurm": 0o755,
    "/var/log": 0o755,
    "/var/spool": 0o755,
}


def start_time(pid: int) -> str:
    """When a process started, in clock ticks since the machine did (proc(5), stat): tells it from a later namesake."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


@dataclass(frozen=True)
class File:
    """A file put into the pod's root before it starts: a text, or a copy of a file of the machine."""

    text: str = ""
    copy_of: str = ""
    mode: int = 0o644


@dataclass(frozen=True)
class Spec:
    """One pod. Paths are the machine's unless the name says otherwise; memory in bytes, cpus in cores."""

    name: str
    hostname: str
    folder: str
    code: str
    runtime: str
    address: str = ""
    """Address on the bridge; empty: the machine's own network."""
    root: str = "/"
    command: tuple[str, ...] = (PYTHON_IN_POD, "-I", "-m", "bootstrap")
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, File] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    """Folder or file of the machine -> path in the pod."""
    read_only_volumes: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """Symbolic links in the pod: path -> target."""
    own_name_in_hosts: bool = True
    without_network: bool = False
    """A network of its own that nothing is plugged into."""
    cpus: float = 0.0
    memory: int = 0

    @property
    def cgroup(self) -> str:
        """Name of the pod's cgroup, empty without limits."""
        return f"gpu-watchdog-{self.name}-{zlib.crc32(self.folder.encode()):08x}" if self.cpus or self.memory else ""

    def to_json(self) -> dict[str, Any]:
        """Plain dicts and lists."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Spec:
        """The reverse of to_json."""
        files = {path: File(**content) for path, content in data["files"].items()}
        return cls(**{**data, "command": tuple(data["command"]), "files": files})
