"""The catalogue against what nvidia-ml-py can ask and what dcgm-exporter's files show (dcgm-metrics.tsv)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pynvml
import pytest
import yaml

from exporters.gpu.catalogue import FieldValue, Gpm, Metric, load
from exporters.gpu.nvml.plan import THROTTLE_FIELDS, Plan

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
CONF = ROOT / "conf/gpu-metrics.yaml"
LEFT_OUT: dict[str, dict[str, str]] = yaml.safe_load((HERE / "left_out.yaml").read_text())
METRICS = load(CONF.read_text(), "conf")


def terms() -> Iterable[Any]:
    return (term for metric in METRICS for value in metric.values for term in (*value.terms, *value.over))


def unexplained(kind: str, names: Iterable[str]) -> list[str]:
    """Names that no pattern of this kind has; every pattern must have one."""
    names = set(names)
    having = {pattern: {name for name in names if re.fullmatch(pattern, name)} for pattern in LEFT_OUT[kind]}
    assert not [pattern for pattern, found in having.items() if not found], "patterns of nothing"
    assert all(LEFT_OUT[kind].values()), "a reason for each"
    return sorted(names.difference(*having.values()))


def constants(prefix: str) -> dict[str, int]:
    return {name: number for name, number in vars(pynvml).items() if name.startswith(prefix)}


def test_every_field_is_shown_or_left_out_for_a_reason() -> None:
    used = {getattr(pynvml, term.field) for term in terms() if isinstance(term, FieldValue)}
    used |= {getattr(pynvml, name) for name in THROTTLE_FIELDS.values()}
    fields = constants("NVML_FI_")
    assert unexplained("fields", (name for name, number in fields.items() if number not in used)) == []


def test_every_gpm_metric_is_shown_or_left_out_for_a_reason() -> None:
    used = {term.metric for term in terms() if isinstance(term, Gpm)}
    assert unexplained("gpm", constants("NVML_GPM_METRIC_").keys() - used) == []


def test_every_function_is_used_or_left_out_for_a_reason() -> None:
    sources = [CONF, *(ROOT / "exporters/gpu").rglob("*.py")]
    used = {name for path in sources for name in re.findall(r"nvmlDeviceGet\w+", path.read_text())}
    assert unexplained("functions", constants("nvmlDeviceGet").keys() - used) == []


def test_every_metric_can_be_asked_for() -> None:
    assert Plan(METRICS).names


def rows() -> list[list[str]]:
    lines = (HERE / "dcgm-metrics.tsv").read_text().splitlines()
    assert lines[0].split("\t") == ["name", "type", "enabled_default", "print"]
    return [line.split("\t") for line in lines[1:]]


def left_out(name: str, kind: str) -> bool:
    return any(re.fullmatch(pattern, text) for pattern in LEFT_OUT["metrics"] for text in (name, f"{kind}:{name}"))


@pytest.mark.parametrize(
    ("name", "kind", "enabled", "printed"), [row for row in rows() if not left_out(row[0], row[1])]
)
def test_dcgm_exporters_metrics_have_its_type_and_set_and_form(
    name: str, kind: str, enabled: str, printed: str
) -> None:
    metric: Metric | None = {metric.name: metric for metric in METRICS}.get(name)
    assert metric
    assert (metric.type, metric.set == "default") == (kind, enabled == "yes")
    assert printed == ("label" if kind == "label" else metric.print)


def test_the_default_set_has_nothing_else() -> None:
    enabled = {name for name, _, default, _ in rows() if default == "yes"}
    assert {metric.name for metric in METRICS if metric.set == "default"} == enabled
    names = {text for name, kind, *_ in rows() for text in (name, f"{kind}:{name}")}
    assert unexplained("metrics", names)
