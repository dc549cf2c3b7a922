"""Fixtures of the system tests: every test in this folder is marked `system`."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.system.harness import Cluster, Namespaces


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An empty cluster of this test's own."""
    made = Cluster(Namespaces(tmp_path))
    yield made
    made.close()


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head and two workers with two simulated GPUs each, all idle; shared by a module's tests."""
    made = Cluster(Namespaces(tmp_path_factory.mktemp("three")))
    try:
        gpus = [{"model": "h100"}, {"model": "h100"}]
        made.add_head(gpus=gpus)
        for name in ("worker1", "worker2"):
            made.add_worker(name, gpus=gpus)
        made.until_idle(["head", "worker1", "worker2"])
        for name in made.pods:
            made.until(f"all programs of {name} run", partial(made.pids, name))
        yield made
    finally:
        made.close()
