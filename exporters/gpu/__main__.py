"""EDGE: the GPU exporter: python -m exporters.gpu, or gpu-exporter."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporters import command_line, exposition, sampling
from exporters.gpu import collect
from exporters.gpu.catalogue import Metric, load
from exporters.gpu.nvml import Driver, Sampler
from exporters.gpu.sample import GpuState, Identity, Inventory, Snapshot
from exporters.sampling import Source
from exporters.serving import Page, PageHolder, serve

NAME = "gpu-exporter"
PORT = 9400
INTERVAL_MS = 1000
INVENTORY_INTERVAL_S = 5.0
CALL_DEADLINE_S = 5.0

_BESIDE = Path(__file__).resolve().parents[2] / "conf/gpu-metrics.yaml"
_INSTALLED = Path(sys.prefix) / "share/gpu-watchdog/conf/gpu-metrics.yaml"


class Exporter:
    """The sources of one machine: the driver's inventory, and each GPU by its UUID."""

    def __init__(self, metrics: Sequence[Metric], hostname: str, interval: float, pages: PageHolder) -> None:
        self._metrics = metrics
        self._hostname = hostname
        self._interval = interval
        self._pages = pages
        self._sampler = Sampler(metrics)
        self._driver = Driver()
        self._inventory = Inventory()
        self._inventory_due = 0.0
        self._inventory_source: Source[Inventory] = Source(
            "NVML", self._driver.inventory, deadline=CALL_DEADLINE_S, max_age=4 * INVENTORY_INTERVAL_S
        )
        self._gpus: dict[str, tuple[Identity, Source[Mapping[str, str]]]] = {}

    def run(self) -> None:
        """Sample for ever."""
        self._look()
        sampling.run_rounds(self._interval, self._sources, self._publish)

    def _look(self) -> None:
        """Take the inventory, and go on without an answer after its deadline."""
        self._inventory_source.request()
        self._inventory_source.wait(time.monotonic() + CALL_DEADLINE_S)
        self._inventory_due = time.monotonic() + INVENTORY_INTERVAL_S
        self._follow()

    def _sources(self) -> list[Source[Mapping[str, str]]]:
        if time.monotonic() >= self._inventory_due:
            self._inventory_source.request()
            self._inventory_due = time.monotonic() + INVENTORY_INTERVAL_S
        self._follow()
        return [source for _, source in self._gpus.values()]

    def _follow(self) -> None:
        """Begin to read GPUs that came, stop with those that went; a GPU that cannot be identified is kept."""
        inventory = self._inventory_source.reading().value
        if inventory is None or inventory is self._inventory:
            return
        self._inventory = inventory
        listed = {identity.uuid: identity for identity in inventory.gpus}
        gone = [uuid for uuid in self._gpus if uuid not in listed] if not inventory.unreadable else []
        for uuid in gone:
            self._gpus.pop(uuid)[1].stop()
        for uuid, identity in listed.items():
            known = self._gpus.get(uuid)
            self._gpus[uuid] = (identity, known[1] if known else self._source(identity))

    def _source(self, identity: Identity) -> Source[Mapping[str, str]]:
        read = self._sampler.reader(self._driver, identity.uuid)
        max_age = max(3 * self._interval, self._interval + CALL_DEADLINE_S)
        return Source(f"GPU {identity.index} {identity.uuid}", read, deadline=CALL_DEADLINE_S, max_age=max_age)

    def _publish(self) -> None:
        inventory = self._inventory_source.reading()
        states = []
        for identity, source in sorted(self._gpus.values(), key=lambda entry: entry[0].index):
            reading = source.reading()
            states.append(GpuState(identity, reading.value, reading.error, reading.age, reading.failures))
        snapshot = Snapshot(
            hostname=self._hostname,
            driver_error=inventory.error,
            driver_version=self._inventory.driver_version,
            gpus=tuple(states),
            unreadable=self._inventory.unreadable,
        )
        body = exposition.render(collect.families(snapshot, self._metrics))
        self._pages.put(Page(body, collect.problems(snapshot), max_age=2 * self._interval + 2 * CALL_DEADLINE_S))


def main(argv: Sequence[str] | None = None) -> int:
    """Serve GPU metrics until told to stop."""
    parser = command_line.parser(
        NAME, "GPU metrics of this machine for Prometheus.", PORT, INTERVAL_MS, "DCGM_EXPORTER"
    )
    default = _BESIDE if _BESIDE.exists() else _INSTALLED
    parser.add_argument(
        "-f",
        "--collectors",
        default=os.environ.get("DCGM_EXPORTER_COLLECTORS", str(default)),
        help="catalogue of metrics ($DCGM_EXPORTER_COLLECTORS)",
    )
    parser.add_argument("--hostname", default=socket.gethostname(), help="value of the label Hostname")
    arguments = parser.parse_args(argv)
    command_line.log_to_stderr()
    interval = command_line.or_exit(NAME, lambda: command_line.interval_seconds(arguments.collect_interval))
    pages = PageHolder()

    def prepare() -> Exporter:
        text = Path(arguments.collectors).read_text(encoding="utf-8")
        return Exporter(load(text, arguments.collectors), arguments.hostname, interval, pages)

    exporter = command_line.or_exit(NAME, prepare)
    listener = command_line.listen_or_exit(NAME, arguments.address)
    command_line.in_background(exporter.run, "rounds")
    serve(NAME, pages, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
