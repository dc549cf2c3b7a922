from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.collect.bounds import OTHER, Bounds
from exporters.slurm.collect.memory import Memory
from tests.exporters.slurm.building import values

NAMES = st.dictionaries(st.sampled_from([*"abcdefgh", OTHER]), st.integers(0, 99), max_size=9)


def add(one: int, other: int) -> int:
    return one + other


def largest(bounds: Bounds, rows: dict[str, int]) -> dict[str, int]:
    return bounds.largest("user", rows, float, add)


def first(bounds: Bounds, rows: dict[str, int]) -> dict[str, int]:
    return bounds.first("user", rows, add)


def told(bounds: Bounds) -> dict[str, str]:
    return values(bounds.families())


def test_within_the_limit_all_stand() -> None:
    bounds = Bounds(3, Memory())
    assert largest(bounds, {"a": 1, "b": 2, "c": 3}) == {"a": 1, "b": 2, "c": 3}
    assert told(bounds) == {
        'slurm_exporter_label_values_folded{label="user"}': "0",
        "slurm_exporter_label_values_limit": "3",
    }


def test_over_the_limit_the_largest_stand_and_the_rest_is_other() -> None:
    bounds = Bounds(2, Memory())
    assert largest(bounds, {"a": 1, "b": 5, "c": 3, "d": 1}) == {"b": 5, "c": 3, OTHER: 2}
    assert told(bounds)['slurm_exporter_label_values_folded{label="user"}'] == "2"


def test_of_the_same_weight_names_decide() -> None:
    assert largest(Bounds(2, Memory()), {"c": 1, "b": 1, "a": 1, "d": 1}) == {"a": 1, "b": 1, OTHER: 2}


@pytest.mark.parametrize("rows", [{OTHER: 9, "a": 5, "b": 1, "c": 2}, {OTHER: 1, "a": 5, "b": 7, "c": 2}])
@pytest.mark.parametrize("bound", [largest, first])
def test_one_who_is_really_named_other_is_among_the_others(
    bound: Callable[[Bounds, dict[str, int]], dict[str, int]], rows: dict[str, int]
) -> None:
    found = bound(Bounds(2, Memory()), rows)
    assert sum(found.values()) == sum(rows.values())
    assert found[OTHER] >= rows[OTHER]
    assert bound(Bounds(4, Memory()), rows) == rows


@given(NAMES, st.integers(1, 5))
def test_sums_stay_equal_and_labels_bounded(rows: dict[str, int], limit: int) -> None:
    for bound in (largest, first):
        found = bound(Bounds(limit, Memory()), rows)
        assert sum(found.values()) == sum(rows.values())
        assert len(found) <= limit + 1
        assert all(found[name] == rows[name] for name in found if name != OTHER)


def test_names_of_counters_stick_in_the_order_in_which_they_came() -> None:
    memory = Memory()
    assert first(Bounds(2, memory), {"a": 1, "b": 2}) == {"a": 1, "b": 2}
    assert first(Bounds(2, memory), {"c": 100, "a": 2, "b": 2}) == {"a": 2, "b": 2, OTHER: 100}
    assert first(Bounds(2, memory), {"c": 101, "b": 3}) == {"b": 3, OTHER: 101}
    assert first(Bounds(2, memory), {"c": 102, "b": 3, "a": 4}) == {"a": 4, "b": 3, OTHER: 102}


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1), min_size=1, max_size=6), st.integers(1, 4))
def test_counters_never_go_back(rounds: list[list[str]], limit: int) -> None:
    memory, rows, before = Memory(), dict[str, int](), dict[str, int]()
    for grown in rounds:
        for name in grown:
            rows[name] = rows.get(name, 0) + 1
        found = first(Bounds(limit, memory), rows)
        assert all(found.get(name, 0) >= value for name, value in before.items())
        before = found


def test_labels_are_bounded_each_for_itself() -> None:
    memory = Memory()
    bounds = Bounds(1, memory)
    bounds.first("one", {"a": 1, "b": 1}, add)
    bounds.first("two", {"b": 1}, add)
    bounds.largest("reason", {"x": 1, "y": 1, "z": 1}, float, add)
    bounds.largest("reason", {"x": 1}, float, add)
    bounds.folded("license", 4)
    bounds.folded("license", 3)
    assert told(bounds) == {
        'slurm_exporter_label_values_folded{label="license"}': "4",
        'slurm_exporter_label_values_folded{label="one"}': "1",
        'slurm_exporter_label_values_folded{label="reason"}': "2",
        'slurm_exporter_label_values_folded{label="two"}': "0",
        "slurm_exporter_label_values_limit": "1",
    }
