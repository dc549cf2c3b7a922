"""Takes captures of a controller with power saving, reservations, licenses, GPUs of several types, and accounting.

As root, from the repository: build/dev/bin/python -m tests.captures.take_slurm_controller [accounting]. With accounting
it needs mariadb-server and slurmdbd. The result is tests/captures/slurm/<version>-accounting/<source>.txt, or
<version>-controller/. Nodes and jobs are real to slurmctld; one slurmd answers for all nodes (tests/controller).
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from exporters.slurm.commands import FIXED
from tests.captures.take_slurm import HERE, OPTIONS, masked
from tests.controller.daemons import Controller

LONG = "a-node-whose-name-is-longer-than-what-twenty-characters-hold"
CONFIGURATION = f"""\
MaxArraySize=100001
DefMemPerCPU=100
MaxJobCount=300000
MinJobAge=3600
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,batch_sched_delay=0
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=100000
SuspendTimeout=1
ResumeTimeout=3600
Licenses=matlab:10,ansys:2
NodeName=gpu[1-2] NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:h100:8 Feature=hopper State=UNKNOWN
NodeName=gpu3 NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:a100:4,gpu:rtx4090:2 State=UNKNOWN
NodeName=mig1 NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:1g.10gb:7 State=UNKNOWN
NodeName=plain[1-8] NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000 State=UNKNOWN
NodeName={LONG} NodeAddr=127.0.0.1 CPUs=8 RealMemory=32000 State=UNKNOWN
PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=gpu[1-3],mig1 MaxTime=1-00:00:00 MaxNodes=2 State=UP
PartitionName=closed Nodes=plain1 State=DOWN
PartitionName=hidden Nodes=plain2 Hidden=YES State=UP
"""
NODES = 13


def main(accounting: bool) -> None:
    """Start, plant, capture."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Controller(Path(folder), CONFIGURATION, NODES, accounting) as controller,
    ):
        if accounting:
            add_accounts(controller)
        plant(controller)
        version = re.findall(r"[\d.]+\d", controller.run("sinfo", "--version").stdout)[0]
        target = HERE / f"{version}-{'accounting' if accounting else 'controller'}"
        target.mkdir(parents=True, exist_ok=True)
        for kind, options in OPTIONS:
            if kind.accounting and not accounting:
                continue
            output = controller.run(*kind.command(options), check=not kind.any_status, **FIXED).stdout
            name = f"{kind.name}-details" if options.job_metrics else kind.name
            (target / f"{name}.txt").write_text(masked(output))


def add_accounts(controller: Controller) -> None:
    """Two accounts, one below another, and a user in each."""
    for account in ("physics", "biology", "physics/lasers"):
        parent = ["parent=physics"] if "/" in account else []
        more = ("fairshare=3", "description=x", "organization=y")
        controller.run("sacctmgr", "-i", "add", "account", account, *parent, *more)
    for user, account in (("root", "physics"), ("nobody", "biology"), ("daemon", "physics/lasers")):
        controller.run("sacctmgr", "-i", "add", "user", user, f"account={account}")


def plant(controller: Controller) -> None:
    """Nodes in every state that can be had, jobs of every kind."""

    def run(*argv: str) -> str:
        return controller.run(*argv).stdout.strip()

    def hold(*options: str) -> str:
        """An allocation, which runs without anything being started."""
        words = controller.run("salloc", "--no-shell", "--immediate=10", *options).stderr
        return str(re.findall(r"job allocation (\d+)", words)[0])

    script = controller.folder / "job.sh"
    script.write_text("#!/bin/sh\n#SBATCH --output=/dev/null\ntrue\n")

    run("scontrol", "create", "reservation", "reservationname=repair", "flags=maint", "nodes=plain5", "users=root",
        "starttime=now", "duration=600")  # fmt: skip
    run("scontrol", "create", "reservation", "reservationname=course", "nodes=plain6", "users=root",
        "starttime=now", "duration=600")  # fmt: skip
    first = hold("-w", "plain1", "-n8", "-t", "60", "-A", "physics")
    hold("-w", "plain2", "-n3", "--mem=1500M", "-t", "1-02:03:00", "-A", "physics")
    hold("-w", "gpu1", "-n1", "--gres=gpu:h100:2", "-p", "gpu", "-t", "60")
    hold("-w", "gpu1", "-N1", "-n2", "-c2", "--gpus=3", "-p", "gpu", "-t", "60")
    hold("-w", "gpu3", "-n1", "--gpus-per-node=rtx4090:1", "-t", "60")
    hold("-w", "mig1", "-n1", "--gres=gpu:1g.10gb:3", "-t", "60", "--licenses=matlab:3")
    hold("-w", LONG, "-n1", "-t", "60", ":", "-w", "plain2", "-n1")
    draining = hold("-w", "plain3", "-n1", "-t", "60")
    ended = hold("-w", "plain4", "-n1", "-t", "60")
    run("scancel", ended)
    run("sbatch", "-w", "plain1,plain8", "-N2", "--exclusive", "-t", "30", str(script))
    run("sbatch", "--hold", "--array=0-99999", str(script))
    run("sbatch", "--hold", "--array=1,3,7-9%2", "-A", "physics", str(script))
    run("sbatch", f"--dependency=afterok:{first}", "-p", "batch,gpu", str(script))
    run("sbatch", "--hold", "-p", "gpu", "--gpus-per-task=1", "-n4", "--gpus=4", str(script))
    run("sbatch", "-p", "closed", str(script))
    run("sbatch", "--begin=now+1hour", str(script))
    run("sbatch", "--hold", "-n1", ":", "-n2", str(script))
    run(
        "scontrol",
        "update",
        "nodename=plain3",
        "state=drain",
        "reason=odd | reason, \"quoted\" 'é' State=IDLE CPUTot=9",
    )
    run("scontrol", "update", "nodename=plain4", "state=drain", "reason=RAM")
    run("scontrol", "update", "nodename=gpu2", "state=down", "reason=GPU has fallen off the bus")
    run("scontrol", "update", "nodename=plain7", "state=power_down")

    def states() -> dict[str, str]:
        return dict(re.findall(r"NodeName=(\S+) .*? State=(\S+)", run("scontrol", "-o", "show", "nodes")))

    controller.until("powered down", lambda: "POWERED_DOWN" in states()["plain7"])
    controller.until("maintenance", lambda: "MAINT" in states()["plain5"], deadline=90)
    controller.until("ended", lambda: "CANCELLED" in run("scontrol", "show", "job", ended))
    controller.until("draining", lambda: "DRAIN" in states()["plain3"] and draining)


if __name__ == "__main__":
    main(sys.argv[1:] == ["accounting"])
