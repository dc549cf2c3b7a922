"""The simulated machines of the exporter's tests."""

from tests.exporters.gpu.conftest import bare, machine

__all__ = ["bare", "machine"]
