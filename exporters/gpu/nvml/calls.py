"""What every NVML call here goes through: its errors by kind, its count and time, and which one is under way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pynvml

from exporters.gpu.sample import CallCount

# A call may be refused for these reasons while the GPU works: its metrics are absent, the others stand.
ABSENT = frozenset(
    {
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
        pynvml.NVML_ERROR_NOT_FOUND,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_NO_DATA,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
        pynvml.NVML_ERROR_NOT_READY,
    }
)

# These mean that no handle is good any more. A single lost GPU does not: starting NVML anew would disturb the others.
DRIVER_GONE = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)


class NvmlError(Exception):
    """NVML's own words."""


class Calls:
    """Makes calls and counts them. One per thread that calls NVML; read by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, list[float]] = {}
        self._errors: dict[tuple[str, str], int] = {}
        self._current = ""
        self._started = 0.0

    @property
    def current(self) -> str:
        """The function that is being called now; empty between calls."""
        return self._current

    def hung(self, after: float) -> str:
        """Words for a call that has been under way for longer than so many seconds; empty where none is."""
        name, seconds = self._current, time.perf_counter() - self._started
        return f"no answer from {name} for {seconds:.0f} s" if name and seconds > after else ""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The answer of a pynvml function; raises its NVMLError."""
        name = function.__name__
        self._started = started = time.perf_counter()
        self._current = name
        try:
            return function(*arguments)
        except pynvml.NVMLError as error:
            with self._lock:
                key = (name, error_name(error))
                self._errors[key] = self._errors.get(key, 0) + 1
            raise
        finally:
            seconds = time.perf_counter() - started
            self._current = ""
            with self._lock:
                count = self._counts.setdefault(name, [0, 0.0])
                count[0] += 1
                count[1] += seconds

    def counts(self) -> dict[str, CallCount]:
        """Calls so far, by function."""
        with self._lock:
            found = {name: CallCount(int(count), seconds) for name, (count, seconds) in self._counts.items()}
            for (name, error), count in self._errors.items():
                found[name].errors[error] = count
        return found


def error_name(error: pynvml.NVMLError) -> str:
    """GPU_IS_LOST, as nvml.h has it without NVML_ERROR_."""
    return _NAMES.get(error.value, str(error.value))


_NAMES: dict[int, str] = {
    value: name.removeprefix("NVML_ERROR_")
    for name, value in vars(pynvml).items()
    if name.startswith("NVML_ERROR_") and isinstance(value, int)
}
