"""A Slurm controller with many nodes and jobs on one machine, and what is measured on it."""
