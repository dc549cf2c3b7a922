"""Fixtures of the system tests: every test in this folder is marked `system`.

TEST_BACKEND says what pods are made of: namespaces (the default), or docker, from the image TEST_IMAGE.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.left_out import leave_out
from tests.system.docker import Docker
from tests.system.harness import Backend, Cluster, Namespaces

BACKENDS: dict[str, Callable[[Path], Backend]] = {"namespaces": Namespaces, "docker": Docker}
BACKEND = os.environ.get("TEST_BACKEND") or "namespaces"


def pytest_configure() -> None:
    if BACKEND not in BACKENDS:
        raise pytest.UsageError(f"TEST_BACKEND={BACKEND!r} is none of {', '.join(BACKENDS)}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.system)
    if BACKEND != "namespaces":
        leave_out(config, items, "namespaces")


@contextmanager
def opened(folder: Path) -> Iterator[Cluster]:
    """An empty cluster; at its end every pod's log is looked through and everything is removed."""
    made = Cluster(BACKENDS[BACKEND](folder))
    try:
        yield made
        made.check_logs()
    finally:
        made.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """An empty cluster of this test's own."""
    with opened(tmp_path) as made:
        yield made


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head and two workers with two simulated GPUs each, all idle; shared by a module's tests."""
    with opened(tmp_path_factory.mktemp("three")) as made:
        gpus = [{"model": "h100"}, {"model": "h100"}]
        made.add_head(gpus=gpus)
        for name in ("worker1", "worker2"):
            made.add_worker(name, gpus=gpus)
        made.until_idle(["head", "worker1", "worker2"])
        for name in made.pods:
            made.until(f"all programs of {name} run", partial(made.pids, name))
        yield made
