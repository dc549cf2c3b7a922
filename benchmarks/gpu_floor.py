"""What sampling and rendering cost without the exporter around them; run by benchmarks/gpu_exporter.py.

Prints CPU seconds of one round of all GPUs' bare calls and one rendering: made once a second, as the exporter does, in
so many rounds as the first argument says, and one after the other; and MiB of resident memory before and after as many
samples of each GPU as the second says.
"""

from __future__ import annotations

import ctypes
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml

from exporters import exposition
from exporters.gpu import collect
from exporters.gpu.__main__ import choose
from exporters.gpu.nvml.calls import total
from exporters.gpu.nvml.driver import Driver
from exporters.gpu.nvml.reader import Sampler
from exporters.gpu.sample import GpuState, Snapshot

ROUNDS = 200


def main() -> None:
    """Measure and print."""
    metrics = choose("extended")
    driver = Driver(metrics)
    inventory = driver.inventory()
    sampler = Sampler(metrics)
    readers = [sampler.reader(driver, gpu.uuid) for gpu in inventory.gpus]
    for reader in readers:
        reader()
    time.sleep(0.2)  # for the rates
    states = tuple(
        GpuState(identity, reader(), "", 0.1, 0) for identity, reader in zip(inventory.gpus, readers, strict=True)
    )
    counts = total(reader.calls for reader in readers)
    snapshot = Snapshot("host", "", inventory.driver_version, states, calls=counts)
    handles = [pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid) for gpu in inventory.gpus]
    fields = (pynvml.c_nvmlFieldValue_t * len(sampler.plan.fields))()
    for entry, (field, scope) in zip(fields, sampler.plan.fields, strict=True):
        entry.fieldId, entry.scopeId = field, scope
    get_fields = pynvml._nvmlGetFunctionPointer("nvmlDeviceGetFieldValues")
    calls = []
    for number, function, arguments in sampler.plan.calls:
        if number in sampler.plan.spare:
            continue  # asked for where a GPU lacks the first way; none here does
        try:
            function(handles[0], *arguments)
        except pynvml.NVMLError:
            continue  # asked for once a minute
        calls.append((function, arguments))
    queries = [query_of(handle, sampler.plan.gpm) for handle in handles]

    def once() -> None:
        for handle, query in zip(handles, queries, strict=True):
            for function, arguments in calls:
                function(handle, *arguments)
            get_fields(handle, len(fields), ctypes.byref(fields))
            pynvml.nvmlGpmSampleGet(handle, query.sample2)
            pynvml.nvmlGpmMetricsGet(query)
        exposition.render(collect.families(snapshot, metrics))

    floor, hot = cpu_of(once, int(sys.argv[1]), pause=1.0), cpu_of(once, ROUNDS, pause=0.0)
    for _ in range(200):  # what is made once is made
        for reader in readers:
            reader()
    before = resident_mib()
    for _ in range(int(sys.argv[2])):
        for reader in readers:
            reader()
    print(floor, hot, before, resident_mib())


def cpu_of(once: Callable[[], None], times: int, pause: float) -> float:
    """CPU seconds of one time of many, the first not counted."""
    once()
    used = 0.0
    for _ in range(times):
        time.sleep(pause)
        started = time.process_time()
        once()
        used += time.process_time() - started
    return used / times


def query_of(handle: Any, metrics: list[int]) -> Any:
    """A GPM query of one GPU with two samples."""
    query = pynvml.c_nvmlGpmMetricsGet_t()
    query.version, query.numMetrics = pynvml.NVML_GPM_METRICS_GET_VERSION, len(metrics)
    for number, metric in enumerate(metrics):
        query.metrics[number].metricId = metric
    query.sample1, query.sample2 = (pynvml.nvmlGpmSampleGet(handle, pynvml.nvmlGpmSampleAlloc()) for _ in "12")
    return query


def resident_mib() -> float:
    """VmRSS of this process."""
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
