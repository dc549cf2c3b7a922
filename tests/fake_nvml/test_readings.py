"""What the simulated GPUs show."""

from __future__ import annotations

import os

import pytest

from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml, Value


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
        [2, 1, 0],
    ]
    assert [code for code, *_ in client.value(fields.format("gpu1", ids))] == [3, 0, 3, 3, 2]
    assert client.value("nvmlDeviceGetFieldValues(gpu0, [196, 193])[1].value.siVal") == -8


def test_nvlink_fields_have_a_link_as_scope(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"nvlink_data_tx_kib": 10, "nvlink_data_tx_kib.3": 50, "nvlink_state.4": 0}])
    client.start(1)
    scopes = "[(v.nvmlReturn, v.value.ullVal) for v in nvmlDeviceGetFieldValues(gpu0, [(138, s) for s in {}])]"
    assert client.value(scopes.format([0, 3, 17, 18, 0xFFFFFFFF])) == [[0, 10], [0, 50], [0, 10], [2, 0], [0, 210]]


def test_the_file_overrides_a_field(client: Client, fake: FakeNvml) -> None:
    changes: dict[str, Value] = {
        "field.82": 61,
        "field.82.type": "DOUBLE",
        "field.306": -5,
        "field.305": 2.5,
        "field.304": 9,
        "field.304.type": "UNSIGNED_INT",
        "field_error.83": "NO_PERMISSION",
        "field_latency_us.186": 5000,
        "field.197": 2**32 + 7,
        "field.31": "N/A",
    }
    fake.write(gpus=[changes])
    client.start(1)
    fields = "[(v.nvmlReturn, v.valueType, v.value.{}) for v in nvmlDeviceGetFieldValues(gpu0, {})]"
    assert client.value(fields.format("uiVal", [82, 304, 197])) == [[0, 0, 61], [0, 1, 9], [0, 1, 7]]
    assert client.value(fields.format("sllVal", [306])) == [[0, 4, -5]]
    assert client.value(fields.format("dVal", [305])) == [[0, 0, 2.5]]
    assert [code for code, *_ in client.value(fields.format("ullVal", [83, 31, 303, 308]))] == [4, 3, 3, 2]
    assert client.value("nvmlDeviceGetFieldValues(gpu0, [82, 186])[1].latencyUsec") >= 5000


def test_every_field_of_the_catalogue_of_metrics_is_there(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"retired_sbe": 0, "retired_dbe": 0, "retired_pending": 0}])
    client.start(1)
    ids = [3, 4, 5, 6, *range(29, 32), 38, 45, 52, 59, *range(74, 80), 82, 83, 94, *range(142, 146)]
    ids += [185, 186, 197, 198, 230, 269, 270, 271]
    assert client.value(f"{{v.nvmlReturn for v in nvmlDeviceGetFieldValues(gpu0, {ids})}} == {{0}}")


def test_another_index_order_of_the_same_gpus(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"temperature": 40 + index} for index in range(3)])
    client.start(3)
    identity = (
        "[(nvmlDeviceGetUUID(h), nvmlDeviceGetPciInfo(h).busId, nvmlDeviceGetSerial(h), nvmlDeviceGetMinorNumber(h))"
    )
    of_handles = identity + " for h in (gpu0, gpu1, gpu2)]"
    before = client.value(of_handles)
    fake.reorder([2, 0, 1])
    assert client.value(of_handles) == before
    by_index = identity + " for h in map(nvmlDeviceGetHandleByIndex, range(3))]"
    assert client.value(by_index) == [before[2], before[0], before[1]]
    assert client.value("[nvmlDeviceGetIndex(h) for h in (gpu0, gpu1, gpu2)]") == [1, 2, 0]
    assert client.value("[nvmlDeviceGetTemperature(h, 0) for h in (gpu0, gpu1, gpu2)]") == [40, 41, 42]


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


def test_process_lists_are_read_in_two_calls(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"processes": "100:1024 200:2048:M"}], **{"process_name.100": "/usr/bin/train"})
    client.start(1)
    call = "_nvmlGetFunctionPointer('nvmlDeviceGet{}RunningProcesses{}')(gpu0, byref(c), None)"
    client.value("bool(c := c_uint(0)) or 1")
    for version in ("", "_v2", "_v3"):
        assert client.value(call.format("Compute", version)) == 7
        assert client.value("c.value") == 1
        assert client.value("setattr(c, 'value', 0)") is None
    assert client.value("[p.pid for p in nvmlDeviceGetMPSComputeRunningProcesses(gpu0)]") == [200]
    assert client.value("nvmlDeviceGetComputeRunningProcesses(gpu0)[0].gpuInstanceId") == 0xFFFFFFFF
    assert client.value("nvmlSystemGetProcessName(100)") == "/usr/bin/train"
    assert client.value(f"nvmlSystemGetProcessName({os.getpid()})")
    assert client.error("nvmlSystemGetProcessName(4194305)") == "NVMLError_NotFound"


def test_what_the_board_says(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {}, {"model": "rtx4090"}])
    client.start(3)
    assert client.value("nvmlDeviceGetInforomImageVersion(gpu0)") == "G520.0200.00.05"
    assert client.value("nvmlDeviceGetInforomVersion(gpu0, NVML_INFOROM_ECC)") == "7.16"
    assert client.error("nvmlDeviceGetInforomVersion(gpu0, NVML_INFOROM_POWER)") == "NVMLError_NotSupported"
    assert client.value("nvmlDeviceGetGridLicensableFeatures_v4(gpu0).isGridLicenseSupported") == 0
    peers = "[nvmlDeviceGetP2PStatus(gpu0, gpu1, 2), nvmlDeviceGetP2PStatus(gpu2, gpu0, NVML_P2P_CAPS_INDEX_NVLINK)]"
    assert client.value(peers) == [0, 5]


def test_nvlink_and_clocks(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"nvlink_state.2": 0}, {"model": "rtx4090"}])
    client.start(2)
    assert client.value("[nvmlDeviceGetNvLinkState(gpu0, link) for link in range(18)]").count(1) == 17
    assert client.error("nvmlDeviceGetNvLinkState(gpu0, 18)") == "NVMLError_InvalidArgument"
    assert client.value("nvmlDeviceGetNvLinkRemotePciInfo(gpu0, 0).busId") == "00000000:05:00.0"
    client.value("nvmlDeviceSetApplicationsClocks(gpu0, 1593, 1200)")
    assert client.value("nvmlDeviceGetApplicationsClock(gpu0, NVML_CLOCK_MEM)") == 1593
    client.value("nvmlDeviceResetApplicationsClocks(gpu0)")
    assert client.value("nvmlDeviceGetApplicationsClock(gpu0, NVML_CLOCK_MEM)") == 2619
    assert client.error("nvmlDeviceSetApplicationsClocks(gpu1, 10501, 1200)") == "NVMLError_NotSupported"
    cpus = client.value("list(nvmlDeviceGetCpuAffinity(gpu0, 64))")
    assert sum(word.bit_count() for word in cpus) == os.sysconf("SC_NPROCESSORS_CONF")
