"""EDGE: which jobs use which GPU: a directory as dcgm-exporter reads it (--hpc-job-mapping-dir).

A file is named by the GPU's index (`0`), or `0.3` for its MIG instance 3, and holds one job ID a line. Slurm's prolog
and epilog write them.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

MOST_BYTES = 64 * 1024
_NAME = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?")

Place = tuple[int, int | None]
"""GPU index, and the GPU instance or None for the whole GPU."""


def read(folder: Path) -> dict[Place, tuple[str, ...]]:
    """Jobs by GPU and instance, each once, in their order; none of what cannot be read. Raises OSError."""
    found: dict[Place, list[str]] = {}
    for path in sorted(folder.iterdir()):
        name = _NAME.fullmatch(path.name)
        if not name:
            continue
        try:
            text = _text(path)
        except OSError:
            continue  # it went with its job
        jobs = found.setdefault((int(name[1]), int(name[2]) if name[2] else None), [])
        jobs += dict.fromkeys(job for job in map(str.strip, text.splitlines()) if job and job not in jobs)
    return {place: tuple(jobs) for place, jobs in found.items() if jobs}


def _text(path: Path) -> str:
    """Of a regular file; empty of anything else, which may never come to an end."""
    with open(path, "rb", opener=_at_once) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return ""
        return file.read(MOST_BYTES).decode(errors="replace")


def _at_once(path: str, flags: int) -> int:
    """A pipe, too, which would else be opened when somebody writes to it."""
    return os.open(path, flags | os.O_NONBLOCK)
