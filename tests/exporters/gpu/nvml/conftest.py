"""The edge's parts in a process of their own: the real nvidia-ml-py loads a library once per process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cluster import FAKE_NVML
from tests.exporters.gpu.nvml.edge import Edge


@pytest.fixture
def edge(tmp_path: Path) -> Iterator[Edge]:
    """With the newest driver."""
    made = Edge(FAKE_NVML, tmp_path / "state.conf")
    yield made
    made.end()


@pytest.fixture
def old_edge(tmp_path: Path) -> Iterator[Edge]:
    """With the old driver."""
    made = Edge(FAKE_NVML.parent / "old" / FAKE_NVML.name, tmp_path / "state.conf")
    yield made
    made.end()
