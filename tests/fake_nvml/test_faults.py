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
    fake.remove()
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


def test_a_latency_in_microseconds_is_exact_enough(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"latency_us.nvmlDeviceGetMemoryInfo": 30000, "latency_ms.nvmlDeviceGetMemoryInfo": 0}])
    client.start(1)
    assert client.ask("bool(nvmlDeviceGetMemoryInfo(gpu0))")["seconds"] >= 0.03
    fake.update(0, **{"latency_us.nvmlDeviceGetMemoryInfo": None, "latency_us": 15000})
    assert client.ask("bool(nvmlDeviceGetMemoryInfo(gpu0))")["seconds"] < 0.01
    assert client.ask("nvmlDeviceGetPowerUsage(gpu0)")["seconds"] >= 0.015


def test_calls_take_what_they_take_on_a_real_machine(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {"latency_us.nvmlDeviceGetPowerUsage": 0}], realistic=1)
    client.start(2)
    assert client.ask("nvmlDeviceGetPowerUsage(gpu0)")["seconds"] >= 0.0033
    assert client.ask("nvmlDeviceGetPowerUsage(gpu1)")["seconds"] < 0.0033
    taken = "[v.latencyUsec for v in nvmlDeviceGetFieldValues(gpu0, [185, 186, 197])]"
    average, instant, pcie = client.value(taken)
    assert (average >= 3300, 3 <= instant < 300, 300 <= pcie < 3300) == (True, True, True)


def test_a_driver_that_was_loaded_anew_needs_a_new_start(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    client.start(1)
    client.value("bool(events := nvmlEventSetCreate())")
    fake.update_machine(driver_gone=1)
    for expression in ("nvmlDeviceGetCount()", "nvmlDeviceGetName(gpu0)", "nvmlSystemGetDriverVersion()", "nvmlInit()"):
        assert client.error(expression) == "NVMLError_DriverNotLoaded"
    fake.reload_driver()
    for expression in (
        "nvmlDeviceGetCount()",
        "nvmlDeviceGetName(gpu0)",
        "nvmlGpmSampleAlloc()",
        "nvmlEventSetWait_v2(events, 1000)",
    ):
        assert client.error(expression) == "NVMLError_Uninitialized"
    client.value("nvmlShutdown()")
    client.value("nvmlInit()")
    assert client.error("nvmlDeviceGetName(gpu0)") == "NVMLError_InvalidArgument"
    assert client.error("nvmlEventSetWait_v2(events, 1000)") == "NVMLError_InvalidArgument"
    assert client.value("nvmlDeviceGetName(nvmlDeviceGetHandleByIndex(0))") == "NVIDIA H100 80GB HBM3"


def test_a_reload_ends_a_call_that_hangs(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"hang.nvmlDeviceGetPowerUsage": 1}])
    client.start(1)
    client.value("spawn('hung', 'nvmlDeviceGetPowerUsage(gpu0)')")
    fake.reload_driver()
    ended = client.finished("hung", within_s=5)
    assert ended and ended["error"] == "NVMLError_Uninitialized"


def test_functions_that_are_not_there_are_not_found(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    client.start(1)
    assert client.error("nvmlDeviceGetHostname_v1(gpu0)") == "NVMLError_FunctionNotFound"


def test_an_old_driver_lacks_what_came_later(old_client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"model": "t4", "processes": "100:1024", "field.186": 5}])
    old_client.start(1)
    assert old_client.value("nvmlSystemGetDriverVersion()") == "440.33.01"
    for expression in (
        "nvmlGpmSampleAlloc()",
        "nvmlDeviceGetMemoryInfo(gpu0, nvmlMemory_v2)",
        "nvmlDeviceGetCurrentClocksEventReasons(gpu0)",
        "nvmlDeviceGetMigMode(gpu0)",
        "nvmlEventSetWait_v2(nvmlEventSetCreate(), 0)",
        "nvmlDeviceGetComputeRunningProcesses_v3(gpu0)",
    ):
        assert old_client.error(expression) == "NVMLError_FunctionNotFound", expression
    assert old_client.value("nvmlDeviceGetMemoryInfo(gpu0).total") == 15360 << 20
    assert old_client.value("nvmlDeviceGetCurrentClocksThrottleReasons(gpu0)") == 0
    codes = "[v.nvmlReturn for v in nvmlDeviceGetFieldValues(gpu0, [83, 94, 138, 142, 185])]"
    assert old_client.value(codes) == [0, 0, 2, 2, 2]
