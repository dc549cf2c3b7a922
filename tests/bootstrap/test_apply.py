from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from bootstrap.apply import ApplyError, apply
from bootstrap.plan import File, Folder, Plan

ME = pwd.getpwuid(os.getuid()).pw_name


def plan(root: Path, *files: File, folders: tuple[Folder, ...] = ()) -> Plan:
    """A plan below a folder; its pruned folder is programs/."""
    programs = Folder(str(root / "programs"), owner=ME)
    return Plan((programs, *folders), files, programs.path, (), ("true",), {}, (), ())


def file(path: Path, content: str, mode: int = 0o644, *, block: bool = False) -> File:
    return File(str(path), content.encode(), mode, ME, block=block)


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_writes_folders_and_files_with_their_modes(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "a/b"), 0o700, ME)
    secret = file(tmp_path / "a/b/key", "secret", 0o400)
    apply(plan(tmp_path, secret, file(tmp_path / "programs/x.conf", "x"), folders=(folder,)))
    assert tree(tmp_path) == {"a/b/key": b"secret", "programs/x.conf": b"x"}
    assert (mode(tmp_path / "a/b"), mode(tmp_path / "a/b/key"), mode(tmp_path / "programs/x.conf")) == (
        0o700,
        0o400,
        0o644,
    )


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_modes_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        apply(plan(tmp_path, file(tmp_path / "x", "x", 0o640)))
    finally:
        os.umask(before)
    assert (mode(tmp_path / "x"), mode(tmp_path / "programs")) == (0o640, 0o755)


def test_second_time_changes_nothing(tmp_path: Path) -> None:
    made = plan(tmp_path, file(tmp_path / "x", "x", 0o400), file(tmp_path / "hosts", "10.0.0.1 a\n", block=True))
    apply(made)
    first = tree(tmp_path)
    apply(made)
    assert tree(tmp_path) == first
    assert set(first) == {"x", "hosts"}


def test_replaces_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("old and longer")
    (tmp_path / "x").chmod(0o600)
    before = (tmp_path / "x").stat().st_ino
    apply(plan(tmp_path, file(tmp_path / "x", "new")))
    assert ((tmp_path / "x").read_text(), mode(tmp_path / "x")) == ("new", 0o644)
    assert (tmp_path / "x").stat().st_ino != before


def test_replaces_a_symbolic_link_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "x").symlink_to("target")
    apply(plan(tmp_path, file(tmp_path / "x", "new")))
    assert tree(tmp_path) == {"target": b"old", "x": b"new"}
    assert not (tmp_path / "x").is_symlink()


def test_leftover_of_an_interrupted_boot_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("other")
    (tmp_path / ".x.new").symlink_to("other")
    apply(plan(tmp_path, file(tmp_path / "x", "new")))
    assert tree(tmp_path) == {"other": b"other", "x": b"new"}


@pytest.mark.parametrize("position", [0, 1, 2])
def test_all_or_nothing(tmp_path: Path, position: int) -> None:
    (tmp_path / "a").write_text("old a")
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/stale.conf").write_text("stale")
    (tmp_path / "hosts").write_text("127.0.0.1 localhost\n")
    before = tree(tmp_path)
    files = [file(tmp_path / "a", "new a"), file(tmp_path / "b", "new b")]
    files.insert(position, file(tmp_path / "missing/c", "c"))
    with pytest.raises(ApplyError, match="missing/c could not be written: No such file or directory"):
        apply(plan(tmp_path, *files, file(tmp_path / "hosts", "10.0.0.1 a\n", block=True)))
    assert tree(tmp_path) == before


def test_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file")
    with pytest.raises(ApplyError, match="a/b could not be written: Not a directory"):
        apply(plan(tmp_path, file(tmp_path / "x", "x"), folders=(Folder(str(tmp_path / "a/b"), owner=ME),)))
    assert tree(tmp_path) == {"a": b"a file"}


def test_block_is_merged_in_place(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(b"127.0.0.1 localhost\n# caf\xe9\n")
    hosts.chmod(0o664)
    inode = hosts.stat().st_ino
    apply(plan(tmp_path, file(hosts, "10.0.0.1 a\n", block=True)))
    assert hosts.read_bytes() == (
        b"127.0.0.1 localhost\n# caf\xe9\n# gpu-watchdog begin\n10.0.0.1 a\n# gpu-watchdog end\n"
    )
    assert (hosts.stat().st_ino, mode(hosts)) == (inode, 0o664)
    apply(plan(tmp_path, file(hosts, "", block=True)))
    assert hosts.read_bytes() == b"127.0.0.1 localhost\n# caf\xe9\n"
    assert hosts.stat().st_ino == inode


def test_block_that_changes_nothing_does_not_write(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    os.utime(hosts, ns=(1, 1))
    apply(plan(tmp_path, file(hosts, "", block=True)))
    assert hosts.stat().st_mtime_ns == 1


def test_programs_of_an_earlier_role_are_removed(tmp_path: Path) -> None:
    (tmp_path / "programs").mkdir()
    for name in ("slurmctld.conf", "slurmd.conf"):
        (tmp_path / "programs" / name).write_text("old")
    apply(plan(tmp_path, file(tmp_path / "programs/slurmd.conf", "new")))
    assert tree(tmp_path) == {"programs/slurmd.conf": b"new"}


def test_a_file_whose_place_is_a_folder_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(ApplyError, match="b could not be written: Is a directory"):
        apply(plan(tmp_path, file(tmp_path / "a", "new"), file(tmp_path / "b", "new")))
    assert tree(tmp_path) == {}


def test_a_block_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    with pytest.raises(ApplyError, match="hosts could not be written"):
        apply(plan(tmp_path, file(tmp_path / "a", "new"), file(tmp_path / "hosts", "line\n", block=True)))
    assert tree(tmp_path) == {}


def test_a_folder_among_the_programs_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "programs/kept").mkdir(parents=True)
    apply(plan(tmp_path, file(tmp_path / "programs/x.conf", "x")))
    assert (tmp_path / "programs/kept").is_dir()
