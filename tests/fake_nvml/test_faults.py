"""How they fail, hang, get lost and come back."""

from __future__ import annotations

from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml


def test_calls_before_init_and_after_shutdown_are_refused(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    client.start(1)
    client.value("nvmlInit()")
    client.value("nvmlShutdown()")
    assert client.value("nvmlDeviceGetCount()") == 1
    client.value("nvmlShutdown()")
    assert client.error("nvmlDeviceGetCount()") == "NVMLError_Uninitialized"
    assert client.error("nvmlDeviceGetTemperature(gpu0, 0)") == "NVMLError_Uninitialized"
    assert client.error("nvmlShutdown()") == "NVMLError_Uninitialized"


def test_a_struct_of_another_version_is_refused(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    client.start(1)
    mismatch = client.ask("nvmlDeviceGetMemoryInfo(gpu0, nvmlMemory_v2 + (1 << 24))")
    assert (mismatch["error"], mismatch["text"]) == ("NVMLError_ArgumentVersionMismatch", "Argument version mismatch")
    assert client.value("nvmlDeviceGetTemperatureV(gpu0, 0)") == 34


def test_one_function_fails_and_the_others_stand(client: Client, fake: FakeNvml) -> None:
    fake.write(
        gpus=[{"error.nvmlDeviceGetMemoryInfo": "UNKNOWN", "not_supported": "nvmlDeviceGetName, nvmlDeviceGetPciInfo"}]
    )
    client.start(1)
    for version in ("", ", nvmlMemory_v2"):
        assert client.error(f"nvmlDeviceGetMemoryInfo(gpu0{version})") == "NVMLError_Unknown"
    assert client.error("nvmlDeviceGetName(gpu0)") == "NVMLError_NotSupported"
    assert client.error("nvmlDeviceGetPciInfo(gpu0)") == "NVMLError_NotSupported"
    assert client.value("nvmlDeviceGetTemperature(gpu0, 0)") == 34
    fake.write(gpus=[{"error.nvmlDeviceGetMemoryInfo_v2": 4}])
    assert client.error("nvmlDeviceGetMemoryInfo(gpu0, nvmlMemory_v2)") == "NVMLError_NoPermission"
    assert client.value("nvmlDeviceGetMemoryInfo(gpu0).total") > 0


def test_a_lost_gpu_comes_back_through_its_old_handle(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {}])
    client.start(2)
    fake.update(0, error="GPU_IS_LOST")
    assert client.error("nvmlDeviceGetTemperature(gpu0, 0)") == "NVMLError_GpuIsLost"
    assert client.error("nvmlDeviceGetHandleByIndex(0)") == "NVMLError_GpuIsLost"
    assert client.value("nvmlDeviceGetTemperature(gpu1, 0)") == 34
    assert client.value("nvmlDeviceGetCount()") == 2
    fake.update(0, error=None, missing=True)
    assert client.value("nvmlDeviceGetCount()") == 1
    assert client.error("nvmlDeviceGetTemperature(gpu0, 0)") == "NVMLError_GpuIsLost"
    assert client.value("nvmlDeviceGetIndex(gpu1)") == 0
    assert client.value("nvmlDeviceGetMinorNumber(gpu1)") == 1
    fake.update(0, missing=None, temperature=50)
    assert client.value("nvmlDeviceGetTemperature(gpu0, 0)") == 50
    assert client.value("nvmlDeviceGetIndex(gpu1)") == 1


def test_a_gpu_that_hangs_holds_up_no_other(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"hang": 1}, {}])
    client.value("nvmlInit()")
    client.value("bool(gpu1 := nvmlDeviceGetHandleByIndex(1))")
    client.value("spawn('whole', 'nvmlDeviceGetName(nvmlDeviceGetHandleByIndex(0))')")
    assert client.finished("whole", within_s=0.2) is None
    assert client.ask("nvmlDeviceGetTemperature(gpu1, 0)")["seconds"] < 0.1
    fake.update(1, temperature=66)
    assert client.value("nvmlDeviceGetTemperature(gpu1, 0)") == 66
    fake.update(0, hang=None)
    ended = client.finished("whole", within_s=5)
    assert ended and ended["value"] == "NVIDIA H100 80GB HBM3"

    fake.update(1, **{"hang.nvmlDeviceGetPowerUsage": 1})
    client.value("spawn('one', 'nvmlDeviceGetPowerUsage(gpu1)')")
    assert client.value("nvmlDeviceGetTemperature(gpu1, 0)") == 66
    assert client.finished("one", within_s=0.2) is None
    fake.update(1, missing=1)
    lost = client.finished("one", within_s=5)
    assert lost and lost["error"] == "NVMLError_GpuIsLost"


