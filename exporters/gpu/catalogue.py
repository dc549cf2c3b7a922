"""conf/gpu-metrics.yaml -> metrics, each with the NVML query that gives it. Pure.

A value is `TERM + TERM ... * NUMBER` (or `/ NUMBER`), or `rate(...)` of such a sum: its change per second between two
samples; or `TERM + TERM ... / (TERM + TERM ...)`. A term is

    nvmlDeviceGetName(ARGUMENTS).part   a call on the GPU (of a label also nvmlSystemGetName()); of its answer a part by
                                        name or [n]
    field(NVML_FI_DEV_NAME, SCOPE)      a field value; all are asked for in one call; scope `all`: all links
    gpm(NVML_GPM_METRIC_NAME)           a GPM metric, Hopper and later
    xid()                               the code of the last XID event
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import yaml

TYPES = ("gauge", "counter", "label")
PRINTS = ("integer", "double")
SETS = ("default", "extended", "all")
"""Each has the metrics of those before it."""
BUILT_IN_LABELS = {"gpu", "UUID", "pci_bus_id", "device", "modelName", "GPU_I_PROFILE", "GPU_I_ID"}
BUILT_IN_LABELS |= {"Hostname", "hostname", "err_code", "err_msg", "hpc_job"}
"""Those that series have besides the metrics of type label."""
OWN_PREFIX = "gpu_watchdog_"
"""Of the names of our own, which are no catalogue's."""
ALL_LINKS = 0xFFFFFFFF
_FIELDS = {"name", "set", "type", "help", "value", "print", "most", "mig", "links", "read", "names"}
_READS = ("unsigned",)
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_CALL = re.compile(r"(nvml(?:Device|System)Get\w+)\(([\w, ]*)\)(?:\.(\w+)|\[(\d+)\])?")
_FIELD = re.compile(r"field\((NVML_FI_\w+|\d+)(?:, *(all|\d+))?\)")
_GPM = re.compile(r"gpm\((NVML_GPM_METRIC_\w+|\d+)\)")
_RATE = re.compile(r"rate\((.*)\)")
_RATIO = re.compile(r"(.*?) / \((.*)\)")
_SCALED = re.compile(r"(.*?) *([*/]) *(\d+(?:\.\d+)?)")


class CatalogueError(ValueError):
    """The file cannot be used: names the entry and what is wrong with it."""


@dataclass(frozen=True)
class Call:
    """One NVML query; arguments are names of constants or numbers."""

    function: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class CallPart:
    """A call's answer, or a part of it by name or index."""

    call: Call
    part: str | int | None = None


@dataclass(frozen=True)
class FieldValue:
    """A field value, by the name of its constant or its number."""

    field: str
    scope: int = 0


@dataclass(frozen=True)
class Gpm:
    """A metric of GPU performance monitoring."""

    metric: str


@dataclass(frozen=True)
class Xid:
    """The last XID event's code."""


Term = CallPart | FieldValue | Gpm | Xid


@dataclass(frozen=True)
class Value:
    """One way to the value: the sum of terms, or its change per second, times a number."""

    terms: tuple[Term, ...]
    rate: bool = False
    scale: float = 1.0
    text: str = ""
    over: tuple[Term, ...] = ()
    """The sum is divided by the sum of these."""


@dataclass(frozen=True)
class Metric:
    """One entry of the catalogue."""

    name: str
    set: str
    type: str
    help: str
    values: tuple[Value, ...]
    """The first that the GPU has is taken."""
    print: str = "integer"
    most: float | None = None
    mig: bool = False
    """Read on MIG instances, too."""
    unsigned: bool = False
    """A field value that is an unsigned int whatever the driver says of its type."""
    names: str = ""
    """Prefix of the constants that give a label's number its name."""
    where: str = field(default="", compare=False)
    """File, line and name, for errors."""

    @cached_property
    def heard(self) -> bool:
        """Heard of by events, not read."""
        return any(isinstance(term, Xid) for term in self.terms)

    @property
    def terms(self) -> tuple[Term, ...]:
        """Of all ways to its value."""
        return tuple(term for value in self.values for term in (*value.terms, *value.over))

    def format(self, raw: float) -> str | None:
        """A number as it is printed, None where it cannot be right."""
        if not 0 <= raw < math.inf or (self.most is not None and raw > self.most):
            return None
        return str(int(raw)) if self.print == "integer" else f"{raw:.6f}"


def load(text: str, source: str) -> tuple[Metric, ...]:
    """Parse a catalogue; raises CatalogueError. source names the file in errors."""
    found: dict[str, Metric] = {}
    for entry, line in _entries(text, source):
        for expanded in _of_each_link(entry, f"{source}, line {line}"):
            metric = _metric(expanded, f"{source}, line {line}")
            if metric.name in found:
                raise CatalogueError(f"{metric.where}: it stands there twice")
            found[metric.name] = metric
    return tuple(found.values())


