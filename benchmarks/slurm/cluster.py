"""A controller with 1,000 nodes and jobs of many users in any number. The scheduler rests: what slurmctld uses is then
what it is asked for."""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from local.pod import REPOSITORY
from tests.controller.daemons import Controller

NODES = 1000
SUBMITTERS = 4
SOURCE = REPOSITORY / "tests/controller/submit.c"
USERS, FIRST_UID = 200, 20000
"""As in submit.c."""

_CONF = f"""\
MaxJobCount=500000
MaxArraySize=200001
MinJobAge=3600
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1000000,batch_sched_delay=1000000
PriorityType=priority/basic
NodeName=node[0001-{NODES:04d}] NodeAddr=127.0.0.1 CPUs=64 RealMemory=512000 Gres=gpu:h100:8 State=UNKNOWN
PartitionName=batch Nodes=node[0001-{NODES:04d}] Default=YES MaxTime=INFINITE State=UP
PartitionName=long Nodes=node[0001-0500] MaxTime=INFINITE State=UP
PartitionName=debug Nodes=node[0900-{NODES:04d}] MaxTime=INFINITE State=UP
PartitionName=closed Nodes=node[0001-0100] MaxTime=INFINITE State=DOWN
"""


class Cluster(Controller):
    """See above."""

    def __init__(self, folder: Path, more: str = "") -> None:
        """more: further lines of slurm.conf."""
        super().__init__(folder, f"{more}\n{_CONF}", NODES)
        self._submit = str(folder / "submit")

    def __enter__(self) -> Cluster:
        super().__enter__()
        try:
            subprocess.run(["cc", "-O2", "-Wall", "-Werror", str(SOURCE), "-o", self._submit, "-lslurm"], check=True)
        except BaseException:
            self.__exit__()
            raise
        return self

    def submit(self, kind: str, count: int, first: int = 0) -> None:
        """See submit.c; several processes at once."""
        if not count:
            return
        each = count if kind == "array" else -(-count // SUBMITTERS)
        parts = [(min(each, count - start), first + start) for start in range(0, count, each)]
        with ThreadPoolExecutor(SUBMITTERS) as pool:
            list(pool.map(lambda part: self.run(self._submit, kind, *map(str, part)), parts))

    def fill(self, count: int, first: int = 0) -> None:
        """So many jobs more: 2 % run, 2 % wait for a partition that is down, the others are held."""
        part = count // 50
        self.submit("running", part, first)
        self.submit("plain", part, first + part)
        self.submit("held", count - 2 * part, first + 2 * part)


def command_cpu(argv: Sequence[str], environment: Mapping[str, str], check: bool = True) -> float:
    """CPU seconds of a command with its output thrown away; raises where it fails, unless check is off."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=check)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
