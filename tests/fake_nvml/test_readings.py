"""What the simulated GPUs show."""

from __future__ import annotations

import os

import pytest

from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml


def test_lists_the_gpus_of_the_file(client: Client, fake: FakeNvml) -> None:
    fake.write(
        gpus=[{"model": "h100"}, {"model": "rtx4090", "uuid": "GPU-mine", "pci_bus_id": "0001:C1:00.0"}],
        driver_version="535.1.2",
    )
    client.start(2)
    assert client.value("nvmlSystemGetDriverVersion()") == "535.1.2"
    assert client.value("nvmlDeviceGetCount()") == 2
    assert client.value("nvmlDeviceGetName(gpu0)") == "NVIDIA H100 80GB HBM3"
    assert client.value("nvmlDeviceGetUUID(gpu1)") == "GPU-mine"
    assert client.value("nvmlDeviceGetPciInfo(gpu1).busId") == "00000001:C1:00.0"
    assert client.value("nvmlDeviceGetMinorNumber(gpu1)") == 1
    by_uuid = "nvmlDeviceGetHandleByUUID('GPU-mine')"
    by_bus = "nvmlDeviceGetHandleByPciBusId('0001:c1:00.0')"
    for handle in (by_uuid, by_bus):
        assert client.value(f"nvmlDeviceGetIndex({handle})") == 1
    assert client.error("nvmlDeviceGetHandleByUUID('GPU-other')") == "NVMLError_NotFound"
    assert client.error("nvmlDeviceGetHandleByIndex(2)") == "NVMLError_InvalidArgument"


@pytest.mark.parametrize("model", ["h100", "h200", "a100", "l40s", "rtx4090", "rtx3090", "t4"])
def test_every_model_has_the_basic_readings(client: Client, fake: FakeNvml, model: str) -> None:
    fake.write(gpus=[{"model": model, "memory_used": 2**30}])
    client.start(1)
    assert client.value("nvmlDeviceGetTemperature(gpu0, 0)") == 34
    assert 0 < client.value("nvmlDeviceGetPowerUsage(gpu0)") < client.value("nvmlDeviceGetEnforcedPowerLimit(gpu0)")
    for kind in range(4):
        now, most = (client.value(f"nvmlDeviceGet{which}ClockInfo(gpu0, {kind})") for which in ("", "Max"))
        assert 0 < now <= most
    total, reserved, free, used = client.value(
        "(lambda m: (m.total, m.reserved, m.free, m.used))(nvmlDeviceGetMemoryInfo(gpu0, nvmlMemory_v2))"
    )
    assert (used, total) == (2**30, used + reserved + free)
    assert client.value("nvmlDeviceGetMemoryInfo(gpu0).used") == used + reserved
    memory_clock = client.value("nvmlDeviceGetSupportedMemoryClocks(gpu0)")[0]
    assert client.value(f"nvmlDeviceGetSupportedGraphicsClocks(gpu0, {memory_clock})")[0] == client.value(
        "nvmlDeviceGetMaxClockInfo(gpu0, NVML_CLOCK_GRAPHICS)"
    )
    assert client.value("nvmlDeviceGetComputeRunningProcesses(gpu0)") == []


def test_readings_change_with_the_file(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {}])
    client.start(2)
    for temperature in range(20, 40):
        fake.update(1, temperature=temperature)
        assert client.value("nvmlDeviceGetTemperature(gpu1, 0)") == temperature
    fake.update(1, temperature=None)
    assert client.value("nvmlDeviceGetTemperature(gpu1, 0)") == client.value("nvmlDeviceGetTemperature(gpu0, 0)")


def test_what_a_model_does_not_have_is_not_supported(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"model": "rtx4090"}, {"model": "h100", "power_mw": "N/A"}])
    client.start(2)
    for expression in (
        "nvmlDeviceGetEccMode(gpu0)",
        "nvmlDeviceGetTotalEccErrors(gpu0, 0, 0)",
        "nvmlDeviceGetRemappedRows(gpu0)",
        "nvmlDeviceGetNvLinkState(gpu0, 0)",
        "nvmlDeviceGetMigMode(gpu0)",
        "nvmlDeviceGetFanSpeed(gpu1)",
        "nvmlDeviceGetPowerUsage(gpu1)",
    ):
        assert client.error(expression) == "NVMLError_NotSupported", expression
    assert client.value("nvmlDeviceGetFanSpeed_v2(gpu0, 1)") == 30
    assert client.value("nvmlDeviceGetTotalEccErrors(gpu1, 0, 0)") == 0


