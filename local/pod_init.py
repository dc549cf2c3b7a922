"""Inside of one pod: new namespaces, a fresh root over the machine's own, default-container capabilities.

Run as `python -m local.pod_init SPEC.json` by local.pod, as root. The outer process stays as the pod's
keeper: it waits for the pod's PID 1 and leaves its exit status in the file `exit`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

from local import namespaces as ns
from local.spec import CODE_IN_POD, FRESH_FOLDERS, Spec, start_time

_DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
_OVERLAID = ("/usr", "/etc", "/var", "/opt", "/bin", "/sbin", "/lib", "/lib64", "/home", "/srv")
# What a mount point under the root must be to belong to the pod's root (network and pseudo mounts do not).
_DISK_FILESYSTEMS = {"ext4", "ext3", "ext2", "xfs", "btrfs", "zfs", "overlay", "f2fs"}


def main(argv: list[str]) -> int:
    spec = Spec.from_json(json.loads(Path(argv[0]).read_text()))
    folder = Path(spec.folder)
    join_cgroups(spec)
    flags = ns.CLONE_NEWUTS | ns.CLONE_NEWIPC | ns.CLONE_NEWPID | ns.CLONE_NEWCGROUP
    if spec.address or spec.without_network:
        flags |= ns.CLONE_NEWNET
    ns.unshare(flags)
    # The launcher plugs the network cable in (our pid names the namespace), then says go.
    print("ready", flush=True)
    if sys.stdin.readline().strip() != "go":
        return 1
    executed, closed_by_exec = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            enter(spec)
        except OSError as error:
            print(f"pod {spec.name}: {error}", file=sys.stderr, flush=True)
        os._exit(125)
    # The keeper outlives the terminal and Ctrl-C; signals for the pod go to its PID 1.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # Only a pod that stands can be entered.
    os.close(closed_by_exec)
    os.read(executed, 1)
    (folder / "pid").write_text(f"{pid} {start_time(pid)}\n")
    print("started", flush=True)
    _, status = os.waitpid(pid, 0)
    (folder / "exit").write_text(f"{os.waitstatus_to_exitcode(status)}\n")
    leave_cgroups(spec)
    return 0


def enter(spec: Spec) -> None:
    """Become the pod's PID 1: build its root, step into it, exec its program. Does not return."""
    ns.die_with_parent(signal.SIGKILL)
    ns.unshare(ns.CLONE_NEWNS)
    ns.mount("none", "/", flags=ns.MS_REC | ns.MS_PRIVATE)
    root = build_root(spec)
    mount_kernel_filesystems(root, Path("/sys/fs/cgroup"), spec)
    for source, target in spec.volumes.items():
        ns.bind(source, inside(root, target))
    for source, target in spec.read_only_volumes.items():
        ns.bind(source, inside(root, target), read_only=True)
    ns.set_hostname(spec.hostname)
    ns.pivot_root(root)
    os.umask(0o022)
    os.dup2(2, 1)  # stderr is the pod's log file
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    ns.drop_capabilities()
    os.setsid()
    os.execve(spec.command[0], spec.command, spec.environment)  # noqa: S606


def inside(root: Path, path: str) -> Path:
    """Where an absolute path of the pod lies before the root is changed."""
    return root / path.lstrip("/")


