"""A stand-in for NVIDIA's libnvidia-ml.so.1 whose GPUs are described by a text file, and its control from Python."""
