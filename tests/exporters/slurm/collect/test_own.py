from __future__ import annotations

import platform

import pytest

from exporters import VERSION
from exporters.sampling import Reading
from exporters.slurm.collect.own import State, families, problems
from tests.exporters.slurm.building import values

GOOD = Reading[object]([], "", 0.1239, 0.0123456789, 0)
BAD = Reading[object](None, "sdiag ended with 1: no", 60.0, 0.5, 4)
NEVER = Reading[object](None, "not read yet", None, None, 0)


def state(name: str, reading: Reading[object], core: bool = True, error_class: str = "", whole: bool = True) -> State:
    return State(name, core, reading, error_class, 1234 if whole else None, 56 if whole else None, 5.0)


STATES = [
    state("nodes", GOOD),
    state("sdiag", BAD, error_class="exit"),
    state("jobs", NEVER, whole=False),
    state("config", GOOD, core=False, error_class="timeout"),
]


def test_each_source() -> None:
    found = values(families(STATES))
    each = {
        "up": {"nodes": "1", "sdiag": "0", "jobs": "0", "config": "1"},
        "age_seconds": {"nodes": "0.124", "sdiag": "60.0", "config": "0.124"},
        "duration_seconds": {"nodes": "0.012346", "sdiag": "0.5", "config": "0.012346"},
        "interval_seconds": dict.fromkeys(("nodes", "sdiag", "jobs", "config"), "5.0"),
        "bytes": dict.fromkeys(("nodes", "sdiag", "config"), "1234"),
        "lines": dict.fromkeys(("nodes", "sdiag", "config"), "56"),
        "failures_total": {"nodes": "0", "sdiag": "4", "jobs": "0", "config": "0"},
    }
    assert found == {
        f'slurm_exporter_build_info{{version="{VERSION}",python="{platform.python_version()}"}}': "1",
        "slurm_up": "0",
        'slurm_exporter_source_error_info{source="sdiag",class="exit"}': "1",
        **{
            f'slurm_exporter_source_{name}{{source="{source}"}}': value
            for name, of in each.items()
            for source, value in of.items()
        },
    }


@pytest.mark.parametrize(
    ("states", "up"),
    [
        ([state("nodes", GOOD)], "1"),
        ([state("nodes", GOOD), state("licenses", BAD, core=False)], "1"),
        ([state("nodes", GOOD), state("jobs", BAD)], "0"),
        ([state("nodes", NEVER)], "0"),
    ],
)
def test_the_cluster_is_up_where_its_core_is_read(states: list[State], up: str) -> None:
    assert values(families(states))["slurm_up"] == up


def test_a_source_that_never_returned_hangs() -> None:
    hanging = Reading[object](None, "no answer for 13 s", None, None, 1)
    assert values(families([state("jobs", hanging)]))['slurm_exporter_source_error_info{source="jobs",class="hang"}']


def test_problems_name_the_source() -> None:
    assert problems([state("nodes", GOOD)]) == []
    assert problems(STATES) == ["sdiag: sdiag ended with 1: no", "jobs: not read yet"]
