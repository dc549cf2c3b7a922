"""GPU performance monitoring (Hopper and later): what a GPU or a MIG instance did between two samples."""

from __future__ import annotations

import ctypes
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any

import pynvml

from exporters.gpu.nvml.calls import ABSENT, UNSUPPORTED, Calls

SHORTEST_S = 0.1
"""Two samples must be this far apart (nvml.h, nvmlGpmMetricsGet)."""
# nvmlGpmMetric_t: metric, result, value, and three texts.
_ENTRY = struct.Struct("@4xId24x")
# Other errors of a metric may be gone with the next sample: two that are too close have some.
_REFUSALS = UNSUPPORTED | {pynvml.NVML_ERROR_NO_PERMISSION}
_PREFIX = "NVML_GPM_METRIC_"
NOT_THERE = "this GPU has no GPM (Hopper and later have)"


def unsupported(calls: Calls, handle: Any) -> str:
    """Why a GPU has no GPM metrics; empty where it has. Raises NVMLError when the GPU fails."""
    try:
        support = calls(pynvml.nvmlGpmQueryDeviceSupport, handle)
    except pynvml.NVMLError as error:
        if error.value not in ABSENT:
            raise
        return str(error)
    return "" if support.isSupportedDevice else NOT_THERE


class Pair:
    """The last two samples of one GPU or instance."""

    def __init__(self, calls: Calls, metrics: list[int], take: Callable[[Any], Any]) -> None:
        """take(sample) takes one. Raises NVMLError."""
        self._calls = calls
        self._take = take
        self._query = pynvml.c_nvmlGpmMetricsGet_t()
        self._query.version = pynvml.NVML_GPM_METRICS_GET_VERSION
        self._query.numMetrics = len(metrics)
        for number, metric in enumerate(metrics):
            self._query.metrics[number].metricId = metric
        self._metrics = metrics
        # The same memory as bytes: reading it by ctypes, one part after the other, costs more than the call.
        size = _ENTRY.size * len(metrics)
        self._answers = (ctypes.c_char * size).from_buffer(self._query, type(self._query).metrics.offset)
        self._samples: list[Any] = []
        self._taken = 0.0
        self._found: dict[int, float] = {}
        self._refused: dict[int, int] = {}
        self.problem = ""
        """Which metrics are refused, and why; empty where none is."""
        try:
            for _ in range(2):
                self._samples.append(calls(pynvml.nvmlGpmSampleAlloc))
        except pynvml.NVMLError:
            self.close()
            raise

    def read(self) -> dict[int, float]:
        """Values by metric for the time since the last sample; empty the first time. Raises NVMLError.

        Asked again too soon, it gives the same ones.
        """
        if self._taken and time.monotonic() - self._taken < SHORTEST_S:
            return self._found
        older, newer = self._samples
        self._calls(self._take, newer)
        self._samples = [newer, older]
        before, self._taken = self._taken, time.monotonic()  # the next one is begun later than this one ended
        if not before:
            return {}
        self._query.sample1, self._query.sample2 = older, newer
        self._calls(pynvml.nvmlGpmMetricsGet, self._query)
        self._found, refused = {}, {}
        for metric, (result, value) in zip(self._metrics, _ENTRY.iter_unpack(self._answers), strict=True):
            if result == pynvml.NVML_SUCCESS and value == value:
                self._found[metric] = value
            elif result in _REFUSALS:
                refused[metric] = result
        if refused != self._refused:
            self._refused = refused
            self.problem = "; ".join(_refusal(refused, result) for result in sorted(set(refused.values())))
        return self._found

    def close(self) -> None:
        """Give the samples back."""
        for sample in self._samples:
            try:
                self._calls(pynvml.nvmlGpmSampleFree, sample)
            except pynvml.NVMLError:
                pass  # the driver that had them is gone
        self._samples = []


def _refusal(refused: Mapping[int, int], result: int) -> str:
    names = {number: name for name, number in vars(pynvml).items() if name.startswith(_PREFIX)}
    metrics = [names[metric].removeprefix(_PREFIX) for metric in refused if refused[metric] == result]
    return f"{', '.join(metrics)}: {pynvml.NVMLError(result)}"


def of_gpu(handle: Any) -> Callable[[Any], Any]:
    """Takes samples of a whole GPU."""

    def nvmlGpmSampleGet(sample: Any) -> Any:  # the name that is counted
        return pynvml.nvmlGpmSampleGet(handle, sample)

    return nvmlGpmSampleGet


def of_instance(handle: Any, gpu_instance_id: int) -> Callable[[Any], Any]:
    """Takes samples of a GPU instance."""

    def nvmlGpmMigSampleGet(sample: Any) -> Any:
        return pynvml.nvmlGpmMigSampleGet(handle, gpu_instance_id, sample)

    return nvmlGpmMigSampleGet
