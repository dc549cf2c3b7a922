from __future__ import annotations

from typing import Any

import pytest

from exporters.gpu.nvml.driver import Driver
from exporters.gpu.nvml.events import Listener
from exporters.gpu.sample import Identity, Inventory


def test_listener_that_a_bug_ends_does_not_look_well(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(Driver())
    listener.follow(Inventory("580", (Identity(0, "GPU-1", "00000000:01:00.0", 0, "model"),)))

    def bug(*_: Any) -> None:
        listener._error = ""
        raise RuntimeError("a bug")

    monkeypatch.setattr(listener, "_listen", bug)
    with pytest.raises(RuntimeError, match="a bug"):
        listener.run()
    assert listener.error == "the listener has ended: its log says why"
