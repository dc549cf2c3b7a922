"""Slurm's commands as small shell scripts that print what a test says, and rounds of an exporter that runs them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from exporters import sampling
from exporters.sampling import Source
from exporters.slurm.exporter import Exporter
from exporters.slurm.sources import Options
from tests.exporters.slurm.building import job_line, jobs, node_line, started
from tests.exporters.slurm.samples import CONFIG, NEWER_SDIAG, PARTITION, RESERVATION, SHARES

LONG_S = 60.0
"""Longer than any test takes."""

SCRIPT = """\
#!/bin/sh
case "$0 $*" in
*/squeue*) name=jobs ;;
*/sdiag*) name=sdiag ;;
*/sshare*) name=shares ;;
*ping) name=controllers ;;
*show\\ config) name=config ;;
*show\\ nodes) name=nodes ;;
*show\\ partitions) name=partitions ;;
*show\\ reservations) name=reservations ;;
*show\\ licenses) name=licenses ;;
*) echo "not known: $0 $*" >&2; exit 9 ;;
esac
echo "$name" >>{directory}/asked
if [ -e {directory}/$name.sh ]; then . {directory}/$name.sh; fi
# What separates squeue's columns has a token that is new in each process.
token=$(printf '%s' "$*" | /bin/sed -n 's/.*\\x1e//p')
[ -z "$token" ] || exec /bin/sed "s/\\x1d/&$token/g; s/\\x1e/&$token/g" {directory}/$name
exec /bin/cat {directory}/$name
"""

NODES = (
    node_line("head", "IDLE", gres="gpu:h100:8(S:0-1)", more="GresUsed=gpu:h100:3(IDX:0-2) ", allocated=3)
    + node_line("w1", "MIXED+DRAIN", rest=" Reason=odd | reason, 'quoted' [root@1669000000]")
    + node_line("w2", "DOWN*", rest=" Reason=Not responding [slurm@1669000000]")
)
JOBS = (
    jobs(3, reason="Resources", cpus=2, gpus={"h100": 1})
    + jobs(1, reason="Dependency", username="bob", account="else")
    + started(60, 30)
    + job_line(state="FAILED", reason="NonZeroExitCode")
)
_TEXTS = {
    "controllers": "Slurmctld(primary) at head is UP\n",
    "nodes": NODES,
    "partitions": PARTITION.format(name="gpu", most="UNLIMITED", state="UP")
    + PARTITION.format(name="long", most="2", state="DOWN"),
    "sdiag": NEWER_SDIAG.replace("\tNo pending RPCs", "\tREQUEST_JOB_INFO ( 2003) count:7"),
    "config": CONFIG,
    "reservations": RESERVATION.format(name="maint", partition="gpu", rest=""),
    "licenses": "LicenseName=matlab Total=5 Used=2 Free=3 Reserved=0 Remote=no\n",
    "shares": SHARES,
}
OUTPUTS = {"jobs": JOBS, **{name: text.encode() for name, text in _TEXTS.items()}}
"""Of each source."""


class Slurm:
    """A cluster that is nothing but scripts."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.bin = directory / "bin"
        self.bin.mkdir()
        for name in ("squeue", "sdiag", "sshare", "scontrol"):
            self.install(name)
        for name, output in OUTPUTS.items():
            self.prints(name, output)

    def install(self, name: str) -> None:
        """Put a command on PATH."""
        path = self.bin / name
        path.write_text(SCRIPT.replace("{directory}", str(self._directory)))
        path.chmod(0o755)

    def prints(self, source: str, output: str | bytes) -> None:
        """From now on."""
        path = self._directory / f"{source}.new"
        path.write_bytes(output.encode() if isinstance(output, str) else output)
        path.rename(self._directory / source)

    def does(self, source: str, script: str) -> None:
        """What its command does before it prints; nothing for an empty script."""
        path = self._directory / f"{source}.sh"
        path.with_suffix(".new").write_text(script.replace("DIRECTORY", str(self._directory)))
        path.with_suffix(".new").rename(path)

    def fails(self, *sources: str, words: str = "Unable to contact slurm controller (connect failure)") -> None:
        """From now on."""
        for source in sources:
            self.does(source, f"echo 'slurm_load error: {words}' >&2; exit 1")

    def works(self, *sources: str) -> None:
        """Again."""
        for source in sources:
            self.does(source, "")

    def asked(self) -> list[str]:
        """The sources that were asked since this was called last."""
        path = self._directory / "asked"
        found = path.read_text().split() if path.exists() else []
        path.write_text("")
        return sorted(found)

    def pids(self, name: str) -> list[int]:
        """What commands wrote with `echo $$ >>DIRECTORY/name`."""
        path = self._directory / name
        return [int(line) for line in path.read_text().split()] if path.exists() else []


INTERVAL_S = 10.0


class Clock:
    """The time that the exporter sees."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


def made(options: Options) -> Iterator[Exporter]:
    """An exporter whose threads end after the test."""
    exporter = Exporter(INTERVAL_S, options, gpu_port=9400, own_port=9341)
    yield exporter
    for source in exporter.due(everything=True):
        source.stop()


def metrics(exporter: Exporter) -> dict[str, str]:
    return page(exporter.metrics.get().body)


def families(exporter: Exporter) -> set[str]:
    """Names without those that the exporter has of itself."""
    return {
        text.partition("{")[0] for text in metrics(exporter) if not text.startswith(("slurm_exporter_", "slurm_up"))
    }


def error(exporter: Exporter, source: str) -> str:
    """Class of the error that a source has now, empty if it is up."""
    found = metrics(exporter)
    prefix = f'slurm_exporter_source_error_info{{source="{source}",class="'
    classes = [text.removeprefix(prefix).partition('"')[0] for text in found if text.startswith(prefix)]
    up = found[f'slurm_exporter_source_up{{source="{source}"}}']
    assert len(classes) == (up == "0")
    return classes[0] if classes else ""


def a_round(exporter: Exporter, everything: bool = False, most: float = LONG_S) -> list[str]:
    """What was due, asked and published."""
    due: list[Source[object]] = exporter.due(everything)
    sampling.ask(due, most)
    exporter.publish()
    return sorted(source.name for source in due)


def page(body: bytes) -> dict[str, str]:
    """Name and labels -> value."""
    lines = [line for line in body.decode().split("\n") if line and not line.startswith("#")]
    found = {name: value for name, _, value in (line.rpartition(" ") for line in lines)}
    assert len(found) == len(lines)
    return found


def until(condition: Callable[[], bool]) -> None:
    """Poll until a condition holds; fails after a long time."""
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False
