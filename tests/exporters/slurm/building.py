"""What Slurm's commands print, and what is read of it, built for tests. Modelled on what Slurm's sources print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import Family, render
from exporters.slurm.parse import Parser, T_co
from exporters.slurm.parse.jobs import DETAILS, EACH, WHAT, WHO, Jobs, Queue
from exporters.slurm.parse.nodes import Node, node_state

NOW = 1_669_000_000
MIB = 1024**2

ANY_BYTES = st.binary(max_size=30)
ODD_TEXT = st.text(
    st.one_of(
        st.sampled_from("\\\"'{}=#|,:;%~*\x1d\x1e\x1f\x0b\x0c\x85\u2028\r\x00 äß中"), st.characters(codec="utf-8")
    ),
    min_size=1,
    max_size=30,
)
"""Any characters, those that mean something to someone more often."""

NODE = (
    "NodeName={name} Arch=x86_64 CoresPerSocket=8  CPUAlloc={allocated} CPUEfctv=8 CPUTot=8 CPULoad=0.10"
    " AvailableFeatures=(null) ActiveFeatures=(null) Gres={gres} {more}NodeAddr=10.0.0.5 NodeHostName={name}"
    " Version=22.05.8 OS=Linux 6.1.0 #1 SMP Debian 6.1.90-1  RealMemory=30000 AllocMem=512 FreeMem=100 Sockets=1"
    " Boards=1 State={state} ThreadsPerCore=1 TmpDisk=0 Weight=1 Owner=N/A MCS_label=N/A Partitions=gpu,long "
    " BootTime=1668000000 SlurmdStartTime=1668000100 LastBusyTime=1668000200 CfgTRES=cpu=8,mem=30000M,billing=8"
    " AllocTRES={tres} CapWatts=n/a CurrentWatts=n/s AveWatts=n/s{rest}\n"
)


def node_line(
    name: str = "pod-1",
    state: str = "IDLE+DYNAMIC_NORM",
    allocated: int = 0,
    gres: str = "(null)",
    more: str = "",
    tres: str = "",
    rest: str = "",
) -> str:
    """A line of `scontrol -o -d show nodes`."""
    return NODE.format(name=name, state=state, allocated=allocated, gres=gres, more=more, tres=tres, rest=rest)


def node(
    name: str = "n1",
    state: str = "IDLE",
    cpus: int = 8,
    allocated: int = 0,
    gpus: Mapping[str, int] | None = None,
    gpus_allocated: Mapping[str, int] | None = None,
    partitions: tuple[str, ...] = ("gpu",),
    **others: Any,
) -> Node:
    """A node."""
    values: dict[str, Any] = {
        "cpu_load": 0.5,
        "memory": 1000 * MIB,
        "memory_allocated": 0,
        "memory_free": 300 * MIB,
        "address": f"{name}.example",
        "version": "24.11.5",
        "reason": "",
        "reason_user": "",
        "reason_time": None,
        "boot_time": NOW - 500,
        "slurmd_start_time": NOW - 400,
        "last_busy_time": NOW - 300,
        **others,
    }
    return Node(
        name,
        node_state(state),
        cpus,
        allocated,
        gpus=gpus or {},
        gpus_allocated=gpus_allocated or {},
        partitions=partitions,
        **values,
    )


JOB = {
    "state": "PENDING",
    "username": "ann",
    "account": "lab",
    "partition": "gpu",
    "reason": "None",
    "tres-alloc": "cpu=1,mem=1M,node=1,billing=1",
    "cpus-per-task": "1",
    "arraytaskid": "N/A",
    "submittime": str(NOW - 100),
    "eligibletime": str(NOW - 90),
    "starttime": "N/A",
    "jobarrayid": "17",
    "nodelist": "n1",
    "timelimit": "UNLIMITED",
}


def job_line(details: bool = False, **columns: Any) -> bytes:
    """A line of squeue; columns have `_` for `-` here."""
    given = {name.replace("_", "-"): str(value) for name, value in columns.items()}
    parts = [WHO, WHAT, (*EACH, *(DETAILS if details else ()))]
    assert given.keys() <= {*WHO, *WHAT, *EACH, *DETAILS}
    columns_of = [[(JOB | given).get(name, "N/A") for name in part] for part in parts]
    line = "\x1d".join("\x1f".join(part) for part in columns_of)
    return line.encode("utf-8", "surrogateescape") + b"\x1e\n"


def started(ago: int, waited: int = 0, **columns: Any) -> bytes:
    """A running job that started some seconds before NOW."""
    times = {"eligibletime": NOW - ago - waited, "starttime": NOW - ago}
    return job_line(**{"state": "RUNNING", **times, **columns})


def queue(*lines: bytes, now: float = NOW, details: bool = False) -> Queue:
    """What a new parser reads of lines of squeue."""
    return read(Jobs(details), b"".join(lines), now)


def read(parser: Parser[T_co], output: bytes, now: float = NOW) -> T_co:
    """One output at once."""
    parser.begin(now)
    parser.feed(output)
    return parser.finish()


def jobs(
    count: int = 1,
    cpus: int = 1,
    memory: int = MIB,
    nodes: int = 1,
    gpus: Mapping[str, int] | None = None,
    partitions: tuple[str, ...] = ("gpu",),
    details: bool = False,
    **columns: Any,
) -> bytes:
    """A line of squeue: an array of jobs that each hold or ask for so much."""
    tracked = [f"cpu={cpus}", f"mem={memory // MIB}M", f"node={nodes}"]
    if gpus:
        tracked += [f"gres/gpu={sum(gpus.values())}", *(f"gres/gpu:{kind}={gpus[kind]}" for kind in gpus if kind)]
    return job_line(
        details,
        tres_alloc=",".join(tracked),
        partition=",".join(partitions),
        arraytaskid=f"1-{count}",
        **columns,
    )


def values(families: Iterable[Family]) -> dict[str, str]:
    """Name and labels as they are written -> value; each once, each family with a help."""
    found: dict[str, str] = {}
    names = set()
    for family in families:
        assert family.name not in names
        names.add(family.name)
        assert family.help.endswith(".")
        for text, value in family.samples:
            suffixed = text.startswith("_")
            series = f"{family.name}{text}"
            assert suffixed == (family.type == "histogram")
            assert series not in found
            found[series] = value
    return found


def read_back(families: Iterable[Family]) -> Iterator[tuple[str, dict[str, str], float]]:
    """Name, labels and value of each sample, as prometheus_client reads them of the rendered text."""
    for family in text_string_to_metric_families(render(families).decode()):
        for sample in family.samples:
            yield sample.name, dict(sample.labels), sample.value


def label_values(families: Iterable[Family], name: str, label: str) -> dict[str, float]:
    """Of one metric that is read back: the values of a label -> those of the metric."""
    return {labels[label]: value for found, labels, value in read_back(families) if found == name}
