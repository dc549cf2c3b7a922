from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from exporters.slurm import exporter as edge
from exporters.slurm import pace
from exporters.slurm.exporter import Exporter
from exporters.slurm.sources import Options
from tests.exporters.slurm.fake import Clock, Slurm, made


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Slurm:
    """A cluster whose commands are the only ones on PATH."""
    made = Slurm(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.delenv("SLURM_CONF", raising=False)
    return made


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, real = Clock(), pace.pause
    monkeypatch.setattr(edge, "time", SimpleNamespace(monotonic=clock.monotonic, time=lambda: 1_669_000_000.0))
    # How long a script takes on this machine must not count.
    monkeypatch.setattr(pace, "pause", lambda interval, duration, failures: real(interval, 0.0, failures))
    return clock


@pytest.fixture
def exporter(slurm: Slurm, clock: Clock) -> Iterator[Exporter]:
    yield from made(Options())
