"""Snapshot of all GPUs -> families. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from exporters.exposition import Family, labels, number, single
from exporters.gpu.catalogue import Metric
from exporters.gpu.sample import NO_DRIVER, GpuState, Identity, Snapshot


def families(snapshot: Snapshot, metrics: Sequence[Metric]) -> Iterable[Family]:
    """DCGM's families first, then our own; a GPU without values has no series under DCGM's names."""
    rendered = [(gpu, gpu_labels(gpu.identity, snapshot)) for gpu in snapshot.gpus]
    for metric in metrics:
        samples = []
        for gpu, label_text in rendered:
            value = gpu.values.get(metric.name) if gpu.values is not None else None
            if value is not None:
                samples.append((label_text, value))
        yield Family(metric.name, metric.type, metric.help, samples)
    yield from _own(snapshot)


def gpu_labels(identity: Identity, snapshot: Snapshot) -> str:
    """dcgm-exporter's labels in its order (internal/pkg/rendermetrics)."""
    pairs = {
        "gpu": str(identity.index),
        "UUID": identity.uuid,
        "pci_bus_id": identity.pci_bus_id,
        "device": f"nvidia{identity.minor}",
        "modelName": identity.model,
        "Hostname": snapshot.hostname,
    }
    if snapshot.driver_version:
        pairs["DCGM_FI_DRIVER_VERSION"] = snapshot.driver_version
    return labels(pairs)


def _own(snapshot: Snapshot) -> Iterable[Family]:
    yield single("gpu_watchdog_nvml_up", "1 if NVML answers, 0 if there is no driver or it does not.", _up(snapshot))
    errors = [(labels({"error": snapshot.driver_error}), "1")] if snapshot.driver_error else []
    yield Family("gpu_watchdog_nvml_error_info", "gauge", "Why NVML does not answer.", errors)
    visible = len(snapshot.gpus) + len(snapshot.unreadable)
    yield single("gpu_watchdog_gpus", "GPUs the driver shows, working or not.", visible)
    yield Family(
        "gpu_watchdog_gpu_up", "gauge", "1 if the GPU's last sample is good and fresh.", _each(snapshot, _gpu_up)
    )
    errors = [(_short({"error": gpu.error}, gpu.identity), "1") for gpu in snapshot.gpus if gpu.error]
    errors += [(labels({"gpu": str(index), "error": text}), "1") for index, text in sorted(snapshot.unreadable.items())]
    yield Family("gpu_watchdog_gpu_error_info", "gauge", "Why a GPU has no values.", errors)
    help = "Seconds from the GPU's last good sample to this page."
    yield Family("gpu_watchdog_gpu_sample_age_seconds", "gauge", help, _each(snapshot, _age))
    help = "Samples of the GPU that failed or hung."
    yield Family("gpu_watchdog_gpu_sample_failures_total", "counter", help, _each(snapshot, _failures))


def _up(snapshot: Snapshot) -> int:
    return 0 if snapshot.driver_error else 1


def _short(first: dict[str, str], identity: Identity) -> str:
    return labels({"gpu": str(identity.index), "UUID": identity.uuid, **first})


def _each(snapshot: Snapshot, value: Callable[[GpuState], float | None]) -> list[tuple[str, str]]:
    samples = []
    for gpu in snapshot.gpus:
        found = value(gpu)
        if found is not None:
            samples.append((_short({}, gpu.identity), number(found)))
    return samples


def _gpu_up(gpu: GpuState) -> int:
    return 0 if gpu.values is None else 1


def _age(gpu: GpuState) -> float | None:
    return None if gpu.age is None else round(gpu.age, 3)


def _failures(gpu: GpuState) -> int:
    return gpu.failures


def problems(snapshot: Snapshot) -> list[str]:
    """What makes this exporter unhealthy: a driver or GPU that fails. A machine without any does not."""
    found = [f"GPU {gpu.identity.index} ({gpu.identity.uuid}): {gpu.error}" for gpu in snapshot.gpus if gpu.error]
    found += [f"GPU {index}: {error}" for index, error in sorted(snapshot.unreadable.items())]
    if snapshot.driver_error and (snapshot.gpus or snapshot.driver_error != NO_DRIVER):
        found.append(f"NVML: {snapshot.driver_error}")
    return found
