"""Frozen readings: what the NVML edge hands to collect. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NO_DRIVER = "no NVIDIA driver here (libnvidia-ml.so.1 is not found)"
"""The one reason for which a machine without GPU metrics is as it should be."""


@dataclass(frozen=True)
class Identity:
    """A GPU's names, as dcgm-exporter's labels have them."""

    index: int
    uuid: str
    pci_bus_id: str
    """Domain of eight digits, as in 00000000:1A:00.0."""
    minor: int
    """N of /dev/nvidiaN."""
    model: str


@dataclass(frozen=True)
class Inventory:
    """What the driver shows now, or why it shows nothing."""

    driver_version: str = ""
    gpus: tuple[Identity, ...] = ()
    unreadable: Mapping[int, str] = field(default_factory=dict)
    """Index -> error of GPUs that are counted but cannot be identified."""


@dataclass(frozen=True)
class GpuState:
    """One GPU: its printed values by metric name, or the error that stands in their way."""

    identity: Identity
    values: Mapping[str, str] | None
    error: str
    age: float | None
    """Seconds since its last good sample; None before the first."""
    failures: int


@dataclass(frozen=True)
class Snapshot:
    """Everything of one round."""

    hostname: str
    driver_error: str
    """Why NVML cannot be used, empty when it can."""
    driver_version: str
    gpus: tuple[GpuState, ...]
    unreadable: Mapping[int, str] = field(default_factory=dict)
