"""Snapshot of all GPUs -> families under DCGM's names, and what makes this exporter unhealthy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporters.exposition import Family
from exporters.gpu import own
from exporters.gpu.catalogue import Metric
from exporters.gpu.sample import NO_DRIVER, GpuState, Identity, Snapshot
from exporters.gpu.xid import meaning


@dataclass(frozen=True)
class Options:
    """How the series are written."""

    hostname_label: str = "Hostname"
    """dcgm-exporter calls it hostname from 4.8.3 on."""
    duplicate_jobs: bool = False
    """As dcgm-exporter does: every series once for each job on its GPU, with the label hpc_job."""


def families(snapshot: Snapshot, metrics: Sequence[Metric], options: Options = Options()) -> Iterable[Family]:
    """DCGM's families first, then our own; a GPU without values has no series under DCGM's names."""
    series = [
        (text, values) for gpu in snapshot.gpus for texts, values in _series(gpu, snapshot, options) for text in texts
    ]
    for metric in metrics:
        if metric.type == "label":
            continue
        samples: list[tuple[str, str]] = []
        if metric.heard:
            samples = [sample for gpu in snapshot.gpus for sample in _xid(gpu, snapshot, options)]
        else:
            name = metric.name
            for text, values in series:
                if name in values:
                    samples.append((text, values[name]))
        yield Family(metric.name, metric.type, metric.help, samples)
    yield from own.families(snapshot)


def _series(gpu: GpuState, snapshot: Snapshot, options: Options) -> list[tuple[list[str], Mapping[str, str]]]:
    """The label texts and values of a GPU and of each of its MIG instances."""
    if gpu.sample is None:
        return []
    found = [(_texts(gpu, snapshot, options), gpu.sample.values)]
    for instance in gpu.sample.instances:
        names = {"GPU_I_PROFILE": instance.profile, "GPU_I_ID": str(instance.gpu_instance_id)}
        jobs = gpu.instance_jobs.get(instance.gpu_instance_id) or gpu.jobs
        found.append((_texts(gpu, snapshot, options, names, jobs=jobs), instance.values))
    return found


def _xid(gpu: GpuState, snapshot: Snapshot, options: Options) -> list[tuple[str, str]]:
    if gpu.xids is None or gpu.sample is None:
        return []
    code = gpu.xids.last
    extra = {"err_code": str(code), "err_msg": meaning(code)}
    return [(text, str(code)) for text in _texts(gpu, snapshot, options, attributes=extra)]


def _texts(
    gpu: GpuState,
    snapshot: Snapshot,
    options: Options,
    instance: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
    jobs: Sequence[str] | None = None,
) -> list[str]:
    """One label text, or one for each job where series are duplicated."""
    jobs = gpu.jobs if jobs is None else jobs
    if options.duplicate_jobs and jobs:
        each = [{**(attributes or {}), "hpc_job": job} for job in jobs]
        return [_text(gpu, snapshot, options, instance, more) for more in each]
    return [_text(gpu, snapshot, options, instance, attributes)]


def _text(gpu: GpuState, snapshot: Snapshot, options: Options, *more: Mapping[str, str] | None) -> str:
    return own.label_text(tuple(gpu_labels(gpu.identity, snapshot, options, *more).items()))


def gpu_labels(
    identity: Identity,
    snapshot: Snapshot,
    options: Options,
    instance: Mapping[str, str] | None = None,
    attributes: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """dcgm-exporter's labels in its order (internal/pkg/rendermetrics)."""
    return {
        "gpu": str(identity.index),
        "UUID": identity.uuid,
        "pci_bus_id": identity.pci_bus_id,
        "device": f"nvidia{identity.minor}",
        "modelName": identity.model,
        **(instance or {}),
        options.hostname_label: snapshot.hostname,
        **dict(identity.labels),
        **dict(sorted((attributes or {}).items())),
    }


def problems(snapshot: Snapshot) -> list[str]:
    """What makes this exporter unhealthy: a driver or GPU that fails. A machine without any does not."""
    found = [f"GPU {gpu.identity.index} ({gpu.identity.uuid}): {gpu.error}" for gpu in snapshot.gpus if gpu.error]
    found += [f"GPU {index}: {error}" for index, error in sorted(snapshot.unreadable.items())]
    if snapshot.driver_error and (snapshot.gpus or snapshot.driver_error != NO_DRIVER):
        found.append(f"NVML: {snapshot.driver_error}")
    if snapshot.shown < snapshot.expected:
        found.append(f"{snapshot.shown} of {snapshot.expected} GPUs are seen")
    return found
