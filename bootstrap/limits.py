"""EDGE: how many CPUs and how much memory this container may use: cgroup v1 and v2, /proc.

Formulas: kernel Documentation/admin-guide/cgroup-v2.rst (cpu.max, memory.max) and cgroup-v1 (cfs quota). A limit
of any cgroup from this process's own up to the mount's root binds, so the smallest counts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """What the container's cgroups allow; None where they set no limit."""

    cpus: float | None
    """Cores, from quota over period, and from the cpuset."""
    memory_mb: int | None
    """MiB."""
    cgroup_version: int
    """2, 1, or 0 where no cgroup tree is mounted."""
    cgroup_writable: bool


@dataclass(frozen=True)
class _Hierarchy:
    version: int
    controllers: frozenset[str]
    mount_root: str
    mount_point: str
    writable: bool


def read_limits(root: Path = Path("/")) -> Limits:
    """Read the limits below a root folder (the tests bring their own trees)."""
    hierarchies = list(_hierarchies(root))
    own = _own_paths(root)
    cpu_limits: list[float] = []
    memory_limits: list[int] = []
    for hierarchy in hierarchies:
        for folder in _folders(root, hierarchy, own):
            if hierarchy.version == 2:
                cpu_limits += _quota_v2(folder)
                memory_limits += _numbers([folder / "memory.max"])
                cpu_limits += _cpuset(folder / "cpuset.cpus.effective")
            else:
                if "cpu" in hierarchy.controllers:
                    cpu_limits += _quota_v1(folder)
                if "memory" in hierarchy.controllers:
                    memory_limits += _numbers([folder / "memory.limit_in_bytes"])
                if "cpuset" in hierarchy.controllers:
                    cpu_limits += _cpuset(folder / "cpuset.effective_cpus") or _cpuset(folder / "cpuset.cpus")
    versions = {hierarchy.version for hierarchy in hierarchies if hierarchy.controllers or hierarchy.version == 2}
    # In hybrid mode a v2 tree without controllers stands beside the v1 trees that hold them.
    version = 1 if any(hierarchy.controllers for hierarchy in hierarchies) else max(versions, default=0)
    return Limits(
        cpus=min(cpu_limits, default=None),
        memory_mb=min(memory_limits) // 2**20 if memory_limits else None,
        cgroup_version=version,
        cgroup_writable=any(hierarchy.writable for hierarchy in hierarchies if hierarchy.version == version),
    )


def host_cpus() -> int:
    """CPUs this process may be scheduled on."""
    return len(os.sched_getaffinity(0))


def host_memory_mb(root: Path = Path("/")) -> int:
    """MemTotal in MiB."""
    for line in (root / "proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    raise OSError("/proc/meminfo has no MemTotal")


def _hierarchies(root: Path) -> Iterator[_Hierarchy]:
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, (fstype, _, options) = before.split(), after.split(" ", 2)
        if fstype not in ("cgroup", "cgroup2"):
            continue
        names = frozenset(options.split(",")) & {"cpu", "cpuset", "memory"} if fstype == "cgroup" else frozenset()
        writable = "rw" in fields[5].split(",")
        yield _Hierarchy(2 if fstype == "cgroup2" else 1, frozenset(names), fields[3], fields[4], writable)


def _own_paths(root: Path) -> dict[str, str]:
    """Controller (empty for v2) -> this process's path in that tree (/proc/self/cgroup)."""
    paths = {}
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            paths[controller] = path
    return paths


def _folders(root: Path, hierarchy: _Hierarchy, own: dict[str, str]) -> list[Path]:
    """The process's cgroup and all above it that the mount shows.

    Docker with cgroup v1 mounts the container's own cgroup as the root while /proc/self/cgroup still tells
    the host's path, so the mount's root is taken off the front; where nothing fits, the mount point itself holds
    the container's files.
    """
    point = root / hierarchy.mount_point.lstrip("/")
    key = "" if hierarchy.version == 2 else next(iter(sorted(hierarchy.controllers)), None)
    path = own.get(key, "/") if key is not None else "/"
    if hierarchy.mount_root != "/":
        path = path.removeprefix(hierarchy.mount_root) if path.startswith(hierarchy.mount_root) else "/"
    folder = point / path.strip("/")
    if ".." in path or not folder.is_dir():
        folder = point
    folders = [folder]
    while folder != point:
        folder = folder.parent
        folders.append(folder)
    return folders


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _numbers(paths: Iterable[Path]) -> list[int]:
    """Byte counts; v2 writes `max` for none, v1 a number near 2**63."""
    texts = [_text(path) for path in paths]
    return [int(text) for text in texts if text.isdigit() and int(text) < 2**60]


def _quota_v2(folder: Path) -> list[float]:
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    return [int(quota) / int(period)] if quota.isdigit() and period.isdigit() and int(period) else []


def _quota_v1(folder: Path) -> list[float]:
    quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return [int(quota) / int(period)] if quota.isdigit() and period.isdigit() and int(period) else []


def _cpuset(path: Path) -> list[float]:
    """Number of CPUs in a list such as 0-3,8."""
    count = 0
    for part in _text(path).split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            count += int(last or first) - int(first) + 1
    return [float(count)] if count else []
