from __future__ import annotations

from typing import Any

import pytest
import yaml

from exporters.gpu.catalogue import (
    ALL_LINKS,
    Call,
    CallPart,
    CatalogueError,
    FieldValue,
    Gpm,
    Metric,
    Value,
    Xid,
    load,
    of_set,
)

ENTRY = {"name": "a", "type": "gauge", "help": "A.", "value": "nvmlDeviceGetPowerUsage()"}
POWER = CallPart(Call("nvmlDeviceGetPowerUsage"))


def text(*entries: dict[str, Any]) -> str:
    return yaml.safe_dump({"metrics": list(entries)})


def one(**changes: Any) -> Metric:
    """The metric of an entry with some fields changed; None takes a field out."""
    entry = {name: value for name, value in {**ENTRY, **changes}.items() if value is not None}
    (metric,) = load(text(entry), "file")
    return metric


def test_plain_entry() -> None:
    assert one() == Metric("a", "default", "gauge", "A.", (Value((POWER,), text="nvmlDeviceGetPowerUsage()"),))
    assert one().where == "file, line 2 (a)"


@pytest.mark.parametrize(
    ("value", "terms", "rate", "scale"),
    [
        ("nvmlDeviceGetPowerUsage() / 1000", (POWER,), False, 1 / 1000),
        ("nvmlDeviceGetX(A, 0).used", (CallPart(Call("nvmlDeviceGetX", ("A", "0")), "used"),), False, 1.0),
        ("nvmlDeviceGetX()[1] * 2.5", (CallPart(Call("nvmlDeviceGetX"), 1),), False, 2.5),
        ("field(NVML_FI_A)", (FieldValue("NVML_FI_A"),), False, 1.0),
        ("field(82, 3) + field(83, all)", (FieldValue("82", 3), FieldValue("83", ALL_LINKS)), False, 1.0),
        ("rate(field(1) + field(2)) * 1024", (FieldValue("1"), FieldValue("2")), True, 1024.0),
        ("gpm(NVML_GPM_METRIC_A) / 100", (Gpm("NVML_GPM_METRIC_A"),), False, 1 / 100),
        ("xid()", (Xid(),), False, 1.0),
    ],
)
def test_value(value: str, terms: tuple[object, ...], rate: bool, scale: float) -> None:
    assert one(value=value).values == (Value(terms, rate, scale, value),)  # type: ignore[arg-type]


def test_a_label_may_be_a_call_that_is_on_no_gpu() -> None:
    value = Value((CallPart(Call("nvmlSystemGetX")),), text="nvmlSystemGetX()")
    assert one(type="label", value="nvmlSystemGetX()").values == (value,)


def test_each_link_is_a_metric() -> None:
    entry = {**ENTRY, "name": "a_L{link}", "value": "field(1, {link})", "help": "Of {link}.", "links": 2}
    first, second = load(text(entry), "file")
    assert (first.name, second.name, second.help) == ("a_L0", "a_L1", "Of 1.")
    assert second.values[0].terms == (FieldValue("1", 1),)


def test_sets_have_those_before_them() -> None:
    entries = [{**ENTRY, "name": name, "set": name} for name in ("default", "extended", "all")]
    metrics = load(text(*entries), "file")
    sizes = {name: [metric.name for metric in of_set(metrics, name)] for name in ("default", "extended", "all")}
    assert sizes == {
        "default": ["default"],
        "extended": ["default", "extended"],
        "all": ["default", "extended", "all"],
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": None}, "file, line 2 lacks name"),
        ({"help": None}, "file, line 2 (a) lacks help"),
        ({"value": None}, "file, line 2 (a) lacks value"),
        ({"unit": "W"}, "file, line 2 (a) has the unknown field unit"),
        ({"name": "a b"}, "file, line 2 (a b): the name is not a Prometheus metric name"),
        ({"name": "1a"}, "the name is not a Prometheus metric name"),
        ({"name": 'a{b="c"}'}, "the name is not a Prometheus metric name"),
        ({"set": "most"}, "set is 'most', it must be default or extended or all"),
        ({"type": "histogram"}, "type is 'histogram', it must be gauge or counter or label"),
        ({"print": "hex"}, "print is 'hex', it must be integer or double"),
        ({"read": "signed"}, "read is 'signed', it must be unsigned"),
        ({"type": "label", "value": "field(1)"}, "a label's value must be a call"),
        ({"type": "label", "name": "a:b"}, "file, line 2 (a:b): the name is not a Prometheus label name"),
        ({"type": "label", "name": "__a"}, "file, line 2 (__a): the name is not a Prometheus label name"),
        ({"type": "label", "name": "gpu"}, "file, line 2 (gpu): every series has a label of this name already"),
        ({"type": "label", "name": "hostname"}, "every series has a label of this name already"),
        ({"name": "gpu_watchdog_gpu_up"}, "file, line 2 (gpu_watchdog_gpu_up): names with gpu_watchdog_ are"),
        ({"value": "nvmlSystemGetCudaDriverVersion()"}, "file, line 2 (a): a call that is not on the GPU"),
        ({"value": ["xid()", "nvmlDeviceGetX() / (nvmlSystemGetX())"]}, "a call that is not on the GPU"),
        ({"value": []}, "value is an empty list"),
        ({"value": "nvmlShutdown()"}, "value 'nvmlShutdown()' is none of nvmlDeviceGetName(ARGUMENTS).part"),
        ({"value": "nvmlDeviceSetPersistenceMode(1)"}, "is none of"),
        ({"value": "nvmlDeviceGetPowerUsage"}, "is none of"),
        ({"value": "nvmlDeviceGetX(__import__('os'))"}, "is none of"),
        ({"value": ["xid()", "rate(xid()"]}, "is none of"),
        ({"value": "xid() / 0"}, "is scaled by 0"),
        ({"links": 0}, "links is 0, it must be a whole number from 1 to 64"),
        ({"most": -1}, "most is -1, it must be a number above 0"),
        ({"most": True}, "most is True, it must be a number above 0"),
    ],
)
def test_bad_entry(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        one(**changes)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "file has no list named `metrics`"),
        ("metrics:", "file has no list named `metrics`"),
        ("metrics: []", "file has no list named `metrics`"),
        ("metrics: {a: 1}", "file has no list named `metrics`"),
        ("- a", "file has no list named `metrics`"),
        ("metrics: [a]", "file, line 1 is not a mapping"),
        ("metrics: [}", "file is not YAML: "),
        ("metrics: [!!python/object:os.system {}]", "file is not YAML: "),
        ("a: \x01", "file is not YAML: "),
        (text(ENTRY, dict(ENTRY)), "file, line 6 (a): it stands there twice"),
    ],
)
def test_bad_file(content: str, words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load(content, "file")
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "raw", "printed"),
    [
        ({}, 7, "7"),
        ({}, 0, "0"),
        ({}, 7.9, "7"),
        ({}, -1, None),
        ({}, float("nan"), None),
        ({}, float("inf"), None),
        ({"print": "double"}, 123.456, "123.456000"),
        ({"print": "double"}, 0, "0.000000"),
        ({"most": 100}, 100, "100"),
        ({"most": 100}, 101, None),
    ],
)
def test_format(changes: dict[str, Any], raw: float, printed: str | None) -> None:
    assert one(**changes).format(raw) == printed
