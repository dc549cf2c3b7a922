"""EDGE: all that talks to NVML: only modules of this package import pynvml."""

import exporters.gpu.nvml.resolve  # noqa: F401  # first of all: it makes up for what an older nvidia-ml-py lacks