def build_root(spec: Spec) -> Path:
    """An overlay over the machine's root whose changes live in memory and end with the pod."""
    base = Path(spec.folder) / "fs"
    base.mkdir(exist_ok=True)
    ns.mount("tmpfs", base, "tmpfs", options="mode=755")
    root = base / "root"
    root.mkdir()
    overlay(Path(spec.root), root, base / "layers" / "root")
    if spec.root == "/":
        for number, point in enumerate(disk_mounts_below_root()):
            overlay(Path(point), inside(root, point), base / "layers" / str(number))
    for path, mode in FRESH_FOLDERS.items():
        target = inside(root, path)
        target.mkdir(parents=True, exist_ok=True)
        ns.mount("tmpfs", target, "tmpfs", options=f"mode={mode:o}")
    for source, name in ((spec.code, ""), (spec.runtime, "venv")):
        names = ("bootstrap", "exporters", "conf") if not name else ("",)
        for part in names:
            ns.bind(Path(source) / part, inside(root, CODE_IN_POD) / name / part, read_only=True)
    for path, to in spec.links.items():
        inside(root, path).unlink(missing_ok=True)
        inside(root, path).symlink_to(to)
    # A container's runtime writes these three; the host's own must not show through.
    write_fresh(inside(root, "/etc/hostname"), f"{spec.hostname}\n")
    own = f"{spec.address} {spec.hostname}\n" if spec.address and spec.own_name_in_hosts else ""
    write_fresh(inside(root, "/etc/hosts"), f"127.0.0.1 localhost\n::1 localhost ip6-localhost\n{own}")
    resolver = Path("/etc/resolv.conf")
    # On the bridge nobody answers DNS: without a name server a look-up fails at once.
    reachable = resolver.exists() and not spec.address
    write_fresh(inside(root, "/etc/resolv.conf"), resolver.read_text() if reachable else "")
    for path, content in spec.files.items():
        target = inside(root, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if content.copy_of:
            shutil.copyfile(content.copy_of, target)
        else:
            target.write_text(content.text)
        target.chmod(content.mode)
    return root


def overlay(lower: Path, target: Path, layers: Path) -> None:
    upper, work = layers / "upper", layers / "work"
    upper.mkdir(parents=True)
    work.mkdir()
    shutil.copymode(lower, upper)
    ns.mount("overlay", target, "overlay", options=f"lowerdir={lower},upperdir={upper},workdir={work}")


def disk_mounts_below_root() -> list[str]:
    """Folders of the machine's root that are disks of their own (/usr, /var ...): an overlay does not see into them."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point, fstype = before.split()[4], after.split()[0]
        if fstype in _DISK_FILESYSTEMS and point.startswith(_OVERLAID) and Path(point).is_dir():
            found.append(point)
    return sorted(set(found))


def write_fresh(path: Path, text: str) -> None:
    """Write a file of the new root, not through a symbolic link into the old one."""
    if path.is_symlink():
        path.unlink()
    path.write_text(text)


def mount_kernel_filesystems(root: Path, cgroups: Path, spec: Spec) -> None:
    """/proc, /sys, /dev and the cgroup tree as a container's runtime gives them."""
    proc = inside(root, "/proc")
    ns.mount("proc", proc, "proc", ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC)
    ns.bind(proc / "sys", proc / "sys", read_only=True)
    sys_folder = inside(root, "/sys")
    read_only = ns.MS_RDONLY | ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC
    ns.mount("sysfs", sys_folder, "sysfs", read_only)
    target = sys_folder / "fs" / "cgroup"
    if (cgroups / "cgroup.controllers").exists():
        own = cgroups / spec.cgroup if spec.cgroup else cgroups
        ns.mount(str(own), target, flags=ns.MS_BIND)
        ns.mount(str(own), target, flags=ns.MS_BIND | ns.MS_REMOUNT | read_only)
    else:
        ns.mount("tmpfs", target, "tmpfs", options="mode=755")
        for controller in sorted(cgroups.iterdir()):
            own = controller / spec.cgroup if (controller / spec.cgroup).is_dir() else controller
            ns.bind(own, target / controller.name, read_only=True)
    dev = inside(root, "/dev")
    ns.mount("tmpfs", dev, "tmpfs", ns.MS_NOSUID, "mode=755")
    for name, (major, minor) in _DEVICES.items():
        os.mknod(dev / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        (dev / name).chmod(0o666)
    for path in Path("/dev").glob("nvidia*"):
        ns.bind(path, dev / path.name)
    (dev / "shm").mkdir()
    ns.mount("tmpfs", dev / "shm", "tmpfs", ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC, "mode=1777")
    (dev / "pts").mkdir()
    ns.mount("devpts", dev / "pts", "devpts", ns.MS_NOSUID | ns.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")
    for link, to in (
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ):
        (dev / link).symlink_to(to)


def cgroup_folders(spec: Spec) -> dict[str, Path]:
    """Controller -> this pod's folder; on cgroup v2 all are the same one."""
    base = Path("/sys/fs/cgroup")
    if not spec.cgroup:
        return {}
    if (base / "cgroup.controllers").exists():
        return dict.fromkeys(("cpu", "memory"), base / spec.cgroup)
    return {name: base / name / spec.cgroup for name in ("cpu", "memory")}


def join_cgroups(spec: Spec) -> None:
    """Set the pod's CPU (cores) and memory (bytes) limits, as `docker run --cpus --memory` does, and step in."""
    for controller, folder in cgroup_folders(spec).items():
        v2 = (folder.parent / "cgroup.controllers").exists()
        if v2:
            (folder.parent / "cgroup.subtree_control").write_text(f"+{controller}")
        folder.mkdir(exist_ok=True)
        period = 100_000
        if controller == "cpu" and spec.cpus:
            quota = int(spec.cpus * period)
            if v2:
                (folder / "cpu.max").write_text(f"{quota} {period}")
            else:
                (folder / "cpu.cfs_period_us").write_text(str(period))
                (folder / "cpu.cfs_quota_us").write_text(str(quota))
        if controller == "memory" and spec.memory:
            (folder / ("memory.max" if v2 else "memory.limit_in_bytes")).write_text(str(spec.memory))
        (folder / "cgroup.procs").write_text(str(os.getpid()))


def leave_cgroups(spec: Spec) -> None:
    for folder in set(cgroup_folders(spec).values()):
        (folder.parent / "cgroup.procs").write_text(str(os.getpid()))
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
