"""dashboards/slurm.json without a Prometheus; tests/system/test_prometheus.py asks a real one."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from exporters.slurm import collect
from exporters.slurm.collect import own
from exporters.slurm.collect.memory import Memory
from exporters.slurm.parse.controller import Config, Controller
from exporters.slurm.parse.partitions import Partition
from exporters.slurm.parse.sdiag import FIGURES, Scheduler
from exporters.slurm.sources import Options, Snapshot
from tests.dashboards.queries import ROOT, SLURM, label_values, load, panels, queries
from tests.exporters.slurm.building import NOW, job_line, node, queue

PROMTOOL = ROOT / "build/promtool/promtool"
# What dashboards for vpenso's exporter use, each without any selector.
VPENSO = """
slurm_nodes_alloc slurm_nodes_comp slurm_nodes_down slurm_nodes_drain slurm_nodes_err slurm_nodes_fail
slurm_nodes_idle slurm_nodes_maint slurm_nodes_mix slurm_cpus_alloc slurm_cpus_idle slurm_cpus_other slurm_cpus_total
slurm_gpus_alloc slurm_gpus_idle slurm_gpus_other slurm_gpus_total
slurm_queue_cancelled slurm_queue_completed slurm_queue_completing slurm_queue_failed slurm_queue_node_fail
slurm_queue_pending slurm_queue_preempted slurm_queue_running slurm_queue_suspended slurm_queue_timeout
slurm_scheduler_backfill_depth_mean slurm_scheduler_backfill_last_cycle slurm_scheduler_backfill_mean_cycle
slurm_scheduler_last_cycle slurm_scheduler_mean_cycle slurm_scheduler_queue_size slurm_scheduler_threads
slurm_account_cpus_running slurm_account_jobs_pending slurm_account_jobs_running slurm_partition_cpus_allocated
slurm_partition_jobs_pending slurm_user_cpus_running slurm_user_jobs_pending slurm_user_jobs_running
"""


def names_used() -> set[str]:
    """Names of metrics in the dashboard."""
    texts = [query.expr for query in queries(load())]
    return {name for text in texts for name in re.findall(r"\bslurm_\w+", text)} | {
        metric for metric, _ in label_values(load())
    }


def names_there() -> set[str]:
    """Names of all series that a cluster with everything has."""
    snapshot = Snapshot(
        now=NOW,
        controllers=(Controller("primary", "head", True),),
        nodes=(node(gpus={"h100": 2}, reason="broken", reason_time=NOW),),
        partitions=(Partition("gpu", "UP", None),),
        jobs=queue(job_line(reason="Resources")),
        sdiag=Scheduler(dict.fromkeys(FIGURES, 1)),
        config=Config("c", "24.11.5", False, "head", ""),
    )
    families = [*collect.families(snapshot, Options(), Memory()), *own.families(())]
    suffixes = {"histogram": ("_bucket", "_sum", "_count")}
    return {family.name + suffix for family in families for suffix in suffixes.get(family.type, ("",))}


def test_every_metric_exists() -> None:
    assert not names_used() - names_there()


def test_it_uses_what_vpensos_dashboards_use() -> None:
    assert set(VPENSO.split()) <= names_used()
    selected = {name for query in queries(load()) for name in re.findall(r"\b(slurm_\w+)\{", query.expr)}
    assert not {name for name in selected if not name.startswith("slurm_partition_")}


def test_seven_states_add_up_in_one_expression() -> None:
    assert any(len(re.findall(r"slurm_nodes_\w+ ?(?:\+|$)", query.expr)) == 7 for query in queries(load()))


def test_every_panel_asks_and_has_a_place_of_its_own() -> None:
    dashboard = load()
    taken: dict[tuple[int, int], str] = {}
    for panel in panels(dashboard):
        assert panel["targets"] and all(target["expr"].strip() for target in panel["targets"]), panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert 0 <= x < 24 and (x, y) not in taken, f"{panel['title']} lies on {taken.get((x, y))}"
                taken[x, y] = panel["title"]
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)


def test_it_can_be_imported_anywhere() -> None:
    dashboard = load()
    assert "id" not in dashboard and dashboard["uid"] and dashboard["title"]
    assert [one["type"] for one in dashboard["templating"]["list"]] == ["datasource", "query"]
    # A data source's own id, or its name, would be that of the Grafana it was made in.
    uids = set(re.findall(r'"uid": "([^"]*)"', SLURM.read_text()))
    assert uids == {dashboard["uid"], "${datasource}"}


def promtool(*arguments: str | Path) -> str:
    """What it prints; fails where it finds fault."""
    assert PROMTOOL.exists(), "get it: make build/promtool/promtool"
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_understands_every_expression(tmp_path: Path) -> None:
    # A version that formats single expressions is newer than Debian's; rules are checked by all.
    rules = [{"record": f"dashboard:query:{place}", "expr": one.expr} for place, one in enumerate(queries(load()))]
    file = tmp_path / "rules.json"  # YAML, as all JSON is
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)


def test_promtool_understands_the_configuration() -> None:
    assert "is valid" in promtool("check", "config", ROOT / "conf/prometheus/prometheus.yml")
