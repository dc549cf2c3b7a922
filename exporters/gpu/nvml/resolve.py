"""Names of the catalogue -> functions and numbers of the installed nvidia-ml-py.

An nvidia-ml-py that is older than this exporter lacks some of its names. To import this module makes up for them: the
numbers are nvml.h's, which never change, and a function answers as one does that the driver lacks.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from functools import lru_cache
from importlib import metadata
from typing import Any

import pynvml

from exporters.gpu.catalogue import Call, CatalogueError

log = logging.getLogger(__name__)

# What has come since nvidia-ml-py 11.515, the first whose strings are strings, of what this exporter uses.
NEWER_NUMBERS = {
    "NVML_ERROR_ARGUMENT_VERSION_MISMATCH": 25,
    "NVML_ERROR_DEPRECATED": 26,
    "NVML_ERROR_NOT_READY": 27,
    "NVML_VALUE_TYPE_SIGNED_INT": 5,
    "NVML_VALUE_TYPE_UNSIGNED_SHORT": 6,
    "NVML_FI_DEV_POWER_INSTANT": 186,
    "NVML_FI_DEV_PCIE_COUNT_TX_BYTES": 197,
    "NVML_FI_DEV_PCIE_COUNT_RX_BYTES": 198,
    "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN": 269,
    "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN": 270,
    "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN": 271,
    "NVML_GPM_METRICS_GET_VERSION": 1,
    "NVML_GPM_METRIC_GRAPHICS_UTIL": 1,
    "NVML_GPM_METRIC_SM_UTIL": 2,
    "NVML_GPM_METRIC_SM_OCCUPANCY": 3,
    "NVML_GPM_METRIC_ANY_TENSOR_UTIL": 5,
    "NVML_GPM_METRIC_DRAM_BW_UTIL": 10,
    "NVML_GPM_METRIC_FP64_UTIL": 11,
    "NVML_GPM_METRIC_FP32_UTIL": 12,
    "NVML_GPM_METRIC_FP16_UTIL": 13,
    "NVML_GPM_METRIC_PCIE_TX_PER_SEC": 20,
    "NVML_GPM_METRIC_PCIE_RX_PER_SEC": 21,
    "NVML_GPM_METRIC_NVLINK_TOTAL_RX_PER_SEC": 60,
    "NVML_GPM_METRIC_NVLINK_TOTAL_TX_PER_SEC": 61,
}
NEWER_FUNCTIONS = (
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlGpmMetricsGet",
    "nvmlGpmMigSampleGet",
    "nvmlGpmQueryDeviceSupport",
    "nvmlGpmSampleAlloc",
    "nvmlGpmSampleFree",
    "nvmlGpmSampleGet",
)
NEWER_ERRORS = ("NVMLLibraryMismatchError",)


def _complete() -> tuple[str, ...]:
    """Add what the installed nvidia-ml-py lacks; its numbers and functions."""
    for name in NEWER_ERRORS:
        if not hasattr(pynvml, name):
            setattr(pynvml, name, type(name, (Exception,), {}))
    lacking = tuple(name for name in (*NEWER_NUMBERS, *NEWER_FUNCTIONS) if not hasattr(pynvml, name))
    for name in lacking:
        setattr(pynvml, name, NEWER_NUMBERS.get(name) or _not_found(name))
    return lacking


def _not_found(name: str) -> Callable[..., Any]:
    def function(*_: Any) -> Any:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)

    function.__name__ = name
    return function


LACKING = _complete()


def resolve_call(call: Call) -> tuple[Callable[..., Any], list[Any]]:
    """Function and arguments; raises CatalogueError for what nvidia-ml-py does not have."""
    _tell()
    function = getattr(pynvml, call.function, None)
    if function is None:
        raise CatalogueError(f"nvidia-ml-py has no function {call.function}{_maybe_newer()}")
    arguments = [constant(word, call.function) for word in call.arguments]
    device = [None] if call.function.startswith("nvmlDevice") else []
    try:
        inspect.signature(function).bind(*device, *arguments)
    except TypeError as error:
        raise CatalogueError(f"{call.function} does not take these arguments: {error}") from None
    return function, arguments


def constant(word: str, where: str) -> int:
    """A number, or the value of a constant; raises CatalogueError."""
    _tell()
    value = int(word) if word.isdigit() else getattr(pynvml, word, None)
    if not isinstance(value, int):
        raise CatalogueError(f"nvidia-ml-py has no constant {word} ({where}){_maybe_newer()}")
    return value


@lru_cache(maxsize=1)
def _tell() -> None:
    if LACKING:
        log.warning(
            "nvidia-ml-py %s is older than this exporter and lacks %s; metrics that need a function among these are"
            " absent: install nvidia-ml-py 13.580 or later",
            _version(),
            ", ".join(LACKING),
        )


def _maybe_newer() -> str:
    """For an error: the name may be right."""
    return f"; this one is {_version()}, a newer one may have it" if LACKING else ""


def _version() -> str:
    try:
        return metadata.version("nvidia-ml-py")
    except metadata.PackageNotFoundError:
        return "(of unknown version)"
