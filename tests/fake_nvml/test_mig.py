"""MIG: instances that come and go with the file."""

from __future__ import annotations

from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml

LAYOUT = "0:1g.10gb:7 1:2g.20gb:3 4:1c.3g.40gb:2:1"


def start(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {"mig_mode": 1, "mig": LAYOUT, "mig.7.memory_used": "512MiB"}])
    client.start(2)
    client.value("bool(mig := nvmlDeviceGetMigDeviceHandleByIndex(gpu1, 0))")
    client.value("bool(part := nvmlDeviceGetMigDeviceHandleByIndex(gpu1, 4))")


def test_the_instances_of_the_file_are_found(client: Client, fake: FakeNvml) -> None:
    start(client, fake)
    assert client.value("[nvmlDeviceGetMigMode(gpu) for gpu in (gpu0, gpu1)]") == [[0, 0], [1, 1]]
    assert client.value("[nvmlDeviceGetMaxMigDeviceCount(gpu) for gpu in (gpu0, gpu1)]") == [0, 7]
    for index, error in ((2, "NotFound"), (3, "NotFound"), (7, "InvalidArgument")):
        assert client.error(f"nvmlDeviceGetMigDeviceHandleByIndex(gpu1, {index})") == f"NVMLError_{error}"
    assert client.error("nvmlDeviceGetMigDeviceHandleByIndex(gpu0, 0)") == "NVMLError_NotFound"
    for function, ids in {"GpuInstanceId": [7, 2], "ComputeInstanceId": [0, 1], "Index": [0, 4]}.items():
        assert client.value(f"[nvmlDeviceGet{function}(m) for m in (mig, part)]") == ids
    assert client.value("[nvmlDeviceIsMigDeviceHandle(h).value for h in (gpu1, mig)]") == [0, 1]
    assert client.value("nvmlDeviceGetIndex(nvmlDeviceGetDeviceHandleFromMigDeviceHandle(mig))") == 1
    assert client.error("nvmlDeviceGetGpuInstanceId(gpu1)") == "NVMLError_InvalidArgument"


def test_what_an_instance_says_of_itself(client: Client, fake: FakeNvml) -> None:
    start(client, fake)
    assert client.value("nvmlDeviceGetName(mig)") == "NVIDIA H100 80GB HBM3 MIG 1g.10gb"
    assert client.value("nvmlDeviceGetName(part)") == "NVIDIA H100 80GB HBM3 MIG 1c.3g.40gb"
    uuid = client.value("nvmlDeviceGetUUID(mig)")
    assert uuid.startswith("MIG-")
    assert len(uuid) == 40
    assert uuid != client.value("nvmlDeviceGetUUID(part)")
    assert client.value(f"nvmlDeviceGetUUID(nvmlDeviceGetHandleByUUID({uuid!r}))") == uuid
    v2 = "(lambda m: (m.total >> 20, m.used >> 20, m.free >> 20))(nvmlDeviceGetMemoryInfo(mig, nvmlMemory_v2))"
    assert client.value(v2) == [9984, 512, 9472]
    assert client.value("nvmlDeviceGetMemoryInfo(mig).used") == 512 << 20
    attributes = (
        "(lambda a: (a.multiprocessorCount, a.gpuInstanceSliceCount, a.computeInstanceSliceCount, a.memorySizeMB))"
        "(nvmlDeviceGetAttributes(part))"
    )
    assert client.value(attributes) == [20, 3, 1, 40448]
    assert client.error("nvmlDeviceGetAttributes(gpu1)") == "NVMLError_InvalidArgument"
    info = (
        "(lambda i: (i.id, i.sliceCount, i.multiprocessorCount, i.memorySizeMB))"
        "(nvmlDeviceGetGpuInstanceProfileInfo(gpu1, {}))"
    )
    assert client.value(info.format("NVML_GPU_INSTANCE_PROFILE_2_SLICE")) == [14, 2, 32, 20096]
    assert client.value("nvmlDeviceGetGpuInstanceProfileInfo(gpu1, 0).name") == "MIG 1g.10gb"
    assert client.error(info.format(5)) == "NVMLError_NotSupported"
    instance = "(lambda i: (i.id, i.profileId))(nvmlGpuInstanceGetInfo(nvmlDeviceGetGpuInstanceById(gpu1, {})))"
    assert client.value(instance.format(3)) == [3, 14]
    assert client.error(instance.format(4)) == "NVMLError_NotFound"


