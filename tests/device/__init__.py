"""The GPU exporter on a machine with a real NVIDIA GPU: make device-test."""
