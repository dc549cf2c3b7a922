"""What a call of the fake itself takes: `python -m tests.fake_nvml.measure [library]`.

An exporter's benchmark must measure the exporter. The calls go through ctypes, whose own share is taken off.
"""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local.cluster import FAKE_NVML
from tests.fake_nvml.control import FakeNvml

BATCHES, CALLS = 40, 2_000


def _best_us(call: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(BATCHES):
        started = time.perf_counter()
        for _ in range(CALLS):
            call()
        best = min(best, (time.perf_counter() - started) / CALLS)
    return best * 1e6


class _FieldValue(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint), ("scope", ctypes.c_uint), ("rest", ctypes.c_char * 32)]


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as folder:
        fake = FakeNvml(Path(folder) / "state.conf")
        fake.write(gpus=[{"temperature": 40 + index} for index in range(8)])
        os.environ["FAKE_NVML_STATE"] = str(fake.path)
        nvml = ctypes.CDLL(sys.argv[1] if len(sys.argv) > 1 else str(FAKE_NVML))
        assert nvml.nvmlInit_v2() == 0
        gpu = ctypes.c_void_p()
        assert nvml.nvmlDeviceGetHandleByIndex_v2(7, ctypes.byref(gpu)) == 0
        number = ctypes.c_ulonglong()
        out = ctypes.byref(number)
        memory = (ctypes.c_ulonglong * 5)()
        fields = (_FieldValue * 10)(*[_FieldValue(id) for id in (82, 83, 94, 3, 4, 142, 143, 144, 186, 197)])
        assert nvml.nvmlErrorString(0)
        own = _best_us(lambda: nvml.nvmlErrorString(0, 0, out))
        calls: dict[str, Callable[[], int]] = {
            "nvmlDeviceGetTemperature": lambda: nvml.nvmlDeviceGetTemperature(gpu, 0, out),
            "nvmlDeviceGetPowerUsage": lambda: nvml.nvmlDeviceGetPowerUsage(gpu, out),
            "nvmlDeviceGetClockInfo": lambda: nvml.nvmlDeviceGetClockInfo(gpu, 1, out),
            "nvmlDeviceGetMemoryInfo": lambda: nvml.nvmlDeviceGetMemoryInfo(gpu, memory),
            "nvmlDeviceGetFieldValues, 10 fields": lambda: nvml.nvmlDeviceGetFieldValues(gpu, 10, fields),
        }
        for name, call in calls.items():
            assert call() == 0
            print(f"{name:40} {_best_us(call) - own:6.2f} us")
        print(f"{'(ctypes itself)':40} {own:6.2f} us")


if __name__ == "__main__":
    main()
