"""Real output of each Slurm version, parsed and rendered: tests/captures/README.md says how it was taken."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import render
from exporters.slurm import collect
from exporters.slurm.collect.memory import Memory
from exporters.slurm.sources import KINDS, Options, Snapshot

CAPTURES = Path(__file__).resolve().parents[2] / "captures/slurm"
VERSIONS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())
PODS = [version for version in VERSIONS if "-" not in version]
CONTROLLERS = [version for version in VERSIONS if "-" in version]
LONG = "a-node-whose-name-is-longer-than-what-twenty-characters-hold"


def snapshot(version: str, job_metrics: int = 0) -> Snapshot:
    """What the exporter makes of a capture, at the time at which it was taken."""
    options = Options(job_metrics=job_metrics)
    values = {}
    moment = int((CAPTURES / version / "sdiag.txt").read_text().split("sdiag output at")[1].split("(")[1].split(")")[0])
    for kind in KINDS:
        name = "jobs-details" if job_metrics and kind.name == "jobs" else kind.name
        file = CAPTURES / version / f"{name}.txt"
        if kind.accounting and not file.exists():
            continue
        parser = kind.parser(options)
        parser.begin(moment)
        parser.feed(file.read_bytes())
        values[kind.name] = parser.finish()
    return Snapshot(now=moment, **values)


@pytest.mark.parametrize("version", PODS)
def test_the_oddities_planted_in_pods_are_found(version: str) -> None:
    found = snapshot(version)
    assert found.nodes is not None and found.jobs is not None and found.sdiag is not None
    states = {node.name: node.state.name for node in found.nodes}
    assert states == {"late": "down", "head": "mixed", "worker1": "maint", "worker2": "drained"}
    (worker,) = (node for node in found.nodes if node.name == "worker2")
    assert (worker.reason, worker.reason_user) == ("odd | reason, 'quoted' State=IDLE CPUTot=9", "root")
    jobs = Counter[tuple[str, str]]()
    for group in found.jobs.groups:
        jobs[group.kind.state, group.kind.reason] += group.count
    assert jobs["PENDING", "JobHeldUser"] == 34 + 5
    assert jobs["PENDING", "Dependency"] == jobs["RUNNING", "None"] == 1
    assert sum(jobs.values()) == 34 + 5 + 1 + 1 + 2


@pytest.mark.parametrize("version", CONTROLLERS)
def test_the_oddities_planted_in_a_controller_are_found(version: str) -> None:
    found = snapshot(version)
    assert found.nodes is not None and found.jobs is not None and found.partitions is not None
    nodes = {node.name: node for node in found.nodes}
    states = {name: node.state.name for name, node in nodes.items()}
    assert states | {
        "plain1": "allocated", "plain2": "mixed", "plain3": "draining", "plain4": "drained", "plain5": "maint",
        "plain6": "reserved", "plain7": "powered_down", "gpu1": "mixed", "gpu2": "down", LONG: "mixed",
    } == states  # fmt: skip
    # Three of its GPUs are a job's that asked for any: without devices only accounting knows of them.
    used = 5 if version.endswith("accounting") else 2
    assert nodes["gpu1"].gpus == {"h100": 8} and sum(nodes["gpu1"].gpus_allocated.values()) == used
    assert nodes["gpu3"].gpus == {"a100": 4, "rtx4090": 2} and nodes["gpu3"].gpus_allocated["rtx4090"] == 1
    assert nodes["mig1"].gpus == {"1g.10gb": 7} and nodes["mig1"].gpus_allocated == {"1g.10gb": 3}
    assert nodes["plain3"].reason == "odd | reason, \"quoted\" 'é' State=IDLE CPUTot=9"
    assert {partition.name: partition.state for partition in found.partitions}["closed"] == "DOWN"
    assert "hidden" in {partition.name for partition in found.partitions}
    gpus = sum(group.gpus for group in found.jobs.groups if group.kind.state == "RUNNING")
    assert gpus == 2 + 3 + 1 + 3
    pending = sum(group.count for group in found.jobs.groups if group.kind.state == "PENDING")
    assert pending == 1 + 100_000 + 5 + 1 + 1 + 1 + 1 + 2
    assert {group.kind.partitions for group in found.jobs.groups} >= {("batch", "gpu"), ("closed",)}
    assert {one.name for one in found.reservations or ()} == {"repair", "course"}
    assert {(one.name, one.total, one.used) for one in found.licenses or ()} == {("matlab", 10, 3), ("ansys", 2, 0)}


@pytest.mark.parametrize("version", [version for version in CONTROLLERS if version.endswith("accounting")])
def test_shares_and_accounts(version: str) -> None:
    found = snapshot(version)
    assert found.config is not None and found.config.accounting
    users = {(one.account, one.user) for one in found.shares or () if one.user}
    assert users == {("root", "root"), ("physics", "root"), ("biology", "nobody"), ("physics/lasers", "daemon")}
    assert any(group.kind.account == "physics" for group in (found.jobs.groups if found.jobs else ()))


@pytest.mark.parametrize("version", VERSIONS)
def test_single_jobs(version: str) -> None:
    found = snapshot(version, job_metrics=10)
    assert found.jobs is not None
    running = sum(group.count for group in found.jobs.groups if group.kind.state == "RUNNING")
    assert len(found.jobs.running) == running > 0
    assert all(job.nodes and job.started and job.request.cpus for job in found.jobs.running)
    if version in CONTROLLERS:
        assert 93_780 in {job.limit for job in found.jobs.running}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_exposition_is_the_golden_one(version: str) -> None:
    options = Options(job_metrics=10)
    families = list(collect.families(snapshot(version, job_metrics=10), options, Memory()))
    golden = CAPTURES / version / "exposition.txt"
    rendered = render(families).decode()
    if os.environ.get("UPDATE_CAPTURES"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()
    read_back = [family.name for family in text_string_to_metric_families(rendered)]
    assert len(read_back) == len(families) - sum(not family.samples for family in families)
