"""System tests: real munged, slurmctld, slurmd and supervisord in several pods."""
