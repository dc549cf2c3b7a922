"""Tests of what reads the output of Slurm's commands."""
