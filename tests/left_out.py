"""Tests that cannot run here are left out, not skipped: a skipped test counts as a failure where nobody watches."""

from __future__ import annotations

import functools
import socket

import pytest


@functools.cache
def has_ipv6() -> bool:
    """Whether this machine has IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def leave_out(config: pytest.Config, items: list[pytest.Item], marker: str) -> None:
    """Take the tests that have a marker out of those that were collected."""
    out = [item for item in items if item.get_closest_marker(marker)]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]
