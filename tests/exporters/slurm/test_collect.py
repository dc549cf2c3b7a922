from __future__ import annotations

from collections.abc import Iterable

from exporters.exposition import Family, render
from exporters.sampling import Reading
from exporters.slurm import collect
from exporters.slurm.parse import NODE_STATES, Node, Queue, Scheduler


def samples(families: Iterable[Family]) -> dict[str, str]:
    """Name and labels -> value."""
    found = list(families)
    assert len({family.name for family in found}) == len(found)
    assert all(family.help.endswith(".") for family in found)
    return {f"{family.name}{labels}": value for family in found for labels, value in family.samples}


def test_nodes_and_cpus() -> None:
    nodes = [
        Node("a", "idle", 0, 8),
        Node("b", "mix", 3, 8),
        Node("c", "alloc", 8, 8),
        Node("d", "drain", 2, 8),
        Node("e", "down", 0, 4),
        Node("f", "other", 0, 2),
        Node("g", "idle", 0, 1),
    ]
    found = samples(collect.node_families(nodes))
    states = {"idle": 2, "mix": 1, "alloc": 1, "drain": 1, "down": 1, "other": 1}
    assert found == {
        **{f"slurm_nodes_{state}": str(states.get(state, 0)) for state in NODE_STATES},
        "slurm_nodes_total": "7",
        "slurm_cpus_alloc": "13",
        "slurm_cpus_idle": "14",
        "slurm_cpus_other": "12",
        "slurm_cpus_total": "39",
    }


def test_empty_cluster_has_every_series_at_zero() -> None:
    found = samples(collect.node_families([]))
    assert len(found) == len(NODE_STATES) + 5
    assert set(found.values()) == {"0"}


def test_queue() -> None:
    queue = Queue({"PENDING": 7, "RUNNING": 2, "NODE_FAIL": 1, "OUT_OF_MEMORY": 4}, 3)
    found = samples(collect.queue_families(queue))
    assert {name: value for name, value in found.items() if value != "0"} == {
        "slurm_queue_pending": "7",
        "slurm_queue_running": "2",
        "slurm_queue_node_fail": "1",
        "slurm_queue_pending_dependency": "3",
    }
    assert len(found) == len(collect.QUEUE_STATES) + 1


def test_scheduler_leaves_out_what_is_not_known() -> None:
    found = samples(collect.scheduler_families(Scheduler({"threads": 3, "last_cycle": 0, "unknown": 9})))
    assert found == {"slurm_scheduler_threads": "3", "slurm_scheduler_last_cycle": "0"}


GOOD: Reading[object] = Reading([], "", 0.1239, 0.0123456789, 0)
BAD: Reading[object] = Reading(None, "sdiag ended with 1: no", 60.0, 0.5, 4)
NEVER: Reading[object] = Reading(None, "not read yet", None, None, 0)


def test_exporters_own_metrics() -> None:
    assert render(collect.own_families([("nodes", GOOD), ("sdiag", BAD), ("jobs", NEVER)])).decode() == (
        "# HELP slurm_up 1 if every source was read, 0 if slurmctld or a command fails.\n"
        "# TYPE slurm_up gauge\n"
        "slurm_up 0\n"
        "# HELP slurm_exporter_source_up 1 if the source's last reading is good and fresh.\n"
        "# TYPE slurm_exporter_source_up gauge\n"
        'slurm_exporter_source_up{source="nodes"} 1\n'
        'slurm_exporter_source_up{source="sdiag"} 0\n'
        'slurm_exporter_source_up{source="jobs"} 0\n'
        "# HELP slurm_exporter_source_age_seconds Seconds from the source's last good reading to this page.\n"
        "# TYPE slurm_exporter_source_age_seconds gauge\n"
        'slurm_exporter_source_age_seconds{source="nodes"} 0.124\n'
        'slurm_exporter_source_age_seconds{source="sdiag"} 60.0\n'
        "# HELP slurm_exporter_source_duration_seconds Seconds the source's last reading took.\n"
        "# TYPE slurm_exporter_source_duration_seconds gauge\n"
        'slurm_exporter_source_duration_seconds{source="nodes"} 0.012346\n'
        'slurm_exporter_source_duration_seconds{source="sdiag"} 0.5\n'
        "# HELP slurm_exporter_source_failures_total Readings of the source that failed or hung.\n"
        "# TYPE slurm_exporter_source_failures_total counter\n"
        'slurm_exporter_source_failures_total{source="nodes"} 0\n'
        'slurm_exporter_source_failures_total{source="sdiag"} 4\n'
        'slurm_exporter_source_failures_total{source="jobs"} 0\n'
    )


def test_up_when_all_is_well() -> None:
    assert samples(collect.own_families([("nodes", GOOD)]))["slurm_up"] == "1"
    assert collect.problems([("nodes", GOOD)]) == []


def test_problems_name_the_source() -> None:
    found = collect.problems([("nodes", GOOD), ("sdiag", BAD), ("jobs", NEVER)])
    assert found == ["sdiag: sdiag ended with 1: no", "jobs: not read yet"]
