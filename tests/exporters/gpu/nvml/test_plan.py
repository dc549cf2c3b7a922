from __future__ import annotations

import math

import pytest

from exporters.gpu.catalogue import CatalogueError, load
from exporters.gpu.nvml.plan import Answers, Plan, Values


def plan(value: str, type: str = "counter", longest_rate: float = math.inf) -> Plan:
    quoted = value if value.startswith("[") else f"'{value}'"
    metrics = load(f"metrics:\n  - {{name: a, type: {type}, help: A., value: {quoted}}}", "file")
    return Plan(metrics, longest_rate=longest_rate)


def shown(values: Values, *readings: float, step: float = 1.0) -> list[str | None]:
    """What a field's readings are printed as, one after the other."""
    return [
        values.printed(Answers(fields={(1, 0): reading}, time=number * step)).get("a")
        for number, reading in enumerate(readings)
    ]


def test_counter_that_falls_once_is_an_error() -> None:
    assert shown(Values(plan("field(1)")), 5, 6, 2, 7, 8) == ["5", "6", None, "7", "8"]


def test_counter_that_falls_for_good_begins_anew() -> None:
    assert shown(Values(plan("field(1)")), 5, 0, 1, 2) == ["5", None, "1", "2"]


def test_gauge_may_fall() -> None:
    assert shown(Values(plan("field(1)", "gauge")), 5, 0) == ["5", "0"]


def test_rate_may_fall_though_it_is_typed_counter() -> None:
    assert shown(Values(plan("rate(field(1)) / 10")), 0, 1000, 1500, 1600) == [None, "100", "50", "10"]


def test_rate_of_a_counter_that_wraps_is_left_out_once() -> None:
    assert shown(Values(plan("rate(field(1))")), 10, 20, 5, 6, step=0.5) == [None, "20", None, "2"]


def test_rate_is_not_taken_over_a_gap() -> None:
    values = Values(plan("rate(field(1))", longest_rate=3))
    times = {0: 0, 10: 1, 40: 4, 70: 8, 80: 9}
    shown = [values.printed(Answers(fields={(1, 0): reading}, time=time)) for reading, time in times.items()]
    assert shown == [{}, {"a": "10"}, {"a": "10"}, {}, {"a": "10"}]


def test_second_way_that_is_a_rate_does_not_go_back_to_when_it_was_last_needed() -> None:
    values = Values(plan("[gpm(20), rate(field(1))]", longest_rate=3))
    shown = [
        values.printed(Answers(fields={(1, 0): 10.0 * time}, gpm={20: 7.0} if 0 < time < 9 else {}, time=time))
        for time in range(11)
    ]
    assert shown == [{}, *[{"a": "7"}] * 8, {}, {"a": "10"}]


def test_second_way_is_read_anew_each_time() -> None:
    """Where the first one, which this GPU lacks, says nothing: an old number must not stand for a new one."""
    values = Values(plan("[gpm(20), field(1)]", "gauge"))
    assert shown(values, 5, 6, 6, 7) == ["5", "6", "6", "7"]
    assert shown(Values(plan("[gpm(20), rate(field(1))]")), 0, 10, 40, 40) == [None, "10", "30", "0"]
    gone = Answers(time=9)
    assert values.printed(gone) == {}
    assert values.printed(Answers(gpm={20: 3.0}, fields={(1, 0): 7})) == {"a": "3"}


def test_what_is_there_for_lack_of_another_is_not_asked_for_beside_it() -> None:
    first, second = "nvmlDeviceGetMemoryInfo(nvmlMemory_v2).total", "nvmlDeviceGetMemoryInfo().total"
    made = plan(f'["{first}", "{second}"]', "gauge")
    new, old = (number for number, _, _ in made.calls)

    class Memory:
        total = 5

    assert made.unneeded(Answers(calls={new: Memory(), old: Memory()})) == {old}
    assert made.unneeded(Answers(calls={old: Memory()})) == set()
    assert made.unneeded(Answers(calls={new: object(), old: Memory()})) == set()
    Memory.total = 0xFFFFFFFFFFFFFFFF
    assert made.unneeded(Answers(calls={new: Memory(), old: Memory()})) == set()


def test_what_another_metric_has_first_is_always_asked_for() -> None:
    text = """metrics:
      - {name: a, type: gauge, help: A., value: [nvmlDeviceGetPowerUsage(), nvmlDeviceGetFanSpeed()]}
      - {name: b, type: gauge, help: B., value: nvmlDeviceGetFanSpeed()}"""
    assert Plan(load(text, "file")).unneeded(Answers(calls={0: 1, 1: 1})) == set()


def test_reading_that_is_gone_and_comes_back() -> None:
    values = Values(plan("field(1)", "gauge"))
    assert shown(values, 5) == ["5"]
    assert values.printed(Answers()) == {}
    assert shown(values, 5, 6) == ["5", "6"]


@pytest.mark.parametrize("blank", [0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF, float("nan"), float("inf"), -1])
def test_what_is_no_value_is_left_out(blank: float) -> None:
    assert shown(Values(plan("field(1)", "gauge")), blank) == [None]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nvmlDeviceGetNothing()", "file, line 2 (a): nvidia-ml-py has no function nvmlDeviceGetNothing"),
        ("nvmlDeviceGetClockInfo(NVML_NO)", "file, line 2 (a): nvidia-ml-py has no constant NVML_NO"),
        ("nvmlDeviceGetTemperature()", "file, line 2 (a): nvmlDeviceGetTemperature does not take these arguments"),
        ("field(NVML_FI_NO)", "file, line 2 (a): nvidia-ml-py has no constant NVML_FI_NO"),
        ("gpm(NVML_GPM_METRIC_NO)", "file, line 2 (a): nvidia-ml-py has no constant NVML_GPM_METRIC_NO"),
    ],
)
def test_what_nvidia_ml_py_does_not_have(value: str, words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        plan(value)
    assert str(caught.value).startswith(words)
