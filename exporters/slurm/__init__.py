"""Slurm metrics under the names of vpenso/prometheus-slurm-exporter, read by Slurm's own commands."""
