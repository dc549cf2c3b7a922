"""EDGE: all that talks to NVML: only modules of this package import pynvml."""
