"""dcgm-exporter's counter files (`--collectors FILE`): which of the catalogue's metrics are wanted. Pure.

Each line is `DCGM field, Prometheus type, help`; `#` begins a comment. Type and help are taken from the file.
"""

from __future__ import annotations

import csv
import dataclasses
import re
from collections.abc import Iterable, Sequence

from exporters.gpu.catalogue import TYPES, CatalogueError, Metric

_LINE = re.compile(rf"\s*\w+\s*,\s*({'|'.join(TYPES)})\s*,")


def select(text: str, source: str, catalogue: Iterable[Metric]) -> tuple[tuple[Metric, ...], list[str]]:
    """The metrics of a counter file, and the names in it that are not in the catalogue.

    Raises CatalogueError with file and line for a line that is none of a counter file.
    """
    known = {metric.name: metric for metric in catalogue}
    found: dict[str, Metric] = {}
    unknown: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{source}, line {number}"
        words = _words(line)
        if not words:
            continue
        if len(words) != 3:
            raise CatalogueError(f"{where}: {line.strip()[:80]!r} is not `FIELD, TYPE, HELP`")
        name, kind, help = words
        if kind not in TYPES:
            raise CatalogueError(f"{where}: type {kind!r} is not {', '.join(TYPES)}")
        if name in found:
            raise CatalogueError(f"{where}: {name} stands there twice")
        metric = known.get(name)
        if metric is None or (kind == "label") != (metric.type == "label"):
            unknown += [name] if name not in unknown else []
        else:
            found[name] = dataclasses.replace(metric, type=kind, help=help)
    if not found:
        raise CatalogueError(f"{source} names no metric that this exporter gives")
    return tuple(found.values()), unknown


def is_one(text: str) -> bool:
    """Whether a text looks like a counter file, by its first line that says anything."""
    first = next((line for line in text.splitlines() if not _says_nothing(line)), "")
    return bool(_LINE.match(first))


def _says_nothing(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _words(line: str) -> Sequence[str]:
    """Field, type and help, which may be in quotes; a comma in one that is not belongs to it, too."""
    if _says_nothing(line):
        return ()
    try:
        words = [word.strip() for word in next(csv.reader([line], skipinitialspace=True, strict=True))]
    except csv.Error:
        return [line]
    return words if len(words) < 3 else [*words[:2], ", ".join(words[2:])]
