"""The exporter's own work, as the benchmark needs it: refresh.py rounds COUNT | fresh COUNT | serve PORT

rounds: reads every source COUNT times and prints CPU seconds of this process and of its commands per round, MiB of
resident memory after a tenth of the rounds and at the end, and bytes of the page, plain and compressed. fresh: the
same, as if every node had changed since the round before. serve: answers on PORT while it refreshes without a pause.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from pathlib import Path

from exporters import exposition, sampling
from exporters.serving import listen, serve
from exporters.slurm.exporter import Exporter
from exporters.slurm.sources import Options

LONGEST_S = 120.0


def refresh(exporter: Exporter) -> None:
    """Every source once, and the pages."""
    sources = exporter.due(everything=True)
    sampling.ask(sources, LONGEST_S)
    exporter.publish()
    bad = [f"{source.name}: {error}" for source in sources if (error := source.reading().error)]
    if bad:
        raise RuntimeError("; ".join(bad))


def forget(exporter: Exporter) -> None:
    """What the exporter keeps of lines and families that were there before, as if all of them had changed."""
    exporter._renderer = exposition.Renderer()
    exporter._memory._rows.clear()
    exporter._asked["nodes"]._parser = exporter._asked["nodes"].kind.parser(Options())


def rounds(count: int, fresh: bool = False) -> None:
    """See above."""
    exporter = Exporter(5.0, Options(), 9400, 9341)
    exporter.metrics.gzip_was_asked()  # as Prometheus does
    for _ in range(2):  # what is made once is made
        refresh(exporter)
    own, commands, memory = _used(resource.RUSAGE_SELF), _used(resource.RUSAGE_CHILDREN), 0.0
    for number in range(count):
        if fresh:
            forget(exporter)
        refresh(exporter)
        if number == count // 10:
            memory = resident_mib()
    own, commands = _used(resource.RUSAGE_SELF) - own, _used(resource.RUSAGE_CHILDREN) - commands
    body = exporter.metrics.get()
    print(own / count, commands / count, memory, resident_mib(), len(body.body), len(body.gzipped()[1]))


def busy(port: int) -> None:
    """See above."""
    exporter = Exporter(5.0, Options(), 9400, port)
    refresh(exporter)

    def work() -> None:
        try:
            while True:
                refresh(exporter)
        finally:
            os._exit(1)  # or scrapes would be measured while nothing refreshes

    threading.Thread(target=work, daemon=True).start()
    serve("slurm-exporter", {"/metrics": exporter.metrics}, listen("127.0.0.1", port))


def _used(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def resident_mib() -> float:
    """Of this process."""
    text = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:"))) / 1024


if __name__ == "__main__":
    wanted, number = sys.argv[1], int(sys.argv[2])
    if wanted == "serve":
        busy(number)
    else:
        rounds(number, fresh=wanted == "fresh")