def test_field_values_carry_their_own_code_and_type(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"nvlink_replay_errors": 1, "nvlink_replay_errors.3": 5}, {"model": "rtx4090"}])
    client.start(2)
    fields = "[(v.nvmlReturn, v.valueType, v.value.ullVal) for v in nvmlDeviceGetFieldValues({}, {})]"
    ids = [82, 83, 52, (161, 3), 9999]
    assert client.value(fields.format("gpu0", ids)) == [
        [0, 1, 42],
        [0, 3, 123456789],
        [0, 3, 22],
        [0, 3, 5],
        [3, 1, 0],
    ]
    assert [code for code, *_ in client.value(fields.format("gpu1", ids))] == [3, 0, 3, 3, 3]
    assert client.value("nvmlDeviceGetFieldValues(gpu0, [196, 193])[1].value.siVal") == -8


def test_ecc_counters(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"ecc_volatile_dbe": 7, "ecc_volatile_dbe_sram": 2}, {"ecc_mode": 0}, {"model": "t4"}])
    fake.update(2, retired_dbe=3)
    client.start(3)
    counter = "nvmlDeviceGetMemoryErrorCounter(gpu0, NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC, {})"
    assert client.value("nvmlDeviceGetTotalEccErrors(gpu0, 1, NVML_VOLATILE_ECC)") == 7
    assert client.value("nvmlDeviceGetTotalEccErrors(gpu0, 1, NVML_AGGREGATE_ECC)") == 0
    assert client.value(counter.format("NVML_MEMORY_LOCATION_DRAM")) == 5
    assert client.value(counter.format("NVML_MEMORY_LOCATION_SRAM")) == 2
    assert client.value("nvmlDeviceGetEccMode(gpu1)") == [0, 0]
    assert client.error("nvmlDeviceGetTotalEccErrors(gpu1, 1, 0)") == "NVMLError_NotSupported"
    assert len(client.value("[int(page) for page in nvmlDeviceGetRetiredPages(gpu2, 1)]")) == 3
    assert client.error("nvmlDeviceGetRetiredPages(gpu0, 1)") == "NVMLError_NotSupported"


def test_processes(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"processes": "100:1024 200:2048:CG:30:20 300:4096:G"}, {}])
    client.start(2)
    running = "[(p.pid, p.usedGpuMemory) for p in nvmlDeviceGet{}RunningProcesses(gpu0)]"
    assert client.value(running.format("Compute")) == [[100, 1024], [200, 2048]]
    assert client.value(running.format("Graphics")) == [[200, 2048], [300, 4096]]
    used = "[(p.pid, p.smUtil, p.memUtil) for p in nvmlDeviceGetProcessUtilization(gpu0, 0)]"
    assert client.value(used) == [[100, 0, 0], [200, 30, 20], [300, 0, 0]]
    assert client.error("nvmlDeviceGetProcessUtilization(gpu1, 0)") == "NVMLError_NotFound"


def test_nvlink_mig_clocks_and_gpm(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"nvlink_state.2": 0}, {"model": "rtx4090"}])
    client.start(2)
    assert client.value("[nvmlDeviceGetNvLinkState(gpu0, link) for link in range(18)]").count(1) == 17
    assert client.error("nvmlDeviceGetNvLinkState(gpu0, 18)") == "NVMLError_InvalidArgument"
    assert client.value("nvmlDeviceGetNvLinkRemotePciInfo(gpu0, 0).busId") == "00000000:05:00.0"
    assert client.value("nvmlDeviceGetMigMode(gpu0)") == [0, 0]
    assert client.value("[nvmlDeviceGetMaxMigDeviceCount(gpu) for gpu in (gpu0, gpu1)]") == [0, 0]
    assert client.error("nvmlDeviceGetMigDeviceHandleByIndex(gpu0, 0)") == "NVMLError_NotFound"
    assert client.value("nvmlDeviceIsMigDeviceHandle(gpu0).value") == 0
    assert client.value("nvmlGpmQueryDeviceSupport(gpu0).isSupportedDevice") == 0
    client.value("nvmlDeviceSetApplicationsClocks(gpu0, 1593, 1200)")
    assert client.value("nvmlDeviceGetApplicationsClock(gpu0, NVML_CLOCK_MEM)") == 1593
    client.value("nvmlDeviceResetApplicationsClocks(gpu0)")
    assert client.value("nvmlDeviceGetApplicationsClock(gpu0, NVML_CLOCK_MEM)") == 2619
    assert client.error("nvmlDeviceSetApplicationsClocks(gpu1, 10501, 1200)") == "NVMLError_NotSupported"
    cpus = client.value("list(nvmlDeviceGetCpuAffinity(gpu0, 64))")
    assert sum(word.bit_count() for word in cpus) == os.sysconf("SC_NPROCESSORS_CONF")
