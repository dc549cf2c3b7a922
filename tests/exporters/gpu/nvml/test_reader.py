"""Readings of simulated GPUs through the real nvidia-ml-py: right ones or none, never a wrong one."""

from __future__ import annotations

import pytest

from local.cluster import FAKE_NVML
from tests.exporters.gpu.machine import Machine, samples, value
from tests.fake_nvml.control import Value

UP = "gpu_watchdog_gpu_up"


@pytest.mark.parametrize(
    ("keys", "metric", "wanted"),
    [
        ({"temperature": 41}, "GPU_TEMP", 41),
        ({"temperature": 250}, "GPU_TEMP", None),
        ({"utilization_gpu": 100}, "GPU_UTIL", 100),
        ({"utilization_gpu": 255}, "GPU_UTIL", None),
        ({"power_mw": 123456}, "POWER_USAGE", 123.456),
        ({"power_mw": "N/A"}, "POWER_USAGE", None),
        ({"error.nvmlDeviceGetPowerUsage": "NO_PERMISSION"}, "POWER_USAGE", None),
        ({"not_supported": "nvmlDeviceGetPowerUsage"}, "POWER_USAGE", None),
        ({"graphics_clock": 0xFFFFFFFF}, "SM_CLOCK", None),
        ({"memory_used": 3 * 2**20 + 5}, "FB_USED", 3),
        ({"memory_used": 1000, "memory_free": 3000}, "FB_USED_PERCENT", 0.25),
        ({"memory_temperature": 51, "field.82.type": "SIGNED_LONG_LONG"}, "MEMORY_TEMP", 51),
        ({"memory_temperature": 51, "field.82.type": "DOUBLE"}, "MEMORY_TEMP", 51),
        ({"energy_mj": 2**40 + 7}, "TOTAL_ENERGY_CONSUMPTION", 2**40 + 7),
        ({"energy_mj": 7, "field.83.type": "UNSIGNED_INT"}, "TOTAL_ENERGY_CONSUMPTION", 7),
        ({"energy_mj": 2**40 + 7, "field.83.type": "UNSIGNED_INT"}, "TOTAL_ENERGY_CONSUMPTION", None),
        ({"energy_mj": 2**20, "field.83.type": "UNSIGNED_SHORT"}, "TOTAL_ENERGY_CONSUMPTION", None),
        ({"energy_mj": 7, "field.83.type": "DOUBLE"}, "TOTAL_ENERGY_CONSUMPTION", None),
        ({"energy_mj": 7, "field.83.type": 99}, "TOTAL_ENERGY_CONSUMPTION", None),
        ({"remapped_uncorrectable": 2, "field.143.type": "UNSIGNED_LONG_LONG"}, "UNCORRECTABLE_REMAPPED_ROWS", 2),
        ({"field_error.143": "NO_PERMISSION"}, "UNCORRECTABLE_REMAPPED_ROWS", None),
        ({"error.nvmlDeviceGetFieldValues": "NO_PERMISSION"}, "TOTAL_ENERGY_CONSUMPTION", None),
    ],
)
def test_reading(machine: Machine, keys: dict[str, Value], metric: str, wanted: float | None) -> None:
    machine.gpus.write(gpus=[{"model": "h100", **keys}])
    text = machine.once()
    assert value(text, f"DCGM_FI_DEV_{metric}") == wanted
    assert value(text, UP) == 1


def test_profiling_on_hopper(machine: Machine) -> None:
    keys: dict[str, Value] = {
        "gpm_sm_util": 12.5,
        "gpm_pcie_tx_per_sec": 3,
        "gpm_fp64_util": "N/A",
        "gpm_error.5": "UNKNOWN",
    }
    machine.gpus.write(gpus=[{"model": "h100", **keys}])
    text = machine.once()
    assert [text for _, text in samples(text, "DCGM_FI_PROF_SM_ACTIVE")] == ["0.125000"]
    assert [text for _, text in samples(text, "DCGM_FI_PROF_PCIE_TX_BYTES")] == [str(3 << 20)]
    assert "DCGM_FI_PROF_PIPE_FP64_ACTIVE" not in text
    assert "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE" not in text
    ((labels, _),) = samples(text, "gpu_watchdog_gpu_profiling_unavailable_info")
    assert labels["reason"] == "FP64_UTIL: Not Supported"


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        ({"model": "a100"}, "this GPU has no GPM (Hopper and later have)"),
        ({"model": "h100", "error.nvmlGpmSampleGet": "NO_PERMISSION"}, "Insufficient Permissions"),
        ({"model": "h100", "error.nvmlGpmQueryDeviceSupport": "NO_PERMISSION"}, "Insufficient Permissions"),
    ],
)
def test_profiling_that_is_absent_says_why(machine: Machine, gpu: dict[str, Value], reason: str) -> None:
    machine.gpus.write(gpus=[gpu])
    text = machine.once()
    assert "DCGM_FI_PROF_SM_ACTIVE" not in text
    ((labels, _),) = samples(text, "gpu_watchdog_gpu_profiling_unavailable_info")
    assert labels["reason"] == reason
    assert value(text, UP) == 1


@pytest.mark.parametrize(("driver", "newest"), [("550.90.07", False), ("580.65.06", True)])
def test_throttling(machine: Machine, driver: str, newest: bool) -> None:
    keys: dict[str, Value] = {"violation_power_ns": 1_500_000_000, "violation_sw_thermal_ns": 2_000_000_000}
    machine.gpus.write(gpus=[{"model": "h100", **keys}], driver_version=driver)
    found = {
        labels["reason"]: text for labels, text in samples(machine.once(), "gpu_watchdog_gpu_throttle_seconds_total")
    }
    assert found["power"] == "1.5"
    assert len(found) == (9 if newest else 6)
    assert found.get("sw_thermal") == ("2.0" if newest else None)


def test_an_old_driver_gives_what_it_has(bare: Machine) -> None:
    bare.install_driver(FAKE_NVML.parent / "old" / FAKE_NVML.name)
    bare.gpus.write(gpus=[{"model": "t4", "clocks_event_reasons": 4, "processes": "1:2048:C", "memory_free": 9 << 20}])
    text = bare.once("--process-metrics")
    assert value(text, UP) == 1
    assert value(text, "DCGM_FI_DEV_GPU_TEMP")
    assert value(text, "DCGM_FI_DEV_FB_TOTAL")
    assert value(text, "DCGM_FI_DEV_FB_FREE") == 9
    assert value(text, "DCGM_FI_DEV_CLOCKS_EVENT_REASONS") == 4
    for name in ("DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", "DCGM_FI_PROF_SM_ACTIVE"):
        assert not samples(text, name)


def test_link_values(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "nvlink_crc_flit_errors.3": 9}])
    text = machine.once()
    assert value(text, "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_L3") == 9
    assert value(text, "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL") == 0
