"""One GPU, read: calls, field values, GPM and its MIG instances."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from typing import Any

import pynvml

from exporters.gpu.catalogue import Metric
from exporters.gpu.nvml import fields, gpm, mig, processes
from exporters.gpu.nvml.calls import ABSENT, DRIVER_GONE, UNSUPPORTED, Calls, NvmlError
from exporters.gpu.nvml.driver import Driver
from exporters.gpu.nvml.plan import Answers, Plan, Values
from exporters.gpu.sample import GpuSample, Process

RETRY_S = 60.0
"""What a GPU does not have is asked for again then: a mode may have changed."""
MIG_LOOK_S = 5.0
log = logging.getLogger(__name__)


class Sampler:
    """What is the same for all GPUs."""

    def __init__(self, metrics: Sequence[Metric], *, processes: bool = False, longest_rate: float = math.inf) -> None:
        """Raises CatalogueError for a function or constant that nvidia-ml-py does not have."""
        self.plan = Plan(metrics, throttling=True, longest_rate=longest_rate)
        self.mig_plan = Plan([metric for metric in metrics if metric.mig], longest_rate=longest_rate)
        self.processes = processes
        self._told: set[str] = set()

    def tell_of_profiling(self, problem: str) -> None:
        """Log each problem once, not for each GPU that has it."""
        if problem and problem not in self._told:
            self._told.add(problem)
            log.info("no profiling (DCGM_FI_PROF_*) where the GPU, or its driver, says: %s", problem)

    def reader(self, driver: Driver, uuid: str) -> Reader:
        """A reader of one GPU."""
        return Reader(self, driver, uuid)


class Reader:
    """Reads one GPU, in one thread."""

    def __init__(self, sampler: Sampler, driver: Driver, uuid: str) -> None:
        self.calls = Calls()
        self._sampler = sampler
        self._driver = driver
        self._uuid = uuid
        self._generation = -1
        self._handle: Any = None
        self._values = Values(sampler.plan)
        self._retry: dict[int, float] = {}
        self._unneeded: set[int] = set()
        self._fields = fields.Fields(sampler.plan.fields, sampler.plan.unsigned)
        self._gpm: gpm.Pair | None = None
        self._gpm_problem = ""
        self._gpm_due = 0.0
        self._instances: list[mig.MigDevice] = []
        self._mig_due = 0.0

    def __call__(self) -> GpuSample:
        """Sample it; raises NvmlError when it fails."""
        if self._driver.lost:
            raise NvmlError("the driver was unloaded")
        try:
            if self._handle is None or self._generation != self._driver.generation:
                self._start()
            return self._sample()
        except pynvml.NVMLError as error:
            self._handle = None
            if error.value in DRIVER_GONE:
                self._driver.mark_lost(self._generation)
            raise NvmlError(str(error)) from None

    def close(self) -> None:
        """Give back what NVML holds for it."""
        if self._gpm:
            self._gpm.close()
        for instance in self._instances:
            instance.close()

    def _start(self) -> None:
        """Begin with a new handle. What belonged to a driver that is gone is forgotten, not given back to another."""
        if self._generation == self._driver.generation:
            self.close()
        self._generation = self._driver.generation
        self._handle = self.calls(pynvml.nvmlDeviceGetHandleByUUID, self._uuid)
        self._retry, self._unneeded = {}, set()
        self._gpm, self._gpm_problem, self._gpm_due = None, "", 0.0
        self._instances, self._mig_due = [], 0.0

    def _sample(self) -> GpuSample:
        plan, handle = self._sampler.plan, self._handle
        answers = Answers()
        refused = self._ask_calls(answers)
        if plan.fields:
            answers.time = time.monotonic()
            try:
                answers.fields = self._fields.read(self.calls, handle)
            except pynvml.NVMLError as error:
                if error.value not in ABSENT:
                    raise
                refused = refused or error
        if plan.gpm:
            answers.gpm = self._profile()
            self._sampler.tell_of_profiling(self._gpm_problem)
        self._unneeded = plan.unneeded(answers)
        # A GPU that refuses every single call is not one without readings: it fails.
        if refused and not (answers.calls or answers.fields or answers.gpm):
            raise refused
        return GpuSample(
            values=self._values.printed(answers),
            instances=self._read_instances(),
            throttled=self._values.throttled(answers, self._driver.version),
            processes=self._processes(),
            profiling=self._gpm_problem,
        )

    def _ask_calls(self, answers: Answers) -> pynvml.NVMLError | None:
        """Make all calls; the last refusal."""
        plan, now, refused = self._sampler.plan, time.monotonic(), None
        for number in [number for number, due in self._retry.items() if due <= now]:
            del self._retry[number]
        answers.calls, refusals = self.calls.each(self._handle, plan.calls, but=self._unneeded.union(self._retry))
        for number, error in refusals:
            if error.value in UNSUPPORTED:
                self._retry[number] = now + RETRY_S
            else:
                refused = error
        return refused

    def _profile(self) -> dict[int, float]:
        now = time.monotonic()
        try:
            if self._gpm is None and now >= self._gpm_due:
                self._gpm_due = now + RETRY_S
                self._gpm_problem = gpm.unsupported(self.calls, self._handle)
                if not self._gpm_problem:
                    handle = self._handle
                    self._gpm = gpm.Pair(self.calls, self._sampler.plan.gpm, gpm.of_gpu(handle))
            if self._gpm is None:
                return {}
            found = self._gpm.read()
            self._gpm_problem = self._gpm.problem
            return found
        except pynvml.NVMLError as error:
            if self._gpm:
                self._gpm.close()
                self._gpm = None
            if error.value not in ABSENT:
                raise
            self._gpm_problem = str(error)
            return {}

    def _read_instances(self) -> tuple[Any, ...]:
        now = time.monotonic()
        if now >= self._mig_due:
            self._mig_due = now + MIG_LOOK_S
            self._instances = mig.listed(self.calls, self._handle, self._sampler.mig_plan, self._instances)
        found = []
        for instance in self._instances:
            values = instance.read(self.calls)
            if values is None:
                self._mig_due = 0.0  # it is gone, or has just come
            else:
                found.append(values)
        return tuple(found)

    def _processes(self) -> tuple[Process, ...] | None:
        return processes.listed(self.calls, self._handle) if self._sampler.processes else None
