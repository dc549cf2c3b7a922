"""EDGE: put a plan's folders and files in place: all are written before the first one takes effect."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
from pathlib import Path

from bootstrap import hosts
from bootstrap.plan import File, Folder, Plan


class ApplyError(Exception):
    """A folder or file could not be written: which, and why."""


def apply(plan: Plan) -> None:
    """Write everything; raises ApplyError, with no file of the plan changed, when something cannot be written."""
    os.umask(0o022)  # parents that are made on the way must be open to the daemons' users
    with contextlib.ExitStack() as temporary:
        renames: list[tuple[Path, Path]] = []
        path = ""
        try:
            for folder in plan.folders:
                path = folder.path
                _make(folder)
            for file in plan.files:
                path = file.path
                if not file.block:
                    renames.append((_write_beside(file, temporary), Path(file.path)))
            # Whatever could still fail is tried before the first file changes.
            for file in plan.files:
                path = file.path
                if file.block:
                    with Path(path).open("a"):
                        pass
                elif Path(path).is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                elif Path(path).is_mount():
                    raise OSError(errno.EBUSY, "it is mounted by itself and cannot be replaced")
            for source, target in renames:
                path = str(target)
                source.replace(target)
            for file in plan.files:
                path = file.path
                if file.block:
                    _write_block(file)
            path = plan.pruned_folder
            keep = {Path(file.path) for file in plan.files}
            for stale in set(Path(plan.pruned_folder).iterdir()) - keep:
                if not stale.is_dir():
                    stale.unlink()
            for removed in plan.removed:
                path = removed
                Path(removed).unlink(missing_ok=True)
        except OSError as error:
            raise ApplyError(f"{path} could not be written: {error.strerror}") from None


def _make(folder: Folder) -> None:
    path = Path(folder.path)
    path.mkdir(parents=True, exist_ok=True)
    _own(path, folder.owner)
    path.chmod(folder.mode)


def _write_beside(file: File, temporary: contextlib.ExitStack) -> Path:
    target = Path(file.path)
    beside = target.with_name(f".{target.name}.new")
    temporary.callback(beside.unlink, missing_ok=True)
    beside.unlink(missing_ok=True)
    # A secret must not be readable for the moment between its creation and its chmod.
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(file.content)
    _own(beside, file.owner)
    beside.chmod(file.mode)
    return beside


def _write_block(file: File) -> None:
    """Change a file in place: the runtime mounts /etc/hosts by itself, so it cannot be replaced."""
    path = Path(file.path)
    current = path.read_text(errors="surrogateescape") if path.exists() else ""
    merged = hosts.merge(current, file.content.decode())
    if merged != current:
        content = merged.encode(errors="surrogateescape")
        # Never empty in between: a full disk must not cost the container its own names.
        with path.open("r+b") as stream:
            stream.write(content)
            stream.truncate(len(content))


def _own(path: Path, owner: str) -> None:
    account = pwd.getpwnam(owner)
    status = path.stat()
    if (status.st_uid, status.st_gid) != (account.pw_uid, account.pw_gid):
        os.chown(path, account.pw_uid, account.pw_gid)
