"""Takes the captures of Slurm's commands from a live cluster with planted oddities.

As root, from the repository: build/dev/bin/python -m tests.captures.take_slurm. The result is
tests/captures/slurm/<version>/<source>.txt, the very bytes that the exporter's commands print.
"""

from __future__ import annotations

import re
import socket
import tempfile
from pathlib import Path

from exporters.slurm.commands import FIXED
from exporters.slurm.sources import KINDS, Options
from tests.system.harness import Cluster, Namespaces

HERE = Path(__file__).parent / "slurm"
DETAILS = Options(job_metrics=10)
OPTIONS = (*((kind, Options()) for kind in KINDS), *((kind, DETAILS) for kind in KINDS if kind.name == "jobs"))


def main() -> None:
    """Start a head and two workers, plant, capture."""
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Namespaces(Path(folder)))
        try:
            cluster.add_head({"WORKER_NODES": f"late:{cluster.backend.address(90)}"})
            for name in ("worker1", "worker2"):
                cluster.add_worker(name)
            cluster.until_idle(["head", "worker1", "worker2"])
            plant(cluster)
            version = re.findall(r"[\d.]+\d", cluster.head.exec("sinfo", "--version"))[0]
            target = HERE / version
            target.mkdir(parents=True, exist_ok=True)
            for kind, options in OPTIONS:
                if not kind.accounting:
                    output = cluster.head.exec(*kind.command(options), environment=FIXED, check=not kind.any_status)
                    name = f"{kind.name}-details" if options.job_metrics else kind.name
                    (target / f"{name}.txt").write_text(masked(output))
        finally:
            cluster.close()


def masked(text: str) -> str:
    """Without the names of the kernel and the machine it was taken on."""
    text = re.sub(rf"\b{re.escape(socket.gethostname().partition('.')[0])}\b", "controller", text)
    return re.sub(
        r"OS=Linux .*?  RealMemory", "OS=Linux 6.1.0-18-amd64 #1 SMP PREEMPT_DYNAMIC Debian  RealMemory", text
    )


def plant(cluster: Cluster) -> None:
    """One drained node with an odd reason, one reserved for maintenance, running, held, dependent and array jobs."""
    run = cluster.head.exec
    run("scontrol", "update", "nodename=worker2", "state=drain", "reason=odd | reason, 'quoted' State=IDLE CPUTot=9")
    run("scontrol", "create", "reservation", "reservationname=maint", "flags=maint", "nodes=worker1", "users=root",
        "starttime=now", "duration=60")  # fmt: skip
    first = run("sbatch", "--parsable", "-w", "head", "--wrap=sleep 600").strip()
    run("sbatch", "--hold", "--array=0-99:3%5", "--wrap=true")
    run("sbatch", "--hold", "--array=1,3,7-9", "--wrap=true")
    run("sbatch", f"--dependency=afterok:{first}", "--wrap=true")
    ended = run("sbatch", "--parsable", "-w", "head", "--wrap=exit 3", "--output=/dev/null").strip()
    gone = run("sbatch", "--parsable", "--hold", "--wrap=true").strip()
    run("scancel", gone)
    cluster.until("maintenance", lambda: "MAINT" in run("scontrol", "show", "node", "worker1"), deadline=90)
    cluster.until("one runs", lambda: run("squeue", "-h", "-j", first, "-o", "%T").strip() == "RUNNING")
    cluster.until("one failed", lambda: "JobState=FAILED" in run("scontrol", "show", "job", ended))


if __name__ == "__main__":
    main()
