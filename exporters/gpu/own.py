"""Families of our own: what tells whether DCGM's can be believed. Pure."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from functools import lru_cache

from exporters import VERSION
from exporters.exposition import Family, labels, number, single
from exporters.gpu.sample import GpuState, Identity, Snapshot


@lru_cache(maxsize=4096)
def _gpu_text(index: int, uuid: str, **more: str) -> str:
    """Rendered labels: most are the same in every round."""
    return labels({"gpu": str(index), "UUID": uuid, **more})


@lru_cache(maxsize=4096)
def _call_text(name: str) -> str:
    return labels({"call": name})


@lru_cache(maxsize=4096)
def _seconds(nanoseconds: int) -> str:
    return number(nanoseconds / 1e9)


def families(snapshot: Snapshot) -> Iterable[Family]:
    """All of them."""
    info = labels({"version": VERSION, "python": platform.python_version()})
    yield Family("gpu_watchdog_gpu_exporter_build_info", "gauge", "Version of this exporter.", [(info, "1")])
    up = 0 if snapshot.driver_error else 1
    yield single("gpu_watchdog_nvml_up", "1 if NVML answers, 0 if there is no driver or it does not.", up)
    errors = [(labels({"error": snapshot.driver_reason}), "1")] if snapshot.driver_reason else []
    yield Family("gpu_watchdog_nvml_error_info", "gauge", "Why NVML does not answer.", errors)
    yield single("gpu_watchdog_gpus", "GPUs the driver shows, working or not.", snapshot.shown)
    help = "GPUs there should be: RUNPOD_GPU_COUNT or --gpus-expected, else the most that were seen."
    yield single("gpu_watchdog_gpus_expected", help, snapshot.expected)
    yield from _state(snapshot)
    yield from _events(snapshot)
    yield from _use(snapshot)
    yield from _calls(snapshot)


def _state(snapshot: Snapshot) -> Iterable[Family]:
    each = _each(snapshot)
    unreadable = sorted(snapshot.unreadable.items())
    up = each(lambda gpu: 0 if gpu.sample is None else 1)
    up += [(labels({"gpu": str(index)}), "0") for index, _ in unreadable]
    yield Family("gpu_watchdog_gpu_up", "gauge", "1 if the GPU's last sample is good and fresh.", up)
    errors = [(_short(gpu.identity, error=gpu.reason), "1") for gpu in snapshot.gpus if gpu.reason]
    errors += [(labels({"gpu": str(index), "error": one.reason}), "1") for index, one in unreadable]
    yield Family("gpu_watchdog_gpu_error_info", "gauge", "Why a GPU has no values.", errors)
    help = "Unix time since which a GPU that is down has been."
    down = each(lambda gpu: None if gpu.down_since is None else round(gpu.down_since, 3))
    down += [
        (labels({"gpu": str(index)}), number(round(one.down_since, 3)))
        for index, one in unreadable
        if one.down_since is not None
    ]
    yield Family("gpu_watchdog_gpu_down_since_timestamp_seconds", "gauge", help, down)
    help = "Seconds from the GPU's last good sample to this page."
    age = each(lambda gpu: None if gpu.age is None else round(gpu.age, 3))
    yield Family("gpu_watchdog_gpu_sample_age_seconds", "gauge", help, age)
    help = "Samples of the GPU that failed or hung."
    yield Family("gpu_watchdog_gpu_sample_failures_total", "counter", help, each(lambda gpu: gpu.failures))
    profiling = [
        (_short(gpu.identity, reason=gpu.sample.profiling), "1")
        for gpu in snapshot.gpus
        if gpu.sample and gpu.sample.profiling
    ]
    yield Family("gpu_watchdog_gpu_profiling_unavailable_info", "gauge", "Why there is no DCGM_FI_PROF_*.", profiling)


def _events(snapshot: Snapshot) -> Iterable[Family]:
    counts, times = [], []
    for gpu in snapshot.gpus:
        for code, count in sorted((gpu.xids.counts if gpu.xids else {}).items()):
            counts.append((_short(gpu.identity, xid=str(code)), str(count)))
        for code, moment in sorted((gpu.xids.times if gpu.xids else {}).items()):
            times.append((_short(gpu.identity, xid=str(code)), number(round(moment, 3))))
    help = "XID events by code since this exporter started."
    yield Family("gpu_watchdog_gpu_xid_events_total", "counter", help, counts)
    help = "Unix time of the last XID event of a code."
    yield Family("gpu_watchdog_gpu_xid_last_timestamp_seconds", "gauge", help, times)
    help = "XID events of which the driver did not tell whose they were."
    lost = [(labels({"xid": str(code)}), str(count)) for code, count in sorted(snapshot.unattributed_xids.items())]
    yield Family("gpu_watchdog_xid_events_unattributed_total", "counter", help, lost)
    listens = 0 if snapshot.events_error else 1
    if snapshot.gpus:
        yield single("gpu_watchdog_xid_events_up", "1 if XID events are listened to.", listens)


def _use(snapshot: Snapshot) -> Iterable[Family]:
    throttled = [
        (_short(gpu.identity, reason=reason), _seconds(nanoseconds))
        for gpu in snapshot.gpus
        if gpu.sample
        for reason, nanoseconds in gpu.sample.throttled.items()
    ]
    help = "Time for which a reason held the clocks down, since the driver was loaded."
    yield Family("gpu_watchdog_gpu_throttle_seconds_total", "counter", help, throttled)
    if snapshot.jobs_up is not None:
        yield single("gpu_watchdog_gpu_jobs_up", "1 if the mapping directory of jobs was read.", int(snapshot.jobs_up))
    jobs = [(_short(gpu.identity, hpc_job=job), "1") for gpu in snapshot.gpus for job in gpu.jobs]
    jobs += [
        (_short(gpu.identity, GPU_I_ID=str(instance), hpc_job=job), "1")
        for gpu in snapshot.gpus
        for instance, ids in sorted(gpu.instance_jobs.items())
        for job in ids
    ]
    yield Family("gpu_watchdog_gpu_job_info", "gauge", "Jobs on a GPU, by the mapping directory.", jobs)
    memory = []
    for gpu in snapshot.gpus:
        for process in (gpu.sample.processes if gpu.sample else None) or ():
            names = {"pid": str(process.pid), "process_name": process.name, "type": process.kind}
            if process.memory is not None:
                memory.append((_short(gpu.identity, **names), str(process.memory)))
    help = "GPU memory that a process uses."
    yield Family("gpu_watchdog_gpu_process_memory_bytes", "gauge", help, memory)


def _calls(snapshot: Snapshot) -> Iterable[Family]:
    counts, seconds, errors = [], [], []
    for name, call in sorted(snapshot.calls.items()):
        text = _call_text(name)
        counts.append((text, str(call.calls)))
        seconds.append((text, number(round(call.seconds, 6))))
        for error, count in sorted(call.errors.items()) if call.errors else ():
            errors.append((labels({"call": name, "error": error}), str(count)))
    yield Family("gpu_watchdog_nvml_calls_total", "counter", "NVML calls made.", counts)
    yield Family("gpu_watchdog_nvml_call_seconds_total", "counter", "Time spent in NVML calls.", seconds)
    yield Family("gpu_watchdog_nvml_call_errors_total", "counter", "NVML calls that gave an error.", errors)


def _short(identity: Identity, **more: str) -> str:
    return _gpu_text(identity.index, identity.uuid, **more)


def _each(snapshot: Snapshot) -> Callable[[Callable[[GpuState], float | None]], list[tuple[str, str]]]:
    """Samples of one value per GPU; None is left out."""

    def samples(value: Callable[[GpuState], float | None]) -> list[tuple[str, str]]:
        found = ((_short(gpu.identity), value(gpu)) for gpu in snapshot.gpus)
        return [(text, number(one)) for text, one in found if one is not None]

    return samples
