"""Field values: all of a sample in one call, each with its own result and type."""

from __future__ import annotations

import ctypes
import math
import struct
import sys
from collections.abc import Callable, Collection, Sequence
from itertools import compress
from operator import ne
from typing import Any

import pynvml

from exporters.gpu.nvml.calls import Calls
from exporters.gpu.nvml.plan import FieldKey

# nvmlFieldValue_t: field, scope, timestamp and latency (left out), type, result, and the eight bytes of the value.
# Reading it by ctypes, one structure after the other, costs more than all of NVML's calls.
_ENTRY = struct.Struct("=24xIIQ")
assert _ENTRY.size == ctypes.sizeof(pynvml.c_nvmlFieldValue_t)


def _double(bits: int) -> float | None:
    value: float = struct.unpack("=d", bits.to_bytes(8, sys.byteorder))[0]
    # A number below the smallest is the bits of an integer.
    return value if math.isfinite(value) and not 0 < abs(value) < sys.float_info.min else None


def _narrow(bits: int, width: int, signed: bool = False) -> int | None:
    """The value of a type of so many bits; None where there are more: it is of another type than the driver says."""
    if bits >> width:
        return None
    return bits - (1 << width) if signed and bits >> (width - 1) else bits


# nvml.h, nvmlValueType_t
_TYPES: dict[int, Callable[[int], float | None]] = {
    pynvml.NVML_VALUE_TYPE_DOUBLE: _double,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_INT: lambda bits: _narrow(bits, 32),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG: lambda bits: bits,
    pynvml.NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: lambda bits: bits,
    pynvml.NVML_VALUE_TYPE_SIGNED_LONG_LONG: lambda bits: _narrow(bits, 64, signed=True),
    pynvml.NVML_VALUE_TYPE_SIGNED_INT: lambda bits: _narrow(bits, 32, signed=True),
    pynvml.NVML_VALUE_TYPE_UNSIGNED_SHORT: lambda bits: _narrow(bits, 16),
}


def _unsigned(bits: int) -> int:
    return bits & 0xFFFFFFFF


class Fields:
    """The fields of one GPU; the array is made once."""

    def __init__(self, fields: Sequence[FieldKey], unsigned: Collection[FieldKey] = ()) -> None:
        """unsigned: read as unsigned int, whatever the driver says (field 82, driver r545)."""
        self._fields = [(key, key in unsigned) for key in fields]
        self._array = (pynvml.c_nvmlFieldValue_t * len(self._fields))()
        for entry, (field, scope) in zip(self._array, fields, strict=True):
            entry.fieldId, entry.scopeId = field, scope
        self._blank = bytes(self._array)
        self._count = ctypes.c_int32(len(self._fields))
        self._entries: list[tuple[int, int, int]] = [(-1, -1, -1)] * len(self._fields)
        self._found: dict[FieldKey, float] = {}

    def read(self, calls: Calls, handle: Any) -> dict[FieldKey, float]:
        """The fields that the GPU has; raises NVMLError when it fails."""
        # The driver fills as many of the eight bytes as the type has.
        ctypes.memmove(self._array, self._blank, len(self._blank))
        calls(self._get, handle)
        entries = list(_ENTRY.iter_unpack(self._array))
        found = self._found.copy()
        # Most are what they were a second ago.
        for (key, unsigned), (kind, result, bits) in compress(
            zip(self._fields, entries, strict=True), map(ne, entries, self._entries)
        ):
            if result == pynvml.NVML_ERROR_GPU_IS_LOST:
                raise pynvml.NVMLError(result)
            decode = _unsigned if unsigned else _TYPES.get(kind)
            value = decode(bits) if decode and result == pynvml.NVML_SUCCESS else None
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
        self._entries, self._found = entries, found
        return found

    def _get(self, handle: Any) -> None:
        # pynvml.nvmlDeviceGetFieldValues makes and fills a new array each time.
        function = pynvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")
        pynvml._nvmlCheckReturn(function(handle, self._count, ctypes.byref(self._array)))

    _get.__name__ = "nvmlDeviceGetFieldValues"
