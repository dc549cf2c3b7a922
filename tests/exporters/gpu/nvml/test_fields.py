"""Field values of a simulated GPU: each has its own result and its own type, which may be wrong."""

from __future__ import annotations

import re

import pytest

from tests.exporters.gpu.machine import Machine, samples
from tests.exporters.gpu.nvml.edge import Edge
from tests.fake_nvml.control import Value

UNKNOWN = 320
"""A field that the fake library knows nothing of: its type is what the file says."""


@pytest.mark.parametrize(
    ("text", "kind", "wanted"),
    [
        ("5", "UNSIGNED_INT", "5"),
        ("0", "UNSIGNED_INT", "0"),
        ("5", "UNSIGNED_LONG", "5"),
        ("5", "UNSIGNED_LONG_LONG", "5"),
        (str(2**53 + 1), "UNSIGNED_LONG_LONG", str(2**53 + 1)),
        ("5", "SIGNED_LONG_LONG", "5"),
        ("-5", "SIGNED_LONG_LONG", None),  # nothing here is negative
        ("5", "SIGNED_INT", "5"),
        ("-5", "SIGNED_INT", None),
        ("5", "UNSIGNED_SHORT", "5"),
        ("2.75", "DOUBLE", "2"),
        ("nan", "DOUBLE", None),
        ("inf", "DOUBLE", None),
        ("4294967295", "UNSIGNED_INT", None),  # all bits set: NVML's way to say that there is none
        ("18446744073709551615", "UNSIGNED_LONG_LONG", None),
    ],
)
def test_value_of_its_type(edge: Edge, text: str, kind: str, wanted: str | None) -> None:
    edge.open(a=f"field({UNKNOWN})", temperature="nvmlDeviceGetTemperature(0)")
    edge.gpus.write(gpus=[{f"field.{UNKNOWN}": text, f"field.{UNKNOWN}.type": kind}])
    assert edge.values() == {**({"a": wanted} if wanted else {}), "temperature": "34"}


@pytest.mark.parametrize(
    ("bytes_", "kind", "wanted"),
    [
        (7, "UNSIGNED_INT", "7"),
        (7, "UNSIGNED_SHORT", "7"),
        (7, "SIGNED_INT", "7"),
        (2**32 + 7, "UNSIGNED_INT", None),
        (2**32 + 7, "SIGNED_INT", None),
        (2**16 + 7, "UNSIGNED_SHORT", None),
        (2**63 + 7, "UNSIGNED_LONG_LONG", str(2**63 + 7)),
        (2**63 + 7, "SIGNED_LONG_LONG", None),
        (7, "DOUBLE", None),  # an integer's bits
        (7, "99", None),
        (7, "N/A", "7"),  # a file that says nothing of the type
    ],
)
def test_eight_bytes_that_are_labelled_otherwise(edge: Edge, bytes_: int, kind: str, wanted: str | None) -> None:
    """The fake fills field 83 as unsigned long long and labels it as told: the upper bytes give a wrong label away."""
    keys: dict[str, Value] = {"energy_mj": bytes_}
    if kind != "N/A":
        keys["field.83.type"] = kind
    edge.open(a="field(83)")
    edge.gpus.write(gpus=[keys])
    assert edge.values() == ({"a": wanted} if wanted else {})


@pytest.mark.parametrize("kind", ["UNSIGNED_INT", "DOUBLE", "SIGNED_LONG_LONG", "UNSIGNED_SHORT", "99"])
def test_what_is_unsigned_whatever_the_driver_says(edge: Edge, kind: str) -> None:
    edge.open(unsigned_a="field(82)", b="field(83)")
    edge.gpus.write(gpus=[{"memory_temperature": 51, "field.82.type": kind, "energy_mj": 2**32 + 3}])
    assert edge.values() == {"unsigned_a": "51", "b": str(2**32 + 3)}


@pytest.mark.parametrize(
    "error", ["NOT_SUPPORTED", "NO_PERMISSION", "INVALID_ARGUMENT", "UNKNOWN", "TIMEOUT", "NO_DATA", "DEPRECATED", 77]
)
def test_each_has_its_own_result(edge: Edge, error: Value) -> None:
    edge.open(first="field(83)", second="field(143)", third="field(142)")
    gpu: dict[str, Value] = {"energy_mj": 4, "remapped_uncorrectable": 5, "remapped_correctable": 6}
    edge.gpus.write(gpus=[gpu])
    assert edge.values() == {"first": "4", "second": "5", "third": "6"}
    edge.gpus.update(0, **{"field_error.143": error})
    assert edge.values() == {"first": "4", "third": "6"}
    edge.gpus.update(0, **{"field_error.143": None}, remapped_uncorrectable=0)
    assert edge.values() == {"first": "4", "second": "0", "third": "6"}


def test_one_that_says_that_the_gpu_is_lost_loses_the_gpu(edge: Edge) -> None:
    edge.open(first="field(83)", second="field(143)", other="nvmlDeviceGetTemperature(0)")
    edge.gpus.write(gpus=[{"field_error.143": "GPU_IS_LOST"}])
    assert edge.error("sample", edge.uuid(0)) == "GPU is lost"
    edge.gpus.update(0, **{"field_error.143": None})
    assert edge.values().keys() == {"first", "second", "other"}


def test_all_are_refused(edge: Edge) -> None:
    edge.open(first="field(83)", other="nvmlDeviceGetTemperature(0)")
    edge.gpus.write(gpus=[{"error.nvmlDeviceGetFieldValues": "NO_PERMISSION"}])
    assert edge.values() == {"other": "34"}
    edge.gpus.update(0, **{"error.nvmlDeviceGetFieldValues": "UNKNOWN"})
    assert edge.error("sample", edge.uuid(0)) == "Unknown Error"


def test_links_have_scopes_of_their_own(edge: Edge) -> None:
    edge.open(first="field(138, 0)", last="field(138, 17)", beyond="field(138, 18)", every="field(138, all)")
    edge.gpus.write(gpus=[{"nvlink_data_tx_kib": 2, "nvlink_data_tx_kib.17": 40}])
    assert edge.values() == {"first": "2", "last": "40", "every": str(17 * 2 + 40)}


def test_all_come_from_one_call(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}])
    text = machine.once()
    assert len(re.findall(r"^DCGM_FI_DEV_\w*(?:VIOLATION|ROWS|ERROR_COUNT_L\d+)\{", text, re.MULTILINE)) > 50
    calls = {labels["call"]: number for labels, number in samples(text, "gpu_watchdog_nvml_calls_total")}
    assert calls["nvmlDeviceGetFieldValues"] == calls["nvmlDeviceGetTemperature"]
