"""A Grafana dashboard -> the queries that it sends to Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SLURM = ROOT / "dashboards/slurm.json"

_VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))")
_LABEL_VALUES = re.compile(r"label_values\((\w+), *(\w+)\)")


@dataclass(frozen=True)
class Query:
    """One expression of one panel, variables filled in."""

    panel: str
    expr: str
    instant: bool
    """One value now, instead of a curve."""


def load(path: Path = SLURM) -> dict[str, Any]:
    """The dashboard."""
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All that show something, those of collapsed rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panels(panel)
        else:
            yield panel


def queries(dashboard: Mapping[str, Any], rate_interval: str = "1m") -> list[Query]:
    """Of all panels. Variables of the dashboard are filled in as `All` fills them."""
    values = {one["name"]: one.get("allValue", "") for one in dashboard["templating"]["list"]}
    values["__rate_interval"] = rate_interval
    return [
        Query(panel["title"], filled(target["expr"], values), bool(target.get("instant")))
        for panel in panels(dashboard)
        for target in panel["targets"]
    ]


def filled(expr: str, values: Mapping[str, str]) -> str:
    """Raises KeyError for a variable that there is not."""
    return _VARIABLE.sub(lambda match: values[match[1] or match[2]], expr)


def label_values(dashboard: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Metric and label from which each variable takes its values."""
    found = []
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            match = _LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert match, variable
            found.append((match[1], match[2]))
    return found
