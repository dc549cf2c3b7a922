"""Which lines of a pod's log are no defect: all others that speak of a problem fail the test."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PROBLEM = re.compile(r"error|warn|crit|fatal|traceback", re.IGNORECASE)

# Each is one message of a daemon, and harmless in any test.
EXPECTED = (
    r"mpi[/_]pmix|MPI: Cannot create context",  # Debian's plugin without its library
    # The network has no name server.
    r"getnameinfo\(\) failed|auth_p_get_host: Lookup failed|Unable to get address: Temporary failure in name",
    # 26.05 looks for GPUs by itself, and the simulated ones have no device files.
    r"System GPU detection failed|_set_gres_device_desc: stat\(/dev/nvidia\d+\): No such file",
    r"Could not open \w+ state file|Trying backup state save file",  # there is no state yet
    r"High latency for 1000 calls to gettimeofday",  # the machine is busy, as it is in a test
)
# Of every pod without GPUs.
NO_DRIVER = (
    r"\[gpu-exporter\] .* WARNING NVML: no NVIDIA driver here",
    r"\[slurmd\] .* We were configured with nvml functionality, but that lib wasn't found",  # 26.05
)
# Of a head whose slurmctld does not answer.
SLURM_IS_AWAY = (
    r"\[slurm-exporter\] .* WARNING \w+: \w+ (gave no answer within 10 s|ended with \d+: .*"
    r"(Unable to contact slurm controller|Zero Bytes were transmitted|Socket timed out|Unexpected message))"
)


def unexpected_lines(log: str, announced: Iterable[str] = ()) -> list[str]:
    """The lines that speak of a problem, without those of EXPECTED and those that the test announced."""
    allowed = re.compile("|".join((*EXPECTED, *announced)))
    return [line for line in log.splitlines() if _PROBLEM.search(line) and not allowed.search(line)]
