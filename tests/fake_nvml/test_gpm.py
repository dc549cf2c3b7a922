"""GPM: profiling metrics from two samples."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml, Value

METRICS = """(lambda g, ids: [
    setattr(g, "version", {version}), setattr(g, "numMetrics", len(ids)),
    setattr(g, "sample1", {first}), setattr(g, "sample2", {second}),
    [setattr(metric, "nvmlReturn", 77) for metric in g.metrics],
    [setattr(g.metrics[at], "metricId", metric) for at, metric in enumerate(ids)],
    nvmlGpmMetricsGet(g),
] and [[m.nvmlReturn, m.value] for m in g.metrics if m.nvmlReturn != 77])(c_nvmlGpmMetricsGet_t(), {ids})"""


def metrics(ids: list[int], *, first: str = "a", second: str = "b", version: int = 1) -> str:
    return METRICS.format(ids=ids, first=first, second=second, version=version).replace("\n", " ")


def sample(client: Client, name: str, how: str = "nvmlGpmSampleGet(gpu0, {})") -> None:
    client.value(f"bool({name} := nvmlGpmSampleAlloc())")
    client.value(f"bool({how.format(name)})")


def answers(client: Client, ids: list[int], **arguments: Any) -> list[list[float]]:
    found: list[list[float]] = client.value(metrics(ids, **arguments))
    return found


@pytest.mark.parametrize(("model", "supported"), [("h100", 1), ("h200", 1), ("a100", 0), ("rtx4090", 0)])
def test_hopper_and_later_have_it(client: Client, fake: FakeNvml, model: str, supported: int) -> None:
    fake.write(gpus=[{"model": model}])
    client.start(1)
    assert client.value("nvmlGpmQueryDeviceSupport(gpu0).isSupportedDevice") == supported
    client.value("bool(a := nvmlGpmSampleAlloc())")
    if supported:
        client.value("bool(nvmlGpmSampleGet(gpu0, a))")
        assert client.value("nvmlGpmQueryIfStreamingEnabled(gpu0)") == 0
    else:
        assert client.error("nvmlGpmSampleGet(gpu0, a)") == "NVMLError_NotSupported"
        assert client.error("nvmlGpmQueryIfStreamingEnabled(gpu0)") == "NVMLError_NotSupported"
    client.value("nvmlGpmSampleFree(a)")


def test_a_metric_has_the_value_of_the_second_sample(client: Client, fake: FakeNvml) -> None:
    values: dict[str, Value] = {
        "gpm_sm_util": 12.5,
        "gpm_nvlink_rx_per_sec": 7,
        "gpm_nvlink_rx_per_sec.17": 9,
        "gpm.333": 3,
        "gpm.5": "N/A",
    }
    fake.write(gpus=[{"gpm_min_interval_ms": 0, **values}])
    client.start(1)
    sample(client, "a")
    fake.update(0, gpm_sm_util=62.5)
    sample(client, "b")
    fake.update(0, gpm_sm_util=99)
    ids = [2, 1, 62, 96, 97, 333, 5, 100, 500]
    expected = [[0, 62.5], [0, 0], [0, 7], [0, 9], [0, 0], [0, 3], [3, None], [3, None], [2, None]]
    found = [[code, None if math.isnan(value) else value] for code, value in answers(client, ids)]
    assert found == expected


def test_samples_that_are_too_close_have_no_value(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"gpm_min_interval_ms": 100000}])
    client.start(1)
    sample(client, "a")
    sample(client, "b")
    code, value = answers(client, [2])[0]
    assert (code, math.isnan(value)) == (0, True)
    fake.update(0, gpm_too_close="NO_DATA")
    sample(client, "b")
    assert answers(client, [2])[0][0] == 21


def test_what_does_not_belong_together_is_refused(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"gpm_min_interval_ms": 0, "gpm_error.3": "UNKNOWN"}, {}])
    client.start(2)
    sample(client, "a")
    sample(client, "b")
    sample(client, "other", "nvmlGpmSampleGet(gpu1, {})")
    client.value("bool(empty := nvmlGpmSampleAlloc())")
    for first, second in (("b", "a"), ("a", "other"), ("a", "empty"), ("empty", "b")):
        assert client.error(metrics([2], first=first, second=second)) == "NVMLError_InvalidArgument"
    assert client.error(metrics([2], version=2)) == "NVMLError_ArgumentVersionMismatch"
    assert [code for code, _ in answers(client, [2, 3])] == [0, 999]
    assert answers(client, []) == []


def test_a_refusal(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"error.nvmlGpmSampleGet": "NO_PERMISSION"}])
    client.start(1)
    client.value("bool(a := nvmlGpmSampleAlloc())")
    assert client.error("nvmlGpmSampleGet(gpu0, a)") == "NVMLError_NoPermission"
    fake.update_machine(**{"error.nvmlGpmSampleAlloc": "MEMORY"})
    assert client.error("nvmlGpmSampleAlloc()") == "NVMLError_Memory"


def test_an_instance_has_its_own_values(client: Client, fake: FakeNvml) -> None:
    gpu: dict[str, Value] = {
        "mig_mode": 1,
        "mig": "0:1g.10gb:7",
        "gpm_min_interval_ms": 0,
        "gpm_sm_util": 5,
        "gpm_dram_bw_util": 6,
    }
    fake.write(gpus=[{**gpu, "mig.7.gpm_sm_util": 80, "mig.7.gpm.12": 33}])
    client.start(1)
    for name in "ab":
        sample(client, name, "nvmlGpmMigSampleGet(gpu0, 7, {})")
    assert answers(client, [2, 10, 12]) == [[0, 80], [0, 6], [0, 33]]
    assert answers(client, [20])[0][0] == 3
    assert client.error("nvmlGpmMigSampleGet(gpu0, 8, a)") == "NVMLError_NotFound"
    sample(client, "whole")
    assert client.error(metrics([2], first="a", second="whole")) == "NVMLError_InvalidArgument"
