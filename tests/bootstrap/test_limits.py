from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap.limits import Limits, host_cpus, host_memory_mb, read_limits

GIB = 2**30
V1_UNLIMITED = "9223372036854771712\n"
OVERLAY = "600 500 0:55 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/l,upperdir=/u,workdir=/w\n"
PROC = "601 600 0:60 / /proc rw,nosuid,nodev,noexec,relatime - proc proc rw\n"
V2 = "700 600 0:30 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"


def mount_v1(controllers: str, root: str = "/", options: str = "ro,nosuid,nodev,noexec,relatime") -> str:
    return f"701 600 0:31 {root} /sys/fs/cgroup/{controllers} {options} master:9 - cgroup cgroup rw,{controllers}\n"


def tree(root: Path, mountinfo: str, own: str, files: dict[str, str]) -> Path:
    """A root folder with /proc/self/{mountinfo,cgroup} and files below /sys/fs/cgroup."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text(OVERLAY + PROC + mountinfo)
    (proc / "cgroup").write_text(own)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("files", "cpus", "memory_mb"),
    [
        ({"cpu.max": "250000 100000\n", "memory.max": f"{16 * GIB}\n"}, 2.5, 16384),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ({"cpu.max": "50000 100000\n"}, 0.5, None),
        ({"memory.max": f"{GIB + 1}\n"}, None, 1024),
        ({"cpu.max": "800000 100000\n", "cpuset.cpus.effective": "0-3,8\n"}, 5, None),
        ({"cpu.max": "max 100000\n", "cpuset.cpus.effective": "0-127\n"}, 128, None),
        ({"cpuset.cpus.effective": "\n"}, None, None),
        ({"cpu.max": "", "memory.max": "garbage\n"}, None, None),
        ({"cpu.max": "100000 0\n"}, None, None),
        ({}, None, None),
    ],
)
def test_v2(tmp_path: Path, files: dict[str, str], cpus: float | None, memory_mb: int | None) -> None:
    root = tree(tmp_path, V2, "0::/\n", {"cgroup.controllers": "cpu memory\n", **files})
    assert read_limits(root) == Limits(cpus, memory_mb, 2, False)


@pytest.mark.parametrize(
    ("outer", "inner", "cpus", "memory_mb"),
    [
        (("400000 100000", str(8 * GIB)), ("200000 100000", str(4 * GIB)), 2, 4096),
        (("200000 100000", str(4 * GIB)), ("400000 100000", str(8 * GIB)), 2, 4096),
        (("200000 100000", "max"), ("max 100000", str(4 * GIB)), 2, 4096),
        (("max 100000", "max"), ("max 100000", "max"), None, None),
    ],
)
def test_v2_smallest_of_nested_limits_counts(
    tmp_path: Path, outer: tuple[str, str], inner: tuple[str, str], cpus: float | None, memory_mb: int | None
) -> None:
    files = {"pod/cpu.max": outer[0], "pod/memory.max": outer[1]}
    files |= {"pod/box/cpu.max": inner[0], "pod/box/memory.max": inner[1]}
    found = read_limits(tree(tmp_path, V2, "0::/pod/box\n", files))
    assert (found.cpus, found.memory_mb) == (cpus, memory_mb)


def test_v2_mount_shows_only_the_containers_part(tmp_path: Path) -> None:
    mount = V2.replace(" / /sys", " /kubepods/pod7 /sys")
    files = {"memory.max": str(3 * GIB), "init/memory.max": str(2 * GIB)}
    assert read_limits(tree(tmp_path, mount, "0::/kubepods/pod7/init\n", files)).memory_mb == 2048


@pytest.mark.parametrize("own", ["0::/../../system.slice\n", "0::/gone/elsewhere\n", ""])
def test_v2_path_outside_the_mount_means_the_mount_itself(tmp_path: Path, own: str) -> None:
    assert read_limits(tree(tmp_path, V2, own, {"memory.max": str(GIB)})).memory_mb == 1024


def test_v2_writable(tmp_path: Path) -> None:
    assert read_limits(tree(tmp_path, V2.replace(" ro,nosuid", " rw,nosuid"), "0::/\n", {})).cgroup_writable


V1 = mount_v1("cpu,cpuacct") + mount_v1("cpuset") + mount_v1("memory") + mount_v1("devices")
V1_OWN = "5:devices:/\n4:memory:/\n3:cpuset:/\n2:cpu,cpuacct:/\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    ("files", "cpus", "memory_mb"),
    [
        ({"cpu,cpuacct/cpu.cfs_quota_us": "150000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 1.5, None),
        ({"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, None, None),
        ({"memory/memory.limit_in_bytes": f"{2 * GIB}\n"}, None, 2048),
        ({"memory/memory.limit_in_bytes": V1_UNLIMITED}, None, None),
        ({"cpuset/cpuset.cpus": "0-7\n"}, 8, None),
        ({"cpuset/cpuset.cpus": "0-7\n", "cpuset/cpuset.effective_cpus": "2,4-5\n"}, 3, None),
        ({"devices/memory.limit_in_bytes": "1\n", "devices/cpu.max": "1 100000\n"}, None, None),
    ],
)
def test_v1(tmp_path: Path, files: dict[str, str], cpus: float | None, memory_mb: int | None) -> None:
    assert read_limits(tree(tmp_path, V1, V1_OWN, files)) == Limits(cpus, memory_mb, 1, False)


def test_v1_nested(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": V1_UNLIMITED, "memory/lxc/memory.limit_in_bytes": str(5 * GIB)}
    files["memory/lxc/box/memory.limit_in_bytes"] = V1_UNLIMITED
    assert read_limits(tree(tmp_path, mount_v1("memory"), "4:memory:/lxc/box\n", files)).memory_mb == 5120


def test_v1_docker_shows_the_host_path_of_a_mount_that_begins_there(tmp_path: Path) -> None:
    mounts = mount_v1("memory", "/docker/4f2a") + mount_v1("cpu,cpuacct", "/docker/4f2a")
    own = "4:memory:/docker/4f2a\n2:cpu,cpuacct:/docker/4f2a\n0::/system.slice/containerd.service\n"
    files = {"memory/memory.limit_in_bytes": str(GIB), "cpu,cpuacct/cpu.cfs_quota_us": "300000"}
    files["cpu,cpuacct/cpu.cfs_period_us"] = "100000"
    assert read_limits(tree(tmp_path, mounts, own, files)) == Limits(3, 1024, 1, False)


def test_v1_docker_nested_below_the_mount(tmp_path: Path) -> None:
    files = {"memory/memory.limit_in_bytes": str(4 * GIB), "memory/job/memory.limit_in_bytes": str(GIB)}
    mounts = mount_v1("memory", "/docker/4f2a")
    assert read_limits(tree(tmp_path, mounts, "4:memory:/docker/4f2a/job\n", files)).memory_mb == 1024


def test_v1_writable(tmp_path: Path) -> None:
    assert read_limits(tree(tmp_path, mount_v1("memory", options="rw,nosuid"), "4:memory:/\n", {})).cgroup_writable


def test_hybrid_takes_the_limits_of_v1(tmp_path: Path) -> None:
    unified = V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
    files = {"memory/memory.limit_in_bytes": str(GIB), "unified/cgroup.procs": "1\n"}
    found = read_limits(tree(tmp_path, unified + mount_v1("memory"), "4:memory:/\n0::/\n", files))
    assert found == Limits(None, 1024, 1, False)


def test_no_cgroup_at_all(tmp_path: Path) -> None:
    assert read_limits(tree(tmp_path, "", "", {})) == Limits(None, None, 0, False)


def test_a_kernel_without_cgroups(tmp_path: Path) -> None:
    assert read_limits(tmp_path) == Limits(None, None, 0, False)


def test_file_that_cannot_be_read_sets_no_limit(tmp_path: Path) -> None:
    root = tree(tmp_path, V2, "0::/\n", {"cpu.max": "100000 100000"})
    (root / "sys/fs/cgroup/memory.max").mkdir()
    assert read_limits(root) == Limits(1, None, 2, False)


def test_this_machine_can_be_read() -> None:
    found = read_limits()
    assert found.cgroup_version in (0, 1, 2)
    assert found.cpus is None or found.cpus > 0
    assert host_cpus() >= 1


def test_host_memory(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemFree:  1 kB\nMemTotal:       32768000 kB\nMemAvailable: 2 kB\n")
    assert host_memory_mb(tmp_path) == 32000
    (tmp_path / "proc/meminfo").write_text("MemFree:  1 kB\n")
    with pytest.raises(OSError, match="MemTotal"):
        host_memory_mb(tmp_path)
