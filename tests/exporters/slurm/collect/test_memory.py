from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.collect.memory import BUCKETS_S, Counters, Histogram, Memory
from exporters.slurm.parse.jobs import Queue
from exporters.slurm.parse.nodes import Node
from exporters.slurm.parse.sdiag import FIGURES, Rpcs, Scheduler
from exporters.slurm.sources import Snapshot
from tests.exporters.slurm.building import node

SUBMITTED = next(figure for figure in FIGURES if figure.name == "slurm_jobs_submitted_total")
THREADS = next(figure for figure in FIGURES if figure.name == "slurm_scheduler_threads")


def test_counters_go_on_after_a_reset() -> None:
    counters = Counters()
    seen = []
    for value in (5, 7, 7, 2, 2, 9, 0, 3):
        counters.follow({"x": value})
        seen.append(counters.total("x"))
    assert seen == [5, 7, 7, 9, 9, 16, 16, 19]


def test_counter_that_was_never_there_is_none() -> None:
    counters = Counters()
    counters.follow({"x": 0})
    assert (counters.total("x"), counters.total("y")) == (0, None)


def test_counter_that_is_not_printed_for_a_while_keeps_its_sum() -> None:
    counters = Counters()
    counters.follow({"x": 5, "y": 1})
    counters.follow({"y": 2})
    assert counters.total("x") == 5
    counters.follow({"x": 3})
    assert counters.total("x") == 8


@given(st.lists(st.integers(0, 50)))
def test_totals_never_go_back(readings: list[int]) -> None:
    counters, before = Counters(), 0
    for value in readings:
        counters.follow({"x": value})
        total = counters.total("x")
        assert total is not None
        assert total >= max(before, value)
        before = total


def test_names_of_a_kind() -> None:
    counters = Counters()
    counters.follow(
        {("user", "ann", "count"): 1, ("user", "ann", "microseconds"): 1, "x": 1, ("type", "A", "count"): 1}
    )
    counters.follow({("user", "bob", "count"): 1})
    assert (counters.known("user"), counters.known("type"), counters.known("x")) == (["ann", "bob"], ["A"], [])


def test_histogram_bounds_are_inclusive() -> None:
    histogram = Histogram()
    for seconds, count in ((0, 2), (1, 1), (2, 1), (BUCKETS_S[-1], 3), (BUCKETS_S[-1] + 1, 4)):
        histogram.add(seconds, count)
    assert histogram.counts == [3, 1, *[0] * (len(BUCKETS_S) - 3), 3, 4]
    assert histogram.sum == 0 + 1 + 2 + BUCKETS_S[-1] * 3 + (BUCKETS_S[-1] + 1) * 4


def test_sum_of_histograms() -> None:
    one, other = Histogram(), Histogram()
    one.add(5, 2)
    other.add(5, 1)
    other.add(100, 1)
    both = one.plus(other)
    assert (sum(both.counts), both.sum) == (4, 115)
    assert sum(one.counts) == 2


def test_a_reading_that_is_shown_again_is_not_counted_again() -> None:
    memory = Memory()
    jobs = Queue(waits=(("gpu", 5, 2), ("long", 7, 1), ("gpu", 50, 1)))
    scheduler = Scheduler({SUBMITTED: 3, THREADS: 9}, {"A": Rpcs(4, 50)}, {"ann": Rpcs(5, 60)})
    snapshot = Snapshot(now=1.0, jobs=jobs, sdiag=scheduler)
    for _ in range(3):
        memory.follow(snapshot)
    assert {name: (sum(one.counts), one.sum) for name, one in memory.waits.items()} == {"gpu": (3, 60), "long": (1, 7)}
    memory.follow(Snapshot(now=2.0))
    memory.follow(snapshot)
    assert sum(memory.waits["gpu"].counts) == 3
    memory.follow(Snapshot(now=3.0, jobs=Queue(waits=(("gpu", 5, 2),))))
    assert sum(memory.waits["gpu"].counts) == 5


def test_only_counters_are_summed() -> None:
    memory = Memory()
    memory.follow(Snapshot(now=1.0, sdiag=Scheduler({SUBMITTED: 30, THREADS: 9}, {"A": Rpcs(4, 50)})))
    memory.follow(Snapshot(now=2.0, sdiag=Scheduler({SUBMITTED: 1, THREADS: 3}, {"A": Rpcs(1, 20)})))
    total = memory.counters.total
    assert (total(SUBMITTED), total(THREADS)) == (31, None)
    assert (total(("type", "A", "count")), total(("type", "A", "microseconds"))) == (5, 70)


def test_rows_of_nodes_are_made_anew_only_where_they_changed() -> None:
    memory, seen = Memory(), list[str]()

    def make(one: Node) -> str:
        seen.append(one.name)
        return f"{one.name} {one.state.name}"

    first, second = node("a"), node("b")
    assert memory.rows_of([first, second], make) == ["a idle", "b idle"]
    assert memory.rows_of([node("b", "DOWN"), first], make) == ["b down", "a idle"]
    assert memory.rows_of([first], make) == ["a idle"]
    assert seen == ["a", "b", "b"]
    assert memory.rows_of([first, second], make) == ["a idle", "b idle"]
    assert seen == ["a", "b", "b", "b"]
