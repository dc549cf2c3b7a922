"""EDGE: the only importer of pynvml here: inventory of the GPUs, and one GPU's sample."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pynvml

from exporters.gpu.catalogue import Call, CatalogueError, Metric
from exporters.gpu.sample import NO_DRIVER, Identity, Inventory

# A call may be refused for these reasons while the GPU works: its metrics are absent, the others stand.
_ABSENT = {
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_INVALID_ARGUMENT,
    pynvml.NVML_ERROR_NOT_FOUND,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_NO_DATA,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
    pynvml.NVML_ERROR_DEPRECATED,
}

# These mean that no handle is good any more. A single lost GPU does not: starting NVML anew would disturb the others.
_DRIVER_GONE = {
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
}


class NvmlError(Exception):
    """NVML's own words."""


class Driver:
    """NVML in this process: initialised when it can be, again after the driver went away."""

    def __init__(self) -> None:
        self._ready = False
        self._lost = threading.Event()

    def inventory(self) -> Inventory:
        """List the GPUs; raises NvmlError when there is no library, no driver or no answer."""
        try:
            if self._lost.is_set() and self._ready:
                self._lost.clear()
                self._ready = False
                pynvml.nvmlShutdown()
            if not self._ready:
                pynvml.nvmlInit()
                self._ready = True
                self._lost.clear()
            version = pynvml.nvmlSystemGetDriverVersion()
            found, unreadable = [], {}
            for index in range(pynvml.nvmlDeviceGetCount()):
                try:
                    found.append(_identity(index))
                except pynvml.NVMLError as error:
                    unreadable[index] = str(error)
            return Inventory(version, tuple(found), unreadable)
        except pynvml.NVMLError as error:
            self._lost.set()
            if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
                raise NvmlError(NO_DRIVER) from None
            raise NvmlError(str(error)) from None

    def mark_lost(self) -> None:
        """The driver went away under us: start NVML anew before the next inventory."""
        self._lost.set()


def _identity(index: int) -> Identity:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    try:
        minor = pynvml.nvmlDeviceGetMinorNumber(handle)
    except pynvml.NVMLError:
        minor = index
    return Identity(
        index=index,
        uuid=pynvml.nvmlDeviceGetUUID(handle),
        pci_bus_id=pynvml.nvmlDeviceGetPciInfo(handle).busId,
        minor=minor,
        model=pynvml.nvmlDeviceGetName(handle),
    )


class Sampler:
    """The catalogue's metrics as NVML calls: every distinct call is made once per sample."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        """Raises CatalogueError for a function or constant that nvidia-ml-py does not have."""
        calls: dict[Call, list[Metric]] = {}
        for metric in metrics:
            calls.setdefault(metric.call, []).append(metric)
        self._calls = [(*_resolve(call), metrics) for call, metrics in calls.items()]

    def reader(self, driver: Driver, uuid: str) -> Callable[[], Mapping[str, str]]:
        """A function that samples one GPU: printed values by metric name; raises NvmlError when the GPU fails."""
        handle: Any = None

        def read() -> Mapping[str, str]:
            nonlocal handle
            try:
                if handle is None:
                    handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
                return self._sample(handle)
            except pynvml.NVMLError as error:
                handle = None
                if error.value in _DRIVER_GONE:
                    driver.mark_lost()
                raise NvmlError(str(error)) from None

        return read

    def _sample(self, handle: Any) -> Mapping[str, str]:
        values: dict[str, str] = {}
        answered = False
        for number, (function, arguments, metrics) in enumerate(self._calls, 1):
            try:
                answer = function(handle, *arguments)
                answered = True
            except pynvml.NVMLError as error:
                # A GPU that refuses every single call is not one without readings: it fails.
                if error.value not in _ABSENT or (number == len(self._calls) and not answered):
                    raise
                continue
            for metric in metrics:
                text = metric.format(getattr(answer, metric.field) if metric.field else answer)
                if text is not None:
                    values[metric.name] = text
        return values


def _resolve(call: Call) -> tuple[Callable[..., Any], list[Any]]:
    function = getattr(pynvml, call.function, None)
    if function is None:
        raise CatalogueError(f"nvidia-ml-py has no function {call.function}")
    arguments = []
    for word in call.arguments:
        value = int(word) if word.isdigit() else getattr(pynvml, word, None)
        if value is None:
            raise CatalogueError(f"nvidia-ml-py has no constant {word} ({call.function})")
        arguments.append(value)
    return function, arguments
