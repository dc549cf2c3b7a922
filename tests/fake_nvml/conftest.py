"""Fixtures of the fake NVML's own tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from local.cluster import FAKE_NVML
from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml


@pytest.fixture
def library() -> Path:
    assert FAKE_NVML.exists(), "build it: make build/fake_nvml/libnvidia-ml.so.1"
    return FAKE_NVML


@pytest.fixture
def fake(tmp_path: Path) -> FakeNvml:
    return FakeNvml(tmp_path / "state.conf")


@pytest.fixture
def client(library: Path, fake: FakeNvml) -> Iterator[Client]:
    made = Client(library, fake.path)
    yield made
    made.end()


@pytest.fixture
def old_client(library: Path, fake: FakeNvml) -> Iterator[Client]:
    made = Client(library.parent / "old" / library.name, fake.path)
    yield made
    made.end()
