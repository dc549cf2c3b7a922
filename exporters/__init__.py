"""Prometheus exporters of a pod."""

VERSION = "0.1.0"
"""As in setup.cfg; a test compares them."""