def _entries(text: str, source: str) -> list[tuple[Any, int]]:
    """The list `metrics`, each entry with its line."""
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        data = loader.construct_document(root) if root else None
    except yaml.YAMLError as error:
        raise CatalogueError(f"{source} is not YAML: {' '.join(str(error).split())}") from None
    entries = data.get("metrics") if isinstance(data, dict) else None
    if not isinstance(entries, list) or not entries:
        raise CatalogueError(f"{source} has no list named `metrics`")
    assert isinstance(root, yaml.MappingNode)
    nodes = next(value.value for key, value in root.value if key.value == "metrics")
    return [(entry, node.start_mark.line + 1) for entry, node in zip(entries, nodes, strict=True)]


def of_set(metrics: tuple[Metric, ...], name: str) -> tuple[Metric, ...]:
    """The metrics of a named set."""
    wanted = SETS[: SETS.index(name) + 1]
    return tuple(metric for metric in metrics if metric.set in wanted)


def _of_each_link(entry: Any, where: str) -> list[Any]:
    """The entry itself, or one for each NVLink with {link} filled in."""
    if not isinstance(entry, dict) or "links" not in entry:
        return [entry]
    links = entry["links"]
    if isinstance(links, bool) or not isinstance(links, int) or not 1 <= links <= 64:
        raise CatalogueError(f"{where}: links is {links!r}, it must be a whole number from 1 to 64")
    rest = {key: value for key, value in entry.items() if key != "links"}
    return [
        {key: value.replace("{link}", str(link)) if isinstance(value, str) else value for key, value in rest.items()}
        for link in range(links)
    ]


def _metric(entry: Any, where: str) -> Metric:
    if not isinstance(entry, dict):
        raise CatalogueError(f"{where} is not a mapping")
    where = f"{where} ({entry.get('name')})" if entry.get("name") else where
    missing = {"name", "type", "help", "value"} - set(entry)
    unknown = set(entry) - _FIELDS
    if missing or unknown:
        wrong = f"lacks {sorted(missing)[0]}" if missing else f"has the unknown field {sorted(unknown, key=str)[0]}"
        raise CatalogueError(f"{where} {wrong}")
    name = str(entry["name"])
    if not _NAME.fullmatch(name):
        raise CatalogueError(f"{where}: the name is not a Prometheus metric name")
    if name.startswith(OWN_PREFIX):
        raise CatalogueError(f"{where}: names with {OWN_PREFIX} are the exporter's own")
    texts = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
    values = tuple(_value(str(text), where) for text in texts)
    if not values:
        raise CatalogueError(f"{where}: value is an empty list")
    made = Metric(
        name=name,
        set=_one_of(entry, "set", SETS, where),
        type=_one_of(entry, "type", TYPES, where),
        help=str(entry["help"]),
        values=values,
        print=_one_of(entry, "print", PRINTS, where),
        most=_number(entry, "most", where),
        mig=bool(entry.get("mig", False)),
        unsigned="read" in entry and _one_of(entry, "read", _READS, where) == "unsigned",
        names=str(entry.get("names", "")),
        where=where,
    )
    if made.type == "label":
        _check_label(made)
    elif any(isinstance(term, CallPart) and term.call.function.startswith("nvmlSystem") for term in made.terms):
        raise CatalogueError(f"{where}: a call that is not on the GPU (nvmlSystemGet...) gives labels only")
    return made


def _check_label(metric: Metric) -> None:
    if not all(isinstance(term, CallPart) for term in metric.terms) or any(value.rate for value in metric.values):
        raise CatalogueError(f"{metric.where}: a label's value must be a call")
    if not _LABEL_NAME.fullmatch(metric.name):
        raise CatalogueError(f"{metric.where}: the name is not a Prometheus label name")
    if metric.name in BUILT_IN_LABELS:
        raise CatalogueError(f"{metric.where}: every series has a label of this name already")


def _value(text: str, where: str) -> Value:
    rest, scale = text.strip(), 1.0
    if scaled := _SCALED.fullmatch(rest):
        rest = scaled[1]
        factor = float(scaled[3])
        if not factor:
            raise CatalogueError(f"{where}: value {text!r} is scaled by 0")
        scale = factor if scaled[2] == "*" else 1 / factor
    over: tuple[Term, ...] = ()
    if ratio := _RATIO.fullmatch(rest):
        rest = ratio[1]
        over = tuple(_term(part.strip(), text, where) for part in ratio[2].split(" + "))
    rate = _RATE.fullmatch(rest)
    terms = tuple(_term(part.strip(), text, where) for part in (rate[1] if rate else rest).split(" + "))
    return Value(terms, rate is not None, scale, text.strip(), over)


def _term(text: str, whole: str, where: str) -> Term:
    if call := _CALL.fullmatch(text):
        arguments = tuple(word.strip() for word in call[2].split(",") if word.strip())
        return CallPart(Call(call[1], arguments), int(call[4]) if call[4] else call[3])
    if field := _FIELD.fullmatch(text):
        return FieldValue(field[1], ALL_LINKS if field[2] == "all" else int(field[2] or 0))
    if gpm := _GPM.fullmatch(text):
        return Gpm(gpm[1])
    if text == "xid()":
        return Xid()
    raise CatalogueError(
        f"{where}: value {whole!r} is none of nvmlDeviceGetName(ARGUMENTS).part, field(NVML_FI_NAME, SCOPE),"
        " gpm(NVML_GPM_METRIC_NAME), sums of them, rate() of them, times or by a number"
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
