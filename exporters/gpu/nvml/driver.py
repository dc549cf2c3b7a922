"""NVML in this process: initialised when it can be, again after the driver went away; and the list of its GPUs."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pynvml

from exporters import sampling
from exporters.gpu.catalogue import Call, CallPart, CatalogueError, Metric
from exporters.gpu.nvml.calls import ABSENT, DRIVER_GONE, Calls, NvmlError
from exporters.gpu.nvml.resolve import resolve_call
from exporters.gpu.sample import NO_DRIVER, Identity, Inventory
from exporters.sampling import Source


class Driver:
    """The driver, as one thread looks at it. `generation` changes whenever all handles have become invalid."""

    def __init__(self, metrics: Sequence[Metric] = (), *, deadline: float = 5.0) -> None:
        """metrics: those of type label are read for each GPU. deadline: seconds that one GPU may take to name itself.

        Raises CatalogueError for what nvidia-ml-py lacks.
        """
        self.calls = Calls()
        self._deadline = deadline
        self._places: list[_Place] = []
        self.generation = 0
        self.version = ""
        self._ready = False
        self._lost = threading.Event()
        self._labels = [
            (metric, *_resolve(metric, term.call))
            for metric in metrics
            if metric.type == "label"
            for value in metric.values
            for term in value.terms
            if isinstance(term, CallPart)
        ]

    def inventory(self) -> Inventory:
        """List the GPUs; raises NvmlError when there is no library, no driver or no answer."""
        try:
            if self._lost.is_set() and self._ready:
                self._ready = False
                try:
                    self.calls(pynvml.nvmlShutdown)
                except pynvml.NVMLError:
                    pass  # it is gone already
            if not self._ready:
                self._lost.set()
                self.calls(pynvml.nvmlInit)
                self._ready = True
                self.generation += 1
                self._lost.clear()
            self.version = self.calls(pynvml.nvmlSystemGetDriverVersion)
            return self._look(self.calls(pynvml.nvmlDeviceGetCount))
        except pynvml.NVMLError as error:
            if error.value in DRIVER_GONE:
                self._lost.set()
            if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
                raise NvmlError(NO_DRIVER) from None
            raise NvmlError(str(error)) from None

    def _look(self, count: int) -> Inventory:
        """Ask all places who is there, none waiting for long for another."""
        while len(self._places) < count:
            self._places.append(_Place(self, len(self._places), self._deadline))
        places = self._places[:count]
        sampling.ask([place.source for place in places], self._deadline)
        found, unreadable = [], {}
        for index, place in enumerate(places):
            reading = place.source.reading()
            if reading.value:
                found.append(reading.value)
            else:
                unreadable[index] = reading.reason
        return Inventory(self.version, tuple(found), unreadable)

    def mark_lost(self, generation: int) -> None:
        """The driver went away under handles of that generation: start NVML anew before the next inventory."""
        if generation == self.generation:
            self._lost.set()

    def all_calls(self) -> list[Calls]:
        """The calls of all threads that look at it."""
        return [self.calls, *(place.calls for place in list(self._places))]

    @property
    def lost(self) -> bool:
        """Whether NVML waits to be started anew."""
        return self._lost.is_set()

    def identity(self, index: int, calls: Calls) -> Identity:
        """Who has this index now; raises NVMLError."""
        handle = calls(pynvml.nvmlDeviceGetHandleByIndex, index)
        return Identity(
            index=index,
            uuid=calls(pynvml.nvmlDeviceGetUUID, handle),
            pci_bus_id=calls(pynvml.nvmlDeviceGetPciInfo, handle).busId,
            model=calls(pynvml.nvmlDeviceGetName, handle),
            labels=tuple(self._label_values(handle, calls)),
        )

    def _label_values(self, handle: object, calls: Calls) -> list[tuple[str, str]]:
        found: dict[str, str] = {}
        for metric, function, arguments in self._labels:
            device = [handle] if function.__name__.startswith("nvmlDevice") else []
            try:
                answer = calls(function, *device, *arguments)
            except pynvml.NVMLError as error:
                if error.value not in ABSENT:
                    raise
                continue
            found.setdefault(metric.name, _constant(answer, metric.names) if metric.names else str(answer))
        return sorted(found.items())


class _Place:
    """One index, asked in a thread of its own for who has it: a GPU that hangs may hang here, too."""

    def __init__(self, driver: Driver, index: int, deadline: float) -> None:
        self.calls = Calls()
        self.source: Source[Identity] = Source(
            f"GPU at index {index}",
            lambda: driver.identity(index, self.calls),
            deadline=deadline,
            max_age=math.inf,
            doing=lambda: self.calls.current,
        )


def _resolve(metric: Metric, call: Call) -> tuple[Callable[..., Any], list[Any]]:
    try:
        return resolve_call(call)
    except CatalogueError as error:
        raise CatalogueError(f"{metric.where}: {error}") from None


def _constant(value: object, prefix: str) -> str:
    """NVIDIA, for the value of NVML_BRAND_NVIDIA; the number itself where there is no such constant."""
    names = [name for name, constant in vars(pynvml).items() if name.startswith(prefix) and constant == value]
    return names[0].removeprefix(prefix) if names else str(value)
