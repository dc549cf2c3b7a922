"""What --list and --capture write; and captures read back. Pure."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import Any

from exporters.gpu.catalogue import Metric
from exporters.gpu.sample import (
    CallCount,
    GpuSample,
    GpuState,
    Identity,
    Instance,
    Process,
    Snapshot,
    Unreadable,
    XidEvents,
)

# What tells one machine from another.
_MASKED_LABELS = {"DCGM_FI_DEV_SERIAL"}


def table(snapshot: Snapshot, metrics: Sequence[Metric]) -> str:
    """Every metric: its set, where it comes from, and the GPUs that have it."""
    rows = [("METRIC", "SET", "SOURCE", "GPUS")]
    for metric in metrics:
        source = ", else ".join(value.text for value in metric.values)
        rows.append((metric.name, metric.set, source, _who_has(metric, snapshot)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "".join(f"{row[0]:{widths[0]}}  {row[1]:{widths[1]}}  {row[2]:{widths[2]}}  {row[3]}\n" for row in rows)


def _who_has(metric: Metric, snapshot: Snapshot) -> str:
    if snapshot.driver_error:
        return f"? ({snapshot.driver_error})"
    if metric.heard:
        return "? (events tell)"
    having = [str(gpu.identity.index) for gpu in snapshot.gpus if _has(gpu, metric.name)]
    if not having:
        return "none"
    return "all" if len(having) == len(snapshot.gpus) else ",".join(having)


def _has(gpu: GpuState, name: str) -> bool:
    """Whether the GPU, or a MIG instance of it, has a metric or label."""
    sample = gpu.sample or GpuSample()
    readings = (sample.values, *(instance.values for instance in sample.instances), dict(gpu.identity.labels))
    return any(name in values for values in readings)


def capture(snapshot: Snapshot) -> str:
    """A snapshot as JSON, without what tells this machine: UUIDs, serial numbers, bus ids, names, pids, jobs, times."""
    data = dataclasses.asdict(snapshot)
    data["hostname"] = "host"
    for number, gpu in enumerate(data["gpus"]):
        identity = gpu["identity"]
        identity["uuid"] = f"GPU-00000000-0000-0000-0000-{number:012d}"
        identity["pci_bus_id"] = f"00000000:{number + 1:02X}:00.0"
        identity["labels"] = [(name, "0" if name in _MASKED_LABELS else text) for name, text in identity["labels"]]
        gpu["jobs"], gpu["instance_jobs"], gpu["age"], gpu["down_since"] = [], {}, 0.1, None
        if gpu["xids"]:
            gpu["xids"]["times"] = dict.fromkeys(gpu["xids"]["times"], 0.0)
        for mig_number, instance in enumerate((gpu["sample"] or {}).get("instances", ())):
            instance["uuid"] = f"MIG-00000000-0000-0000-{number:04d}-{mig_number:012d}"
        for process_number, process in enumerate((gpu["sample"] or {}).get("processes") or ()):
            process["pid"], process["name"] = 1000 + process_number, "process"
        for text in ("error", "reason"):
            gpu[text] = re.sub(r"GPU-[0-9a-f-]+", "GPU", gpu[text])
    data["unreadable"] = {index: (reason, None) for index, (reason, _) in snapshot.unreadable.items()}
    data["calls"] = {}
    return json.dumps(data, indent=1) + "\n"


def from_capture(text: str) -> Snapshot:
    """The snapshot of a capture."""
    data: dict[str, Any] = json.loads(text)
    return Snapshot(
        **{
            **data,
            "gpus": tuple(_gpu(gpu) for gpu in data["gpus"]),
            "unreadable": {int(index): Unreadable(*one) for index, one in data["unreadable"].items()},
            "unattributed_xids": {int(code): count for code, count in data["unattributed_xids"].items()},
            "calls": {name: CallCount(**count) for name, count in data["calls"].items()},
        }
    )


def _gpu(data: dict[str, Any]) -> GpuState:
    identity = data["identity"]
    identity["labels"] = tuple((name, text) for name, text in identity["labels"])
    sample = data["sample"]
    if sample is not None:
        sample["instances"] = tuple(Instance(**instance) for instance in sample["instances"])
        if sample["processes"] is not None:
            sample["processes"] = tuple(Process(**process) for process in sample["processes"])
    xids = data["xids"]
    if xids is not None:
        xids = XidEvents(
            xids["last"],
            {int(code): count for code, count in xids["counts"].items()},
            {int(code): moment for code, moment in xids["times"].items()},
        )
    return GpuState(
        **{
            **data,
            "identity": Identity(**identity),
            "sample": None if sample is None else GpuSample(**sample),
            "xids": xids,
            "jobs": tuple(data["jobs"]),
        }
    )
