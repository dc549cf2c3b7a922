"""EDGE: the GPU exporter's rounds: the inventory, every GPU in its own thread, events, jobs -> one page."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exporters import exposition, sampling
from exporters.gpu import collect, jobs
from exporters.gpu.catalogue import Gpm, Metric
from exporters.gpu.nvml import calls
from exporters.gpu.nvml.driver import Driver
from exporters.gpu.nvml.events import Listener
from exporters.gpu.nvml.reader import Reader, Sampler
from exporters.gpu.sample import CallCount, GpuSample, GpuState, Identity, Inventory, Snapshot, Unreadable
from exporters.pages import Page, PageHolder
from exporters.sampling import Source

INVENTORY_INTERVAL_S = 5.0
CALL_DEADLINE_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """What the command line asks for."""

    metrics: tuple[Metric, ...]
    hostname: str
    interval: float
    """Seconds."""
    options: collect.Options = field(default_factory=collect.Options)
    processes: bool = False
    expected: int = 0
    """GPUs there should be; 0: the most that were seen."""
    jobs_folder: Path | None = None


class Exporter:
    """The sources of one machine: the driver's inventory, and each GPU by its UUID."""

    def __init__(self, setup: Setup, pages: PageHolder) -> None:
        """Raises CatalogueError for what nvidia-ml-py does not have."""
        self._setup = setup
        self._pages = pages
        self._sampler = Sampler(setup.metrics, processes=setup.processes, longest_rate=self._max_age())
        # Half of what the inventory has: one GPU that does not say its name must not keep the list of the others.
        self._driver = Driver(setup.metrics, deadline=CALL_DEADLINE_S / 2)
        self._events = Listener(self._driver)
        self._inventory = Inventory()
        self._inventory_due = 0.0
        self._inventory_source: Source[Inventory] = Source(
            "NVML",
            self._driver.inventory,
            deadline=CALL_DEADLINE_S,
            max_age=4 * INVENTORY_INTERVAL_S + setup.interval,
            doing=lambda: self._driver.calls.current,
        )
        self._jobs_source: Source[dict[jobs.Place, tuple[str, ...]]] | None = None
        if folder := setup.jobs_folder:
            self._jobs_source = Source(
                "jobs", lambda: jobs.read(folder), deadline=CALL_DEADLINE_S, max_age=self._max_age()
            )
        self._gpus: dict[str, tuple[Identity, Source[GpuSample], Reader]] = {}
        self._collector = collect.Collector(setup.metrics, setup.options)
        self._renderer = exposition.Renderer()
        self._most_seen = 0
        self._down_since: dict[str | int, float] = {}
        """By UUID, or by index where there is none to be had."""
        self._wants_xids = any(metric.heard for metric in setup.metrics)

    def run(self) -> None:
        """Sample for ever."""
        self.look()
        if self._wants_xids:
            threading.Thread(target=self._events.run, name="events", daemon=True).start()
        sampling.run_rounds(self._setup.interval, self.sources, self._publish)

    def look(self) -> None:
        """Take the inventory and read the jobs, and go on without an answer after their deadline."""
        first = [source for source in (self._inventory_source, self._jobs_source) if source]
        for source in first:
            source.request()
        for source in first:
            source.wait(time.monotonic() + source.deadline)
        self._inventory_due = time.monotonic() + INVENTORY_INTERVAL_S
        self._follow()

    def sources(self) -> list[Source[GpuSample]]:
        """What is to be read in this round."""
        if time.monotonic() >= self._inventory_due or self._driver.lost:
            self._inventory_source.request()
            self._inventory_due = time.monotonic() + INVENTORY_INTERVAL_S
        if self._jobs_source:
            self._jobs_source.request()
        self._follow()
        return [source for _, source, _ in self._gpus.values()]

    def _follow(self) -> None:
        """Begin to read GPUs that came. One that went is asked for until it is back, and told to be down."""
        inventory = self._inventory_source.reading().value
        if inventory is None or inventory is self._inventory:
            return
        changed = inventory.gpus != self._inventory.gpus
        self._inventory = inventory
        for identity in inventory.gpus:
            known = self._gpus.get(identity.uuid)
            self._gpus[identity.uuid] = (identity, *(known[1:] if known else self._new(identity)))
        self._most_seen = max(self._most_seen, len(inventory.gpus) + len(inventory.unreadable))
        if changed:
            self._events.follow(inventory)

    def _new(self, identity: Identity) -> tuple[Source[GpuSample], Reader]:
        reader = self._sampler.reader(self._driver, identity.uuid)
        source: Source[GpuSample] = Source(
            f"GPU {identity.index} {identity.uuid}",
            reader,
            deadline=CALL_DEADLINE_S,
            max_age=self._max_age(),
            doing=lambda: reader.calls.current,
        )
        return source, reader

    def _max_age(self) -> float:
        """Of what is read in each round."""
        return max(3 * self._setup.interval, self._setup.interval + CALL_DEADLINE_S)

    def snapshot(self) -> Snapshot:
        """Everything as it is now."""
        inventory = self._inventory_source.reading()
        jobs_by_place = self._jobs_source.reading().value if self._jobs_source else None
        by_index = jobs_by_place or {}
        listed = {identity.uuid for identity in self._inventory.gpus}
        unreadable = dict(self._inventory.unreadable)
        states = []
        for identity, source, _ in sorted(self._gpus.values(), key=lambda entry: entry[0].index):
            reading = source.reading()
            error, reason = reading.error, reading.reason
            # What cannot be named at the place of a GPU that is not listed is this GPU.
            if identity.uuid not in listed and unreadable.pop(identity.index, None) is None:
                error, reason = (f"the driver does not show it{text and f' ({text})'}" for text in (error, reason))
            states.append(
                GpuState(
                    identity=identity,
                    sample=None if error else reading.value,
                    error=error,
                    age=reading.age,
                    failures=reading.failures,
                    down_since=self._since(identity.uuid) if error else None,
                    xids=self._events.heard(identity.uuid) if self._wants_xids else None,
                    jobs=by_index.get((identity.index, None), ()),
                    instance_jobs={
                        instance: ids
                        for (index, instance), ids in by_index.items()
                        if instance is not None and index == identity.index
                    },
                    reason=reason,
                )
            )
        places = {index: Unreadable(text, self._since(index)) for index, text in unreadable.items()}
        down = {*places, *(state.identity.uuid for state in states if state.error)}
        self._down_since = {name: since for name, since in self._down_since.items() if name in down}
        return Snapshot(
            hostname=self._setup.hostname,
            driver_error=inventory.error,
            driver_version=self._inventory.driver_version,
            gpus=tuple(states),
            unreadable=places,
            shown=0 if inventory.error else len(self._inventory.gpus) + len(self._inventory.unreadable),
            expected=self._setup.expected or self._most_seen,
            calls=self._calls(),
            events_error=self._events.error if self._wants_xids else "",
            unattributed_xids=self._events.unattributed(),
            jobs_up=jobs_by_place is not None if self._jobs_source else None,
            driver_reason=inventory.reason,
        )

    def _since(self, name: str | int) -> float:
        """When one that is down was first found to be."""
        return self._down_since.setdefault(name, time.time())

    def _calls(self) -> dict[str, CallCount]:
        readers = [reader.calls for _, _, reader in self._gpus.values()]
        return calls.total((*self._driver.all_calls(), self._events.calls, *readers))

    def _publish(self) -> None:
        snapshot = self.snapshot()
        body = self._renderer.render(self._collector.families(snapshot))
        max_age = 2 * self._setup.interval + 2 * CALL_DEADLINE_S
        self._pages.put(Page(body, collect.problems(snapshot), max_age=max_age))


def read_once(exporter: Exporter, metrics: Sequence[Metric]) -> Snapshot:
    """One snapshot, of two samples where a rate or GPM needs them."""
    exporter.look()
    rates = any(value.rate or any(isinstance(term, Gpm) for term in value.terms) for m in metrics for value in m.values)
    for last in (False, True) if rates else (True,):
        sources = exporter.sources()
        for source in sources:
            source.request()
        for source in sources:
            source.wait(time.monotonic() + source.deadline)
        if not last:
            time.sleep(0.2)
    return exporter.snapshot()
