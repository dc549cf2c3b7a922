"""What Slurm's commands print alike: numbers, sizes, times, trackable resources (TRES). Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from exporters.slurm.parse import ParseError

MIB = 1024**2

# slurm_sprint_mem and convert_num_unit (src/common/slurm_protocol_defs.c): powers of 1024, M where none is given.
_UNITS = {"": MIB, "K": 1024, "M": MIB, "G": 1024**3, "T": 1024**4, "P": 1024**5}
_COUNT_UNITS = {"": 1, "K": 1024, "M": MIB, "G": 1024**3}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
_COUNT = re.compile(r"(\d+)([KMG]?)")
_IN_BRACKETS = re.compile(r"\((?!null\))[^)]*\)")


def whole(text: str) -> int | None:
    """A whole number; None for N/A, (null), UNLIMITED and the like."""
    return int(text) if text.isascii() and text.isdigit() else None


def real(text: str) -> float | None:
    """A number as C prints it (1.5, 2e-05, inf); None for N/A and the like."""
    try:
        found = float(text)
    except ValueError:
        return None
    return None if math.isnan(found) else found


def size(text: str) -> int | None:
    """Bytes of 4000M, 1.50G or 512 (MiB); None for what is none."""
    match = _SIZE.fullmatch(text)
    return round(float(match[1]) * _UNITS[match[2]]) if match else None


def fields(line: str) -> dict[str, str]:
    """key=value words of a line that scontrol prints with -o. Of a key that is there twice the first counts."""
    found: dict[str, str] = {}
    for word in line.split():
        key, equals, value = word.partition("=")
        if equals:
            found.setdefault(key, value)
    return found


def records(text: str, first_key: str, command: str) -> list[str]:
    """Lines that begin a record; text that has lines but no record is an error unless it says that there are none."""
    found = [line for line in text.split("\n") if line.startswith(f"{first_key}=")]
    if not found and text.strip() and not text.lstrip().startswith("No "):
        raise ParseError(f"{command}: no line has {first_key}: {text.strip()[:80]!r}")
    return found


@dataclass(frozen=True)
class Tres:
    """Trackable resources of a job or node. Memory in bytes."""

    cpus: int = 0
    memory: int = 0
    nodes: int = 0
    gpus: Mapping[str, int] = field(default_factory=dict)
    """By type, "" where none is named."""

    @property
    def all_gpus(self) -> int:
        """Of all types."""
        return sum(self.gpus.values())


@lru_cache(maxsize=4096)
def tres(text: str) -> Tres:
    """`cpu=4,mem=8G,node=1,billing=4,gres/gpu=2,gres/gpu:a100=2`: what is typed is in the untyped number as well."""
    values: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        values[name] = value
    typed = {
        name.removeprefix("gres/gpu:"): count
        for name, value in values.items()
        if name.startswith("gres/gpu:") and (count := whole(value)) is not None
    }
    untyped = (whole(values.get("gres/gpu", "")) or 0) - sum(typed.values())
    return Tres(
        cpus=whole(values.get("cpu", "")) or 0,
        memory=size(values.get("mem", "")) or 0,
        nodes=whole(values.get("node", "")) or 0,
        gpus={**typed, "": untyped} if untyped > 0 else typed,
    )


@lru_cache(maxsize=4096)
def gpus(text: str) -> Mapping[str, int]:
    """GPUs by type of a list of generic resources, such as a node has, uses or a job asks for.

    `gpu:h100:8(S:0-1)`, `gpu:8`, `gpu:(null):2(IDX:0-1)`, `gres:gpu:a100:2`, `gres/gpu:2`, `gpu` (one), `shard:4`.
    """
    found: dict[str, int] = {}
    for entry in _IN_BRACKETS.sub("", text).replace("(null)", "").split(","):
        name, *rest = entry.strip().removeprefix("gres:").removeprefix("gres/").replace("=", ":").split(":")
        if name != "gpu":
            continue
        count = _COUNT.fullmatch(rest[-1]) if rest else None
        kind = ":".join(rest[:-1] if count else rest)
        number = int(count[1]) * _COUNT_UNITS[count[2]] if count else 1
        found[kind] = found.get(kind, 0) + number
    return found
