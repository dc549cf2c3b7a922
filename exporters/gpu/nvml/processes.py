"""The processes that use a GPU."""

from __future__ import annotations

from typing import Any

import pynvml

from exporters.gpu.nvml.calls import ABSENT, Calls
from exporters.gpu.sample import Process

MOST = 256
"""Of one GPU: more are left out, so that no job can make any number of series."""


def listed(calls: Calls, handle: Any) -> tuple[Process, ...]:
    """Compute processes, then graphics; empty where the driver does not tell. Raises NVMLError when the GPU fails."""
    found: dict[tuple[int, str], Process] = {}
    for kind, function in (
        ("compute", pynvml.nvmlDeviceGetComputeRunningProcesses),
        ("graphics", pynvml.nvmlDeviceGetGraphicsRunningProcesses),
    ):
        try:
            entries = calls(function, handle)
        except pynvml.NVMLLibraryMismatchError:
            continue  # an old driver without the newest process list; it is no NVMLError
        except pynvml.NVMLError as error:
            # INSUFFICIENT_SIZE: more processes have begun between its two calls than there was room for.
            if error.value not in ABSENT and error.value != pynvml.NVML_ERROR_INSUFFICIENT_SIZE:
                raise
            continue
        for entry in entries[:MOST]:
            found[entry.pid, kind] = Process(entry.pid, _name(calls, entry.pid), kind, entry.usedGpuMemory)
    return tuple(found[key] for key in sorted(found)[:MOST])


def _name(calls: Calls, pid: int) -> str:
    """The program's name without its path; empty where it is gone or of another pod."""
    try:
        name = calls(pynvml.nvmlSystemGetProcessName, pid)
    except pynvml.NVMLError:
        return ""
    return str(name).split("\0", 1)[0].rpartition("/")[2]
