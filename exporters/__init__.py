"""The GPU and the Slurm exporter, and what they share: exposition, sampling, serving."""
