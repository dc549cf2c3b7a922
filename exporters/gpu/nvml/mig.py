"""MIG instances: which there are, and what each shows of itself."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pynvml

from exporters.gpu.nvml import gpm
from exporters.gpu.nvml.calls import ABSENT, Calls
from exporters.gpu.nvml.plan import Answers, Plan, Values
from exporters.gpu.sample import Instance


class MigDevice:
    """One MIG device: a compute instance, the first of its GPU instance."""

    def __init__(self, calls: Calls, parent: Any, handle: Any, plan: Plan) -> None:
        """Raises NVMLError when it is just going."""
        self._handle = handle
        self._plan = plan
        self._values = Values(plan)
        self.uuid: str = calls(pynvml.nvmlDeviceGetUUID, handle)
        self.gpu_instance_id: int = calls(pynvml.nvmlDeviceGetGpuInstanceId, handle)
        self._compute_instance_id: int = calls(pynvml.nvmlDeviceGetComputeInstanceId, handle)
        name = calls(pynvml.nvmlDeviceGetName, handle)
        found = re.search(r"\bMIG (\S+)$", name)
        self._profile = found[1] if found else name
        self._pair: gpm.Pair | None = None
        if plan.gpm and not gpm.unsupported(calls, parent):
            try:
                self._pair = gpm.Pair(calls, plan.gpm, gpm.of_instance(parent, self.gpu_instance_id))
            except pynvml.NVMLError:
                pass  # refused: its other readings stand

    def read(self, calls: Calls) -> Instance | None:
        """Its values; None when it is gone. Raises NVMLError when the GPU fails."""
        answers = Answers()
        try:
            answers.calls, _ = calls.each(self._handle, self._plan.calls, but=())
            answers.gpm = self._read_gpm()
        except pynvml.NVMLError as error:
            if error.value == pynvml.NVML_ERROR_GPU_IS_LOST:
                raise
            return None
        if self._plan.calls and not answers.calls:
            return None
        values = self._values.printed(answers)
        return Instance(self._profile, self.gpu_instance_id, self._compute_instance_id, self.uuid, values)

    def _read_gpm(self) -> dict[int, float]:
        try:
            return self._pair.read() if self._pair else {}
        except pynvml.NVMLError as error:
            if error.value not in ABSENT:
                raise
            return {}  # refused: its other readings stand

    def close(self) -> None:
        """Give back what NVML holds for it."""
        if self._pair:
            self._pair.close()


def listed(calls: Calls, parent: Any, plan: Plan, known: Sequence[MigDevice]) -> list[MigDevice]:
    """The MIG devices of a GPU, those that are known kept; one for each GPU instance, as the labels tell no more."""
    by_uuid = {device.uuid: device for device in known}
    found: dict[int, MigDevice] = {}
    for handle in _handles(calls, parent):
        try:
            uuid = calls(pynvml.nvmlDeviceGetUUID, handle)
            device = by_uuid.pop(uuid, None) or MigDevice(calls, parent, handle, plan)
        except pynvml.NVMLError:
            continue  # it went while we looked
        if found.setdefault(device.gpu_instance_id, device) is not device:
            device.close()
    for gone in by_uuid.values():
        gone.close()
    return [found[number] for number in sorted(found)]


def _handles(calls: Calls, parent: Any) -> list[Any]:
    try:
        current, _ = calls(pynvml.nvmlDeviceGetMigMode, parent)
        most = calls(pynvml.nvmlDeviceGetMaxMigDeviceCount, parent) if current else 0
    except pynvml.NVMLError as error:
        if error.value not in ABSENT:
            raise
        return []
    handles = []
    for index in range(most):
        try:
            handles.append(calls(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, parent, index))
        except pynvml.NVMLError as error:
            if error.value not in ABSENT:
                raise
    return handles
