"""Tests of the edge to NVML."""
