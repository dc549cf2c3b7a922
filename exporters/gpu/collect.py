"""Snapshot of all GPUs -> families under DCGM's names, and what makes this exporter unhealthy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import ne

from exporters.exposition import Family, labels
from exporters.gpu import own
from exporters.gpu.catalogue import Metric
from exporters.gpu.sample import NO_DRIVER, GpuState, Identity, Snapshot
from exporters.gpu.xid import meaning

Pairs = tuple[tuple[str, str], ...]
"""Labels and their values."""


@dataclass(frozen=True)
class Options:
    """How the series are written."""

    hostname_label: str = "Hostname"
    """dcgm-exporter calls it hostname from 4.8.3 on."""
    duplicate_jobs: bool = False
    """As dcgm-exporter does: every series once for each job on its GPU, with the label hpc_job."""


def families(snapshot: Snapshot, metrics: Sequence[Metric], options: Options = Options()) -> Iterable[Family]:
    """DCGM's families first, then our own; a GPU without values has no series under DCGM's names."""
    return Collector(metrics, options).families(snapshot)


class Collector:
    """Makes the families of one snapshot after the other; one that is as it was before is the same object."""

    def __init__(self, metrics: Sequence[Metric], options: Options) -> None:
        self._metrics = [metric for metric in metrics if metric.type != "label"]
        self._names = [metric.name for metric in self._metrics]
        self._options = options
        self._texts: list[str] = []
        self._columns: list[tuple[str | None, ...] | None] = []
        """Of each metric the values of all series."""
        self._made: list[Family] = []

    def families(self, snapshot: Snapshot) -> Iterable[Family]:
        """See the function of this name."""
        series = [
            (text, values) for gpu in snapshot.gpus for texts, values in self._series(gpu, snapshot) for text in texts
        ]
        texts = [text for text, _ in series]
        if texts != self._texts or not self._made:
            self._texts = texts
            self._columns = [None] * len(self._metrics)
            self._made = [Family(metric.name, metric.type, metric.help) for metric in self._metrics]
        rows = [map(values.get, self._names) for _, values in series]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._metrics)
        for number in compress(range(len(columns)), map(ne, columns, self._columns)):
            samples = [(text, value) for text, value in zip(texts, columns[number], strict=True) if value is not None]
            self._made[number] = self._made[number]._replace(samples=samples)
        self._columns = list(columns)
        for number, metric in enumerate(self._metrics):
            if metric.heard:
                samples = [sample for gpu in snapshot.gpus for sample in self._xid(gpu, snapshot)]
                self._made[number] = self._made[number]._replace(samples=samples)
        return [*self._made, *own.families(snapshot)]

    def _series(self, gpu: GpuState, snapshot: Snapshot) -> list[tuple[list[str], Mapping[str, str]]]:
        """The label texts and values of a GPU and of each of its MIG instances."""
        if gpu.sample is None:
            return []
        found = [(self._label_texts(gpu, snapshot, gpu.jobs), gpu.sample.values)]
        for instance in gpu.sample.instances:
            names = (("GPU_I_PROFILE", instance.profile), ("GPU_I_ID", str(instance.gpu_instance_id)))
            jobs = gpu.instance_jobs.get(instance.gpu_instance_id) or gpu.jobs
            found.append((self._label_texts(gpu, snapshot, jobs, instance=names), instance.values))
        return found

    def _xid(self, gpu: GpuState, snapshot: Snapshot) -> list[tuple[str, str]]:
        if gpu.xids is None or gpu.sample is None:
            return []
        code = str(gpu.xids.last)
        extra = (("err_code", code), ("err_msg", meaning(gpu.xids.last)))
        return [(text, code) for text in self._label_texts(gpu, snapshot, gpu.jobs, attributes=extra)]

    def _label_texts(
        self, gpu: GpuState, snapshot: Snapshot, jobs: Sequence[str], instance: Pairs = (), attributes: Pairs = ()
    ) -> list[str]:
        """One label text, or one for each job where series are duplicated."""
        each = [attributes]
        if self._options.duplicate_jobs and jobs:
            each = [(*attributes, ("hpc_job", job)) for job in jobs]
        hostname = (self._options.hostname_label, snapshot.hostname)
        return [_label_text(gpu.identity, instance, hostname, more) for more in each]


@lru_cache(maxsize=4096)
def _label_text(identity: Identity, instance: Pairs, hostname: tuple[str, str], attributes: Pairs) -> str:
    """dcgm-exporter's labels in its order (internal/pkg/rendermetrics)."""
    return labels(
        {
            "gpu": str(identity.index),
            "UUID": identity.uuid,
            "pci_bus_id": identity.pci_bus_id,
            "device": f"nvidia{identity.index}",  # whatever its minor number: so it is there
            "modelName": identity.model,
            **dict((*instance, hostname, *identity.labels, *sorted(attributes))),
        }
    )


def problems(snapshot: Snapshot) -> list[str]:
    """What makes this exporter unhealthy: a driver or GPU that fails. A machine without any does not."""
    found = [f"GPU {gpu.identity.index} ({gpu.identity.uuid}): {gpu.error}" for gpu in snapshot.gpus if gpu.error]
    found += [f"GPU {index}: {one.reason}" for index, one in sorted(snapshot.unreadable.items())]
    if snapshot.driver_error and (snapshot.gpus or snapshot.driver_error != NO_DRIVER):
        found.append(f"NVML: {snapshot.driver_error}")
    if snapshot.shown < snapshot.expected:
        found.append(f"{snapshot.shown} of {snapshot.expected} GPUs are seen")
    return found
