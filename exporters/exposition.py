"""Families -> Prometheus text format 0.0.4. Pure, and fast: plain string building.

Format: prometheus/docs, instrumenting/exposition_formats.md. prometheus_client cannot be used for rendering, as it
appends `_total` to a counter's HELP and TYPE lines, which dcgm-exporter's names do not have.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LABEL_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


class Family(NamedTuple):
    """One metric: samples are (labels as `labels` renders them, value as `number` or a fixed format prints it)."""

    name: str
    type: str
    help: str
    samples: Sequence[tuple[str, str]] = ()


def labels(pairs: Mapping[str, str]) -> str:
    """`{name="value",...}` in the mapping's order, empty for none."""
    if not pairs:
        return ""
    return "{" + ",".join(f'{name}="{escape(value)}"' for name, value in pairs.items()) + "}"


def escape(value: str) -> str:
    """A label value: backslash, quote and line feed escaped."""
    return value.translate(_LABEL_ESCAPES)


def number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    if isinstance(value, int):
        return str(value)
    if math.isinf(value) or math.isnan(value):
        return {math.inf: "+Inf", -math.inf: "-Inf"}.get(value, "NaN")
    return repr(value)


def single(name: str, help: str, value: float, type: str = "gauge") -> Family:
    """A family of one sample without labels."""
    return Family(name, type, help, [("", number(value))])


def render(families: Iterable[Family]) -> bytes:
    """The whole exposition, what cannot be UTF-8 replaced; a family without samples is left out."""
    return Renderer().render(families)


class Renderer:
    """Renders one page after the other; a family that is as it was on the page before is not rendered anew."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[Family, bytes]] = {}

    def render(self, families: Iterable[Family]) -> bytes:
        """See the function of this name."""
        found: dict[str, tuple[Family, bytes]] = {}
        parts: list[bytes] = []
        for family in families:
            if not family.samples:
                continue
            before = self._before.get(family.name)
            entry = before if before and before[0] == family else (family, _block(family))
            found[family.name] = entry
            parts.append(entry[1])
        self._before = found
        return b"".join(parts)


def _block(family: Family) -> bytes:
    name = family.name
    lines = [f"# HELP {name} {family.help.translate(_HELP_ESCAPES)}\n# TYPE {name} {family.type}\n"]
    lines += [f"{name}{label_text} {value}\n" for label_text, value in family.samples]
    return "".join(lines).encode("utf-8", "replace")
