"""What every NVML call here goes through: its errors by kind, its count and time, and which one is under way."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
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

# Of these the answer stays the same, as far as is known.
UNSUPPORTED = frozenset({pynvml.NVML_ERROR_NOT_SUPPORTED, pynvml.NVML_ERROR_FUNCTION_NOT_FOUND})

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


Query = tuple[int, Callable[..., Any], list[Any]]
"""A number, a function, and its arguments after the handle."""


class Calls:
    """Makes calls and counts them. One per thread that calls NVML, which alone writes; read by any, without a lock."""

    def __init__(self) -> None:
        # One is written to before the other: whoever reads the names of the second finds them in the first.
        self._counts: defaultdict[str, int] = defaultdict(int)
        self._seconds: defaultdict[str, float] = defaultdict(float)
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
            self._refused(name, error)
            raise
        finally:
            seconds = time.perf_counter() - started
            self._current = ""
            self._counts[name] += 1
            self._seconds[name] += seconds

    def each(
        self, handle: Any, queries: Iterable[Query], but: Collection[int]
    ) -> tuple[dict[int, Any], list[tuple[int, Any]]]:
        """Answers of many calls on a handle by their numbers, and refusals (ABSENT); raises any other NVMLError.

        As many single calls would give, at half their cost. but: the numbers that are left out.
        """
        answers, refusals, clock = {}, [], time.perf_counter
        counts, times = self._counts, self._seconds
        for number, function, arguments in queries:
            if number in but:
                continue
            self._current = name = function.__name__
            self._started = started = clock()
            try:
                answers[number] = function(handle, *arguments)
            except pynvml.NVMLError as error:
                self._refused(name, error)
                if error.value not in ABSENT:
                    raise
                refusals.append((number, error))
            finally:
                seconds = clock() - started
                self._current = ""
                counts[name] += 1
                times[name] += seconds
        return answers, refusals

    def _refused(self, name: str, error: pynvml.NVMLError) -> None:
        key = (name, error_name(error))
        self._errors[key] = self._errors.get(key, 0) + 1


def total(all_calls: Iterable[Calls]) -> dict[str, CallCount]:
    """Calls so far, by function."""
    alike: dict[tuple[str, ...], list[Calls]] = {}
    errors: dict[str, dict[str, int]] = {}
    for calls in all_calls:
        # What is made of a dict in one step is whole: nothing is added meanwhile.
        alike.setdefault(tuple(calls._seconds), []).append(calls)
        for (name, error), count in list(calls._errors.items()):
            of_name = errors.setdefault(name, {})
            of_name[error] = of_name.get(error, 0) + count
    # Most have the same names: what would be three hundred additions one by one is a few.
    counts: defaultdict[str, int] = defaultdict(int)
    times: defaultdict[str, float] = defaultdict(float)
    for names, group in alike.items():
        sums = map(sum, zip(*[tuple(calls._counts.values()) for calls in group], strict=False))
        seconds = map(sum, zip(*[tuple(calls._seconds.values()) for calls in group], strict=False))
        for name, count, spent in zip(names, sums, seconds, strict=False):
            counts[name] += count
            times[name] += spent
    return {name: CallCount(count, times[name], errors.get(name, {})) for name, count in counts.items()}


def error_name(error: pynvml.NVMLError) -> str:
    """GPU_IS_LOST, as nvml.h has it without NVML_ERROR_."""
    return _NAMES.get(error.value, str(error.value))


_NAMES: dict[int, str] = {
    value: name.removeprefix("NVML_ERROR_")
    for name, value in vars(pynvml).items()
    if name.startswith("NVML_ERROR_") and isinstance(value, int)
}