def test_calls_take_as_long_as_the_file_says(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"latency_ms.nvmlDeviceGetTemperature": 150}, {"latency_ms": 60.5}])
    client.start(2)
    assert client.ask("nvmlDeviceGetTemperature(gpu0, 0)")["seconds"] >= 0.15
    assert client.ask("nvmlDeviceGetPowerUsage(gpu0)")["seconds"] < 0.1
    assert client.ask("nvmlDeviceGetPowerUsage(gpu1)")["seconds"] >= 0.0605
    assert client.ask("nvmlDeviceGetPcieThroughput(gpu0, NVML_PCIE_UTIL_TX_BYTES)")["seconds"] >= 0.02


def test_without_the_file_there_is_no_gpu(client: Client, fake: FakeNvml) -> None:
    client.value("nvmlInit()")
    assert client.value("nvmlDeviceGetCount()") == 0
    assert client.error("nvmlDeviceGetHandleByIndex(0)") == "NVMLError_InvalidArgument"
    fake.write(gpus=[{}])
    assert client.value("nvmlDeviceGetCount()") == 1
    fake.path.unlink()
    assert client.value("nvmlDeviceGetCount()") == 0


def test_init_fails_and_works_later_in_the_same_process(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}], init_error="DRIVER_NOT_LOADED")
    assert client.error("nvmlInit()") == "NVMLError_DriverNotLoaded"
    assert client.error("nvmlDeviceGetCount()") == "NVMLError_Uninitialized"
    fake.update_machine(init_error=None, init_hang=1)
    client.value("spawn('init', 'nvmlInit()')")
    assert client.finished("init", within_s=0.2) is None
    fake.update_machine(init_hang=None)
    assert client.finished("init", within_s=5)
    assert client.value("nvmlDeviceGetCount()") == 1
    fake.update_machine(error="LIB_RM_VERSION_MISMATCH")
    gone = client.ask("nvmlDeviceGetCount()")
    assert gone["text"] == "RM has detected an NVML/RM version mismatch."


def test_an_xid_wakes_the_one_who_waits(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"xid": 31, "xid_seq": 4}, {}])
    client.start(2)
    client.value("bool(events := nvmlEventSetCreate())")
    for gpu in ("gpu0", "gpu1"):
        client.value(f"nvmlDeviceRegisterEvents({gpu}, nvmlEventTypeXidCriticalError, events)")
    nothing = client.ask("nvmlEventSetWait_v2(events, 120)")
    assert nothing["error"] == "NVMLError_Timeout"
    assert nothing["seconds"] >= 0.12
    client.value("spawn('xid', '(lambda e: (e.eventType, e.eventData))(nvmlEventSetWait_v2(events, 20000))')")
    for seq in (1, 2):
        fake.update(1, xid=79, xid_seq=seq)
        woken = client.finished("xid", within_s=5)
        assert woken and woken["value"] == [8, 79]
        client.value("finished.clear()")
        client.value("spawn('xid', '(lambda e: (e.eventType, e.eventData))(nvmlEventSetWait_v2(events, 20000))')")
    fake.update(0, missing=1)
    lost = client.finished("xid", within_s=5)
    assert lost and lost["error"] == "NVMLError_GpuIsLost"
    client.value("nvmlEventSetFree(events)")


def test_functions_that_are_not_there_are_not_found(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    client.start(1)
    assert client.error("nvmlDeviceGetHostname_v1(gpu0)") == "NVMLError_FunctionNotFound"
