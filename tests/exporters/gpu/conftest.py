"""Fixtures: machines with and without a driver."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.exporters.gpu.machine import Machine


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Machine]:
    """No driver yet."""
    made = Machine(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def machine(bare: Machine) -> Machine:
    """With the driver's library."""
    bare.install_driver()
    return bare
