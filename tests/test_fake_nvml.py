"""The fake NVML as its users load it: the real nvidia-ml-py through the dynamic loader, in a process of its own."""

from __future__ import annotations

import ctypes
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake_nvml.control import GLOBAL_KEYS, GPU_KEYS, FakeNvml

SOURCE = Path(__file__).parent / "fake_nvml"

# Evaluates the expressions that come line by line with nvidia-ml-py's names; spawn() does so in another thread.
DRIVER = """
import json, sys, threading, time
import pynvml

names = dict(vars(pynvml))

def evaluate(expression):
    started = time.monotonic()
    try:
        answer = {"value": eval(expression, names)}
    except pynvml.NVMLError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    return {**answer, "seconds": time.monotonic() - started}

finished = {}

def spawn(name, expression):
    threading.Thread(target=lambda: finished.update({name: evaluate(expression)}), daemon=True).start()

names.update(spawn=spawn, finished=finished)
for line in sys.stdin:
    print(json.dumps(evaluate(line.strip())), flush=True)
"""

# What Slurm's gpu_nvml plugin (24.11) links; slurmd ends at its start when one is absent.
SLURM_SYMBOLS = """
nvmlDeviceGetApplicationsClock nvmlDeviceGetAttributes_v2 nvmlDeviceGetComputeInstanceId
nvmlDeviceGetComputeRunningProcesses_v3 nvmlDeviceGetCount_v2 nvmlDeviceGetCpuAffinity nvmlDeviceGetGpuInstanceId
nvmlDeviceGetGraphicsRunningProcesses_v3 nvmlDeviceGetHandleByIndex_v2 nvmlDeviceGetMaxMigDeviceCount
nvmlDeviceGetMigDeviceHandleByIndex nvmlDeviceGetMigMode nvmlDeviceGetMinorNumber nvmlDeviceGetName
nvmlDeviceGetNvLinkRemotePciInfo_v2 nvmlDeviceGetNvLinkState nvmlDeviceGetPciInfo_v3 nvmlDeviceGetProcessUtilization
nvmlDeviceGetSupportedGraphicsClocks nvmlDeviceGetSupportedMemoryClocks nvmlDeviceGetUUID
nvmlDeviceResetApplicationsClocks nvmlDeviceSetApplicationsClocks nvmlErrorString nvmlInit_v2 nvmlShutdown
nvmlSystemGetDriverVersion nvmlSystemGetNVMLVersion
"""


class Client:
    """A process that uses nvidia-ml-py."""

    def __init__(self, library: Path, state: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML_STATE": str(state)},
            text=True,
        )

    def ask(self, expression: str) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def value(self, expression: str) -> Any:
        answer = self.ask(expression)
        assert "value" in answer, answer
        return answer["value"]

    def error(self, expression: str) -> str:
        answer = self.ask(expression)
        assert "error" in answer, answer
        name: str = answer["error"]
        return name

    def finished(self, name: str, within_s: float) -> dict[str, Any] | None:
        """What a spawned expression gave, None when it goes on for longer."""
        deadline = time.monotonic() + within_s
        while True:
            answer: dict[str, Any] | None = self.value(f"finished.get({name!r})")
            if answer or time.monotonic() > deadline:
                return answer
            time.sleep(0.01)

    def start(self, gpus: int) -> None:
        """Initialise and name the handles gpu0, gpu1 ..."""
        self.value("nvmlInit()")
        for index in range(gpus):
            self.value(f"bool(gpu{index} := nvmlDeviceGetHandleByIndex({index}))")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = importlib.metadata.files("nvidia-nvml-dev-cu12") or []
    [header] = [file for file in files if file.name == "nvml.h"]
    out = tmp_path_factory.mktemp("fake_nvml")
    include = Path(str(header.locate())).parent
    made = subprocess.run(
        ["make", "-C", str(SOURCE), f"NVML_INCLUDE={include}", f"OUT={out}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stdout
    return out / "libnvidia-ml.so.1"


@pytest.fixture
def fake(tmp_path: Path) -> FakeNvml:
    return FakeNvml(tmp_path / "state.conf")


@pytest.fixture
def client(library: Path, fake: FakeNvml) -> Iterator[Client]:
    made = Client(library, fake.path)
    yield made
    made.end()


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


def test_functions_that_are_not_there_are_not_found(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    client.start(1)
    assert client.error("nvmlDeviceGetHostname_v1(gpu0)") == "NVMLError_FunctionNotFound"


def test_exports_what_slurm_links_and_only_nvml(library: Path) -> None:
    loaded = ctypes.CDLL(str(library))
    assert [name for name in SLURM_SYMBOLS.split() if not hasattr(loaded, name)] == []
    assert not hasattr(loaded, "state_acquire")


def test_every_key_is_read_written_and_described() -> None:
    code = "".join(path.read_text() for path in sorted(SOURCE.glob("*.c")))
    described = set(re.findall(r"`([a-z0-9_]+)`", (SOURCE / "README.md").read_text()))
    known = GLOBAL_KEYS | GPU_KEYS
    assert [key for key in sorted(known) if not re.search(rf'"{key}"|\b{key}=|\\n{key}=', code)] == []
    assert sorted(known - described) == []
    in_models = set(re.findall(r'(?:"|\\n)([a-z0-9_]+)=', (SOURCE / "models.c").read_text()))
    assert sorted(in_models - GPU_KEYS) == []


@pytest.mark.parametrize(
    "values", [{"temprature": 1}, {"error.GetName": "UNKNOWN"}, {"temperature.1": 1}, {"name": "two\nlines"}]
)
def test_the_control_refuses_what_the_library_would_not_read(fake: FakeNvml, values: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        fake.write(gpus=[values])
    assert not fake.path.exists()


def test_the_state_file_is_replaced_whole_and_readable_by_all(fake: FakeNvml) -> None:
    fake.write(gpus=[{"model": "t4"}, {"missing": True}], driver_version="1.2")
    before = fake.path.stat()
    fake.update(0, temperature=20)
    after = fake.path.stat()
    assert after.st_mode & 0o777 == 0o644
    assert after.st_mtime_ns > before.st_mtime_ns
    assert fake.path.read_text() == "driver_version=1.2\n\n[gpu]\nmodel=t4\ntemperature=20\n\n[gpu]\nmissing=1\n"
    assert [path.name for path in fake.path.parent.iterdir()] == [fake.path.name]
