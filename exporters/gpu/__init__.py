"""GPU metrics under DCGM's names, read from NVML."""
