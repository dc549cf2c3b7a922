from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from exporters.gpu.nvml.driver import Driver
from exporters.gpu.nvml.events import Listener
from exporters.gpu.sample import Identity, Inventory


def test_listener_that_a_bug_ends_does_not_look_well(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(Driver())
    listener.follow(Inventory("580", (Identity(0, "GPU-1", "00000000:01:00.0", "model"),)))

    def bug(*_: Any) -> None:
        listener._error = ""
        raise RuntimeError("a bug")

    monkeypatch.setattr(listener, "_listen", bug)
    with pytest.raises(RuntimeError, match="a bug"):
        listener.run()
    assert listener.error == "the listener has ended: its log says why"


@pytest.mark.parametrize("known", [{}, {7: Identity(0, "GPU-1", "00000000:01:00.0", "model")}])
def test_an_event_of_a_gpu_that_cannot_be_told_is_counted(known: dict[int | str | None, Identity]) -> None:
    """Its handle is none that was registered, and it does not answer."""
    listener = Listener(Driver())
    handle = ctypes.cast(8, pynvml.c_nvmlDevice_t)
    for code in (79, 79, 48):
        listener._note(known, SimpleNamespace(eventData=code, device=handle))
    assert listener.unattributed() == {79: 2, 48: 1}
    assert listener.heard("GPU-1") is None
