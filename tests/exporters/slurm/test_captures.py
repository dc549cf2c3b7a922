"""Real output of each Slurm version, parsed and rendered: tests/captures/README.md says how it was taken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import render
from exporters.slurm.__main__ import KINDS
from exporters.slurm.parse import jobs, nodes, sdiag

CAPTURES = Path(__file__).resolve().parents[2] / "captures/slurm"
VERSIONS = sorted(path.name for path in CAPTURES.iterdir() if path.is_dir())


def text(version: str, name: str) -> str:
    return (CAPTURES / version / f"{name}.txt").read_text()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_planted_oddities_are_found(version: str) -> None:
    states = {node.name: node.state for node in nodes(text(version, "nodes"))}
    assert states == {"late": "down", "head": "mix", "worker1": "maint", "worker2": "drain"}
    queue = jobs(text(version, "jobs"))
    assert queue.by_state == {"CANCELLED": 1, "FAILED": 1, "PENDING": 34 + 5 + 1, "RUNNING": 1}
    assert queue.pending_dependency == 1
    assert sdiag(text(version, "sdiag")).values["threads"] >= 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_exposition_is_the_golden_one(version: str) -> None:
    families = [family for kind in KINDS for family in kind.families(kind.parse(text(version, kind.name)))]
    golden = CAPTURES / version / "exposition.txt"
    rendered = render(families).decode()
    if os.environ.get("UPDATE_CAPTURES"):
        golden.write_text(rendered)
    assert rendered == golden.read_text()
    read_back = [family.name for family in text_string_to_metric_families(rendered)]
    assert len(read_back) == len(families) - sum(not family.samples for family in families)
