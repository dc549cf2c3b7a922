"""EDGE: the GPUs of this pod through NVML, in a child process that may hang without holding up the boot.

Run as a program, it prints one JSON line; a driver call that never returns can only be left behind by a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

# Isolated mode leaves the product's own folder out of the path where it is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bootstrap.variables import without_secrets

_END_DEADLINE_S = 1.0


@dataclass(frozen=True)
class Gpu:
    """One GPU as NVML names it; memory in MiB."""

    index: int
    uuid: str
    name: str
    memory_mb: int


@dataclass(frozen=True)
class GpuProbe:
    """The GPUs, or why none could be listed (a pod without any is no error)."""

    gpus: tuple[Gpu, ...] = ()
    error: str = ""


class Search:
    """A probe under way: started early, collected when its answer is needed."""

    def __init__(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-I", __file__],
            env=without_secrets(os.environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )

    def result(self, deadline_s: float) -> GpuProbe:
        """Wait up to a deadline (seconds), then leave the child behind."""
        try:
            output, _ = self._child.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            if self._child.stdout:
                self._child.stdout.close()
            try:
                self._child.wait(_END_DEADLINE_S)
            except subprocess.TimeoutExpired:
                pass  # stuck in the driver beyond any signal: left behind
            return GpuProbe(error=f"the driver did not answer within {deadline_s:g} s")
        try:
            answer = json.loads(output)
        except ValueError:
            return GpuProbe(error=f"the NVML probe ended with status {self._child.returncode}")
        return GpuProbe(tuple(Gpu(**gpu) for gpu in answer["gpus"]), answer["error"])


def list_gpus() -> GpuProbe:
    """Ask NVML in this process."""
    import pynvml

    try:
        pynvml.nvmlInit()
        found = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory_mb = pynvml.nvmlDeviceGetMemoryInfo(handle).total // 2**20
            found.append(Gpu(index, pynvml.nvmlDeviceGetUUID(handle), pynvml.nvmlDeviceGetName(handle), memory_mb))
    except pynvml.NVMLError as error:
        no_driver = isinstance(error, pynvml.NVMLError_LibraryNotFound)
        return GpuProbe(error="" if no_driver else str(error))
    return GpuProbe(tuple(found))


if __name__ == "__main__":
    print(json.dumps(asdict(list_gpus())))
