"""GPM of a simulated GPU: from two samples, refused, absent, too close, and back again."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest

from tests.exporters.gpu.nvml.edge import Edge
from tests.fake_nvml.control import Value

SHORTEST_S = 0.1
"""nvml.h: two samples must be this far apart."""
NAMES: dict[str, Any] = {
    "sm": "gpm(NVML_GPM_METRIC_SM_UTIL) / 10",
    "dram": "gpm(10)",
    "temperature": "nvmlDeviceGetTemperature(0)",
}


@pytest.fixture
def profiled(edge: Edge) -> Edge:
    """A GPU with two metrics of GPM; what is refused is asked for again at once."""
    edge.open(retry=0.001, **NAMES)
    edge.gpus.write(gpus=[{"gpm_sm_util": 50, "gpm_dram_bw_util": 7}])
    return edge


def shown(edge: Edge, **wanted: str) -> None:
    """Poll until these values are read, and no others."""
    edge.until(f"{wanted}", "sample", edge.uuid(0), has=lambda sample: sample["values"] == wanted)


def test_the_first_sample_has_no_value_and_the_second_has(profiled: Edge) -> None:
    first = profiled.sample()
    assert (first["values"], first["profiling"]) == ({"temperature": "34"}, "")
    shown(profiled, sm="5", dram="7", temperature="34")
    profiled.gpus.update(0, gpm_sm_util=90)
    shown(profiled, sm="9", dram="7", temperature="34")


def test_samples_that_are_too_close_for_the_driver_have_no_value(profiled: Edge) -> None:
    """Success and NaN, or an error for each metric: neither is a number."""
    profiled.gpus.update(0, gpm_min_interval_ms=10**6)
    profiled.sample()
    for answer in (None, "NO_DATA", "INVALID_ARGUMENT"):
        profiled.gpus.update(0, gpm_too_close=answer)
        end = time.monotonic() + 3 * SHORTEST_S
        while time.monotonic() < end:
            sample = profiled.sample()
            assert (sample["values"], sample["profiling"]) == ({"temperature": "34"}, ""), answer
    profiled.gpus.update(0, gpm_too_close=None, gpm_min_interval_ms=None)
    shown(profiled, sm="5", dram="7", temperature="34")


def test_what_asks_too_soon_gets_the_last_values(profiled: Edge) -> None:
    """A sample that is too close to the one before would have none, and the one after it, too."""
    shown(profiled, sm="5", dram="7", temperature="34")
    end = time.monotonic() + 5 * SHORTEST_S
    found = []
    while time.monotonic() < end:
        found.append("sm" in profiled.values())
    assert len(found) > 10
    assert found.count(False) <= 2, "more than what a busy machine may make of it"


def test_one_metric_is_refused(profiled: Edge) -> None:
    profiled.gpus.update(0, **{"gpm_error.10": "NOT_SUPPORTED"})
    profiled.sample()
    shown(profiled, sm="5", temperature="34")
    assert profiled.sample()["profiling"] == "DRAM_BW_UTIL: Not Supported"
    profiled.gpus.update(0, **{"gpm_error.10": None, "gpm_error.2": "UNKNOWN"})
    shown(profiled, dram="7", temperature="34")
    assert profiled.sample()["profiling"] == ""
    profiled.gpus.update(0, **{"gpm_error.2": None})
    shown(profiled, sm="5", dram="7", temperature="34")


def test_all_metrics_are_refused(profiled: Edge) -> None:
    profiled.gpus.update(0, **{"gpm_error.2": "NO_PERMISSION", "gpm_error.10": "NOT_SUPPORTED"})
    refused = profiled.until("a reason", "sample", profiled.uuid(0), has=lambda sample: sample["profiling"])
    assert refused["profiling"] == "DRAM_BW_UTIL: Not Supported; SM_UTIL: Insufficient Permissions"


@pytest.mark.parametrize(
    "call", ["nvmlGpmQueryDeviceSupport", "nvmlGpmSampleAlloc", "nvmlGpmSampleGet", "nvmlGpmMetricsGet"]
)
@pytest.mark.parametrize(
    ("error", "words"), [("NO_PERMISSION", "Insufficient Permissions"), ("NOT_SUPPORTED", "Not Supported")]
)
def test_what_is_refused_says_why_and_comes_back(profiled: Edge, call: str, error: Value, words: str) -> None:
    key = f"error.{call}"
    of_no_gpu = call in ("nvmlGpmSampleAlloc", "nvmlGpmMetricsGet")
    set_error = profiled.gpus.update_machine if of_no_gpu else partial(profiled.gpus.update, 0)
    set_error(**{key: error})
    refused = profiled.until("a reason", "sample", profiled.uuid(0), has=lambda sample: sample["profiling"])
    assert refused["profiling"] == words
    assert refused["values"] == {"temperature": "34"}
    set_error(**{key: None})
    shown(profiled, sm="5", dram="7", temperature="34")
    assert profiled.sample()["profiling"] == ""


def test_a_gpu_without_it_says_so(edge: Edge) -> None:
    edge.open(**NAMES)
    edge.gpus.write(gpus=[{"model": "a100"}, {"model": "h100"}])
    assert edge.sample(0)["profiling"] == "this GPU has no GPM (Hopper and later have)"
    assert edge.sample(1)["profiling"] == ""


def test_a_driver_without_it_says_so(old_edge: Edge) -> None:
    old_edge.open(**NAMES)
    old_edge.gpus.write(gpus=[{"model": "t4"}])
    for _ in range(2):
        sample = old_edge.sample()
        assert sample["profiling"] == "Function Not Found"
        assert sample["values"].keys() == {"temperature"}


def test_nothing_is_said_where_it_is_not_asked_for(edge: Edge) -> None:
    edge.gpus.write(gpus=[{"model": "a100"}])
    assert edge.sample()["profiling"] == ""


def test_a_gpu_that_is_lost_while_it_is_profiled(profiled: Edge) -> None:
    profiled.sample()
    shown(profiled, sm="5", dram="7", temperature="34")
    profiled.gpus.update(0, **{"error.nvmlGpmSampleGet": "GPU_IS_LOST"})
    end = time.monotonic() + 2 * SHORTEST_S  # its next sample is due by then
    while time.monotonic() < end:
        pass
    assert profiled.error("sample", profiled.uuid(0)) == "GPU is lost"
    profiled.gpus.update(0, **{"error.nvmlGpmSampleGet": None})
    shown(profiled, sm="5", dram="7", temperature="34")


def test_a_driver_that_was_loaded_anew_is_profiled_from_the_beginning(profiled: Edge) -> None:
    profiled.sample()
    shown(profiled, sm="5", dram="7", temperature="34")
    profiled.gpus.reload_driver()
    profiled.gpus.update(0, gpm_sm_util=80)
    assert profiled.error("sample", profiled.uuid(0))
    profiled.inventory()
    first = profiled.sample()
    assert (first["values"], first["profiling"]) == ({"temperature": "34"}, "")
    shown(profiled, sm="8", dram="7", temperature="34")
