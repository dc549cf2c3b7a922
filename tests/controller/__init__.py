"""One real slurmctld on this machine with any number of nodes, for captures and benchmarks; not a cluster of pods."""
