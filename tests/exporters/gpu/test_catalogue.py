from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from exporters.gpu.catalogue import Call, CatalogueError, Metric, load

CONF = Path(__file__).resolve().parents[3] / "conf/gpu-metrics.yaml"
ENTRY = {"name": "a", "type": "gauge", "help": "A.", "value": "nvmlDeviceGetPowerUsage()"}


def one(**changes: Any) -> Metric:
    """The metric of an entry with some fields changed; None takes a field out."""
    entry = {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}
    (metric,) = load(yaml.safe_dump({"metrics": [entry]}), "file")
    return metric


def test_plain_entry() -> None:
    assert one() == Metric("a", "gauge", "A.", Call("nvmlDeviceGetPowerUsage"), "", 1.0, "integer", None)


@pytest.mark.parametrize(
    ("value", "call", "field"),
    [
        ("nvmlDeviceGetPowerUsage()", Call("nvmlDeviceGetPowerUsage"), ""),
        ("nvmlDeviceGetClockInfo(NVML_CLOCK_SM)", Call("nvmlDeviceGetClockInfo", ("NVML_CLOCK_SM",)), ""),
        ("nvmlDeviceGetX(A, 0).used", Call("nvmlDeviceGetX", ("A", "0")), "used"),
    ],
)
def test_value(value: str, call: Call, field: str) -> None:
    found = one(value=value)
    assert (found.call, found.field) == (call, field)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "file, entry 1 lacks name"),
        ({"help": None}, "file, entry 1 (a) lacks help"),
        ({"value": None}, "file, entry 1 (a) lacks value"),
        ({"unit": "W"}, "file, entry 1 (a) has the unknown field unit"),
        ({"name": "a b"}, "file, entry 1 (a b): the name is not a Prometheus metric name"),
        ({"name": "1a"}, "the name is not a Prometheus metric name"),
        ({"name": 'a{b="c"}'}, "the name is not a Prometheus metric name"),
        ({"type": "histogram"}, "type is 'histogram', it must be gauge or counter"),
        ({"print": "hex"}, "print is 'hex', it must be integer or double"),
        ({"value": "nvmlShutdown()"}, "value is not of the form nvmlDeviceGetName(ARGUMENTS).field"),
        ({"value": "nvmlDeviceSetPersistenceMode(1)"}, "value is not of the form"),
        ({"value": "nvmlDeviceGetPowerUsage"}, "value is not of the form"),
        ({"value": "nvmlDeviceGetX(__import__('os'))"}, "value is not of the form"),
        ({"divide": 0}, "divide is 0, it must be a number above 0"),
        ({"divide": "1000"}, "divide is '1000', it must be a number above 0"),
        ({"most": -1}, "most is -1, it must be a number above 0"),
        ({"most": True}, "most is True, it must be a number above 0"),
    ],
)
def test_bad_entry(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        one(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "file has no list named `metrics`"),
        ("metrics:", "file has no list named `metrics`"),
        ("metrics: []", "file has no list named `metrics`"),
        ("metrics: {a: 1}", "file has no list named `metrics`"),
        ("- a", "file has no list named `metrics`"),
        ("metrics: [a]", "file, entry 1 is not a mapping"),
        ("metrics: [}", "file is not YAML: "),
        ("metrics: [!!python/object:os.system {}]", "file is not YAML: "),
        ("a: \x01", "file is not YAML: "),
        (yaml.safe_dump({"metrics": [ENTRY, ENTRY]}), "file has a twice"),
    ],
)
def test_bad_file(text: str, words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(text, "file")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "raw", "text"),
    [
        ({}, 7, "7"),
        ({}, 0, "0"),
        ({}, 7.9, "7"),
        ({}, -1, None),
        ({"divide": 1000}, 1999, "1"),
        ({"divide": 1048576}, 150_754_820_096, "143771"),
        ({"print": "double", "divide": 1000}, 123_456, "123.456000"),
        ({"print": "double"}, 0, "0.000000"),
        ({"most": 100}, 100, "100"),
        ({"most": 100}, 101, None),
        ({"most": 100}, 2**32 - 1, None),
    ],
)
def test_format(changes: dict[str, Any], raw: float, text: str | None) -> None:
    assert one(**changes).format(raw) == text


def test_shipped_catalogue() -> None:
    metrics = load(CONF.read_text(), "conf")
    names = [metric.name for metric in metrics]
    assert "DCGM_FI_DEV_GPU_TEMP" in names
    assert all(name.startswith("DCGM_FI_") for name in names)