def test_what_only_a_whole_gpu_has(client: Client, fake: FakeNvml) -> None:
    start(client, fake)
    for expression, error in {
        "nvmlDeviceGetTemperature(mig, 0)": "InvalidArgument",
        "nvmlDeviceGetPcieThroughput(mig, 0)": "InvalidArgument",
        "nvmlDeviceGetPowerUsage(mig)": "NotSupported",
        "nvmlDeviceGetClockInfo(mig, 0)": "NotSupported",
        "nvmlDeviceGetUtilizationRates(mig)": "NotSupported",
        "nvmlDeviceGetUtilizationRates(gpu1)": "NotSupported",
        "nvmlDeviceGetEncoderUtilization(gpu1)": "NotSupported",
        "nvmlDeviceGetFieldValues(mig, [82])": "NotSupported",
    }.items():
        assert client.error(expression) == f"NVMLError_{error}", expression
    assert client.value("nvmlDeviceGetTemperature(gpu1, 0)") == 34
    assert client.value("nvmlDeviceGetUtilizationRates(gpu0).gpu") == 0


def test_the_handle_of_a_destroyed_instance_is_invalid(client: Client, fake: FakeNvml) -> None:
    start(client, fake)
    uuid = client.value("nvmlDeviceGetUUID(mig)")
    fake.update(1, mig="0:7g.80gb:0")
    for expression in ("nvmlDeviceGetName(mig)", "nvmlDeviceGetMemoryInfo(mig)", "nvmlDeviceGetTemperature(mig, 0)"):
        assert client.error(expression) == "NVMLError_InvalidArgument"
    assert client.value("nvmlDeviceGetName(nvmlDeviceGetMigDeviceHandleByIndex(gpu1, 0))").endswith("MIG 7g.80gb")
    fake.update(1, mig=LAYOUT)
    assert client.value("nvmlDeviceGetUUID(nvmlDeviceGetMigDeviceHandleByIndex(gpu1, 0))") == uuid
    fake.update(1, error="GPU_IS_LOST")
    assert client.error("nvmlDeviceGetName(mig)") == "NVMLError_GpuIsLost"


def test_a_container_may_read_its_instance_only(client: Client, fake: FakeNvml) -> None:
    start(client, fake)
    fake.update(1, **{"error.nvmlDeviceGetMemoryInfo": "NO_PERMISSION", "mig.7.error": "SUCCESS"})
    assert client.error("nvmlDeviceGetMemoryInfo(gpu1)") == "NVMLError_NoPermission"
    assert client.error("nvmlDeviceGetMemoryInfo(part)") == "NVMLError_NoPermission"
    assert client.value("nvmlDeviceGetMemoryInfo(mig).total") == 9984 << 20


def test_seven_instances_and_their_processes(client: Client, fake: FakeNvml) -> None:
    layout = " ".join(f"{slot}:1g.10gb:{slot + 7}" for slot in range(7))
    fake.write(gpus=[{"mig_mode": 1, "mig": layout, "mig.9.processes": "100:1024", "mig.10.processes": "200:2048"}])
    client.start(1)
    count = "len({nvmlDeviceGetUUID(nvmlDeviceGetMigDeviceHandleByIndex(gpu0, i)) for i in range(7)})"
    assert client.value(count) == 7
    running = "[(p.pid, p.gpuInstanceId, p.computeInstanceId) for p in nvmlDeviceGetComputeRunningProcesses({})]"
    assert client.value(running.format("gpu0")) == [[100, 9, 0], [200, 10, 0]]
    assert client.value(running.format("nvmlDeviceGetMigDeviceHandleByIndex(gpu0, 2)")) == [[100, 9, 0]]
    assert client.value(running.format("nvmlDeviceGetMigDeviceHandleByIndex(gpu0, 0)")) == []
    assert client.error("nvmlDeviceGetProcessUtilization(gpu0, 0)") == "NVMLError_NotSupported"
