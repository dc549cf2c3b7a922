"""Frozen readings: what the NVML edge hands to collect. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

NO_DRIVER = "no NVIDIA driver here (libnvidia-ml.so.1 is not found)"
"""The one reason for which a machine without GPU metrics is as it should be."""


@dataclass(frozen=True)
class Identity:
    """A GPU's names, as dcgm-exporter's labels have them."""

    index: int
    uuid: str
    pci_bus_id: str
    """Domain of eight digits, as in 00000000:1A:00.0."""
    model: str
    labels: tuple[tuple[str, str], ...] = ()
    """Metrics of type label with their values, sorted."""


@dataclass(frozen=True)
class Inventory:
    """What the driver shows now, or why it shows nothing."""

    driver_version: str = ""
    gpus: tuple[Identity, ...] = ()
    unreadable: Mapping[int, str] = field(default_factory=dict)
    """Index -> error of GPUs that are counted but cannot be identified."""


class CallCount(NamedTuple):
    """How often a function of NVML was called, for how long in all (seconds), and its errors by name."""

    calls: int
    seconds: float
    errors: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class Instance:
    """One MIG instance's printed values."""

    profile: str
    """1g.10gb."""
    gpu_instance_id: int
    compute_instance_id: int
    uuid: str
    values: Mapping[str, str]


@dataclass(frozen=True)
class Process:
    """A process that uses a GPU; memory in bytes, None where the driver does not tell."""

    pid: int
    name: str
    kind: str
    """compute or graphics."""
    memory: int | None


@dataclass(frozen=True)
class GpuSample:
    """One GPU, read once."""

    values: Mapping[str, str] = field(default_factory=dict)
    """Printed values by metric name."""
    instances: tuple[Instance, ...] = ()
    throttled: Mapping[str, int] = field(default_factory=dict)
    """Reason -> nanoseconds for which it held the clocks, since the driver was loaded."""
    processes: tuple[Process, ...] | None = None
    profiling: str = ""
    """Why there are no GPM metrics, or not all; empty where there are, or none are asked for."""


@dataclass(frozen=True)
class XidEvents:
    """XID events of one GPU since this exporter listens, by code."""

    last: int = 0
    counts: Mapping[int, int] = field(default_factory=dict)
    times: Mapping[int, float] = field(default_factory=dict)
    """Unix time of the last event of each code."""


@dataclass(frozen=True)
class GpuState:
    """One GPU: its sample, or the error that stands in its way."""

    identity: Identity
    sample: GpuSample | None
    error: str
    """Empty where there is none."""
    age: float | None
    """Seconds since its last good sample; None before the first."""
    failures: int
    down_since: float | None = None
    """Unix time since which it has no sample; None while it has."""
    xids: XidEvents | None = None
    """None where events cannot be listened to."""
    jobs: tuple[str, ...] = ()
    instance_jobs: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Jobs of its MIG instances, by GPU instance."""
    reason: str = ""
    """The error without what changes while it lasts."""


class Unreadable(NamedTuple):
    """A GPU that does not say who it is."""

    reason: str
    down_since: float | None
    """Unix time since which it has not."""


@dataclass(frozen=True)
class Snapshot:
    """Everything of one round."""

    hostname: str
    driver_error: str
    """Why NVML cannot be used, empty when it can."""
    driver_version: str
    gpus: tuple[GpuState, ...]
    unreadable: Mapping[int, Unreadable] = field(default_factory=dict)
    """By index."""
    shown: int = 0
    """GPUs that the driver shows now, working or not."""
    expected: int = 0
    """GPUs that there should be."""
    calls: Mapping[str, CallCount] = field(default_factory=dict)
    events_error: str = ""
    """Why XID events of a GPU, or of all, are not heard of."""
    unattributed_xids: Mapping[int, int] = field(default_factory=dict)
    """XID events by code of which it could not be told whose they were."""
    jobs_up: bool | None = None
    """Whether the jobs were read; None where nobody asks for them."""
    driver_reason: str = ""
    """The driver's error without what changes while it lasts."""
