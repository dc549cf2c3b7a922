"""The library's symbols, and the state file that rules it."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import pytest

from tests.fake_nvml.control import GLOBAL_KEYS, GPU_KEYS, FakeNvml

SOURCE = Path(__file__).parent

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
    "values",
    [
        {"temprature": 1},
        {"error.GetName": "UNKNOWN"},
        {"temperature.1": 1},
        {"name": "two\nlines"},
        {"mig.1.temperature": 1},
        {"mig": "1g.10gb"},
        {"gpm_sm_util.1": 1},
        {"process_name.1": "x"},
        {"field.x": 1},
    ],
)
def test_the_control_refuses_what_the_library_would_not_read(fake: FakeNvml, values: dict[str, str | int]) -> None:
    with pytest.raises(ValueError, match=re.escape(next(iter(values)))):
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
