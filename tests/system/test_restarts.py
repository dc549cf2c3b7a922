"""Every program can be restarted or killed alone: the others and the jobs stay."""

from __future__ import annotations

import signal

import pytest

from tests.system.harness import GPU_PORT, SLURM_PORT, Cluster

PROGRAMS = ("munged", "slurmctld", "slurmd", "gpu-exporter", "slurm-exporter")


@pytest.mark.parametrize("program", PROGRAMS)
def test_restarting_one_program_leaves_the_others_alone(three: Cluster, program: str) -> None:
    before = three.pids("head")
    three.head.exec("supervisorctl", "restart", program)
    after = three.until("all programs run", lambda: three.pids("head"))
    assert after.pop(program) != before.pop(program)
    assert after == before
    three.until_idle(["head", "worker1", "worker2"])


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_killed_program_comes_back_alone(three: Cluster, program: str) -> None:
    three.expect(
        rf"\[supervisord\] .* WARNING {program} ended by itself; it is started again",
        # Who was just talking to it, or wanted to.
        r"error: slurm_receive_msg \[[\d.]+:\d+\]: Zero Bytes were transmitted or received",
        r"error: .*(Connection refused|Unable to contact slurm controller)",
    )
    before = three.pids("head")
    three.head.exec("kill", "-9", str(before[program]))

    def back() -> dict[str, int] | None:
        now = three.pids("head")
        return now if now[program] != before[program] else None

    after = three.until(f"{program} is back", back)
    assert {name: pid for name, pid in after.items() if name != program} == {
        name: pid for name, pid in before.items() if name != program
    }
    three.until("munged answers", lambda: three.head.exec("munge", "-n"))
    three.until("slurmd answers", lambda: three.head.exec("scontrol", "show", "slurmd"))
    three.until_idle(["head", "worker1", "worker2"])
    three.until("GPU metrics", lambda: three.metrics("head", GPU_PORT)[0] == 200)
    three.until("Slurm metrics", lambda: three.metrics("head", SLURM_PORT)[1].get("slurm_up") == 1)


def test_a_job_outlives_the_restart_of_every_program(three: Cluster) -> None:
    script = "#!/bin/sh\nfor i in $(seq 100); do [ -e /root/go-on ] && exit 0; sleep 0.3; done; exit 9\n"
    for pod in three.pods.values():
        pod.exec("rm", "-f", "/root/go-on")
    command = ("sbatch", "--parsable", "--nodes=1", "--nodelist=head", "--chdir=/root", "--output=/root/job.out")
    job = three.head.exec(*command, input=script).strip()
    three.until("the job runs", lambda: three.head.exec("squeue", "-h", "-j", job, "-o", "%T").strip() == "RUNNING")
    for program in PROGRAMS:
        three.head.exec("supervisorctl", "restart", program)
        three.until(f"{program} serves", lambda: three.head.exec("squeue", "-h", "-j", job, "-o", "%T").strip())
    assert three.head.exec("squeue", "-h", "-j", job, "-o", "%T").strip() == "RUNNING"
    three.head.exec("touch", "/root/go-on")

    def ended() -> str:
        line = three.head.exec("scontrol", "-o", "show", "job", job)
        return line if "JobState=COMPLETED" in line or "JobState=FAILED" in line else ""

    line = three.until("the job ends", ended)
    assert "JobState=COMPLETED" in line and "ExitCode=0:0" in line


def test_a_program_that_cannot_start_is_tried_for_ever(three: Cluster) -> None:
    """supervisord alone would call it FATAL after a few tries, and never try again."""
    three.expect(
        r"\[slurmctld\] .*error: Parse error in file /etc/slurm/slurm.conf line 1: \"nonsense\"",
        r"\[slurmctld\] .*error: ClusterName needs to be specified",
        r"\[slurmctld\] .*fatal: Unable to process configuration file",
        r"\[supervisord\] .* WARNING slurmctld ended within its first second; it is tried again in \d s",
        r"\[slurm-exporter\] .* WARNING \w+: .* Parse error in file /etc/slurm/slurm.conf line 1",
    )
    three.head.exec("sh", "-c", "mv /etc/slurm/slurm.conf /etc/slurm/away; echo nonsense >/etc/slurm/slurm.conf")
    three.head.exec("supervisorctl", "restart", "slurmctld", check=False, timeout=60)

    def tries() -> bool:
        return three.head.logs().count("slurmctld ended within its first second") >= 5

    three.until("it was tried many times", tries, deadline=60)
    assert "FATAL" not in three.head.exec("supervisorctl", "status", check=False)
    three.head.exec("sh", "-c", "mv /etc/slurm/away /etc/slurm/slurm.conf")
    three.until("it is back", lambda: three.pids("head"))
    three.until_idle(["head", "worker1", "worker2"])


def test_sigterm_stops_everything_in_order(cluster: Cluster) -> None:
    head = cluster.add_head()
    cluster.until_idle(["head"])
    head.signal(signal.SIGTERM)
    assert head.wait(20) == 0
    order = [line.split()[3] for line in head.logs().splitlines() if line.endswith(" stopped")]
    assert sorted(order[:3]) == ["gpu-exporter", "slurm-exporter", "slurmd"], "first, all together"
    assert order[3:] == ["slurmctld", "munged"]
