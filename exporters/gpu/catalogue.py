"""conf/gpu-metrics.yaml -> metrics, each with the NVML call that gives it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

TYPES = ("gauge", "counter")
PRINTS = ("integer", "double")
_FIELDS = {"name", "type", "help", "value", "divide", "print", "most"}
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_VALUE = re.compile(r"(nvmlDeviceGet\w+)\(([\w, ]*)\)(?:\.(\w+))?")


class CatalogueError(ValueError):
    """The file cannot be used: names the entry and what is wrong with it."""


@dataclass(frozen=True)
class Call:
    """One NVML query of a device; arguments are names of constants or numbers."""

    function: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metric:
    """One entry of the catalogue."""

    name: str
    type: str
    help: str
    call: Call
    field: str
    """Of the call's answer; empty where the answer is the value."""
    divide: float
    print: str
    most: float | None

    def format(self, raw: float) -> str | None:
        """The value as it is printed, None where the reading cannot be right."""
        if raw < 0 or (self.most is not None and raw > self.most):
            return None
        if self.print == "integer":
            return str(int(raw // self.divide))
        return f"{raw / self.divide:.6f}"


def load(text: str, source: str) -> tuple[Metric, ...]:
    """Parse a catalogue; raises CatalogueError. source names the file in errors."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CatalogueError(f"{source} is not YAML: {' '.join(str(error).split())}") from None
    entries = data.get("metrics") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise CatalogueError(f"{source} has no list named `metrics`")
    metrics = [_metric(entry, f"{source}, entry {number}") for number, entry in enumerate(entries, 1)]
    names: set[str] = set()
    for metric in metrics:
        if metric.name in names:
            raise CatalogueError(f"{source} has {metric.name} twice")
        names.add(metric.name)
    return tuple(metrics)


def _metric(entry: Any, where: str) -> Metric:
    if not isinstance(entry, dict):
        raise CatalogueError(f"{where} is not a mapping")
    where = f"{where} ({entry.get('name')})" if entry.get("name") else where
    missing = {"name", "type", "help", "value"} - set(entry)
    unknown = set(entry) - _FIELDS
    if missing or unknown:
        wrong = f"lacks {sorted(missing)[0]}" if missing else f"has the unknown field {sorted(unknown, key=str)[0]}"
        raise CatalogueError(f"{where} {wrong}")
    if not _NAME.fullmatch(str(entry["name"])):
        raise CatalogueError(f"{where}: the name is not a Prometheus metric name")
    value = _VALUE.fullmatch(str(entry["value"]))
    if not value:
        raise CatalogueError(f"{where}: value is not of the form nvmlDeviceGetName(ARGUMENTS).field")
    function, arguments, field = value.groups()
    return Metric(
        name=str(entry["name"]),
        type=_one_of(entry, "type", TYPES, where),
        help=str(entry["help"]),
        call=Call(function, tuple(word.strip() for word in arguments.split(",") if word.strip())),
        field=field or "",
        divide=_number(entry, "divide", where) or 1.0,
        print=_one_of(entry, "print", PRINTS, where),
        most=_number(entry, "most", where),
    )


def _one_of(entry: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str) -> str:
    value = str(entry.get(key, allowed[0]))
    if value not in allowed:
        raise CatalogueError(f"{where}: {key} is {value!r}, it must be {' or '.join(allowed)}")
    return value


def _number(entry: Mapping[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise CatalogueError(f"{where}: {key} is {value!r}, it must be a number above 0")
    return value
