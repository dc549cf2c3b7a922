"""Settings and hardware -> slurm.conf, gres.conf, cgroup.conf and a node's own line. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bootstrap.variables import SLURMCTLD_PORT, SLURMD_PORT

OLDEST_SLURM = (22, 5, 0)
"""The first release with dynamic nodes (slurmd -Z)."""

OLDEST_IPV6_SLURM = (24, 11, 0)
"""The first release whose slurmd can fetch its configuration over IPv6 (src/common/fetch_config.c)."""


def version_text(version: tuple[int, int, int]) -> str:
    """22.05.8, as Slurm writes it."""
    return f"{version[0]}.{version[1]:02}.{version[2]}"


@dataclass(frozen=True)
class NodeResources:
    """What a node offers to jobs; memory in MiB."""

    cpus: int
    memory_mb: int

    def conf_line(self) -> str:
        """For `slurmd --conf`. The flat topology is spelt out: CPUs alone is taken as that many sockets."""
        topology = f"Boards=1 SocketsPerBoard=1 CoresPerSocket={self.cpus} ThreadsPerCore=1"
        return f"CPUs={self.cpus} {topology} RealMemory={self.memory_mb}"


def slurm_conf(
    *,
    cluster_name: str,
    partition_name: str,
    max_nodes: int,
    controller_hostname: str,
    controller_address: str,
    state_folder: str,
    slurm_version: tuple[int, int, int],
) -> str:
    """The head's slurm.conf, which slurmctld hands to every slurmd (enable_configless)."""
    communication = []
    if ":" in controller_address:
        communication.append("EnableIPv6")
    if slurm_version >= (25, 11, 0):
        communication.append("disable_http")  # the daemons' ports answer HTTP to anybody otherwise
    lines = [
        "# Written by the bootstrap of GPU Watchdog at each start; changes made here are lost.",
        f"ClusterName={cluster_name}",
        f"SlurmctldHost={controller_hostname}({controller_address})",
        f"SlurmctldPort={SLURMCTLD_PORT}",
        f"SlurmdPort={SLURMD_PORT}",
        "SlurmUser=slurm",
        "AuthType=auth/munge",
        *([f"CommunicationParameters={','.join(communication)}"] if communication else []),
        f"StateSaveLocation={state_folder}",
        "SlurmdSpoolDir=/var/spool/slurmd",
        "SlurmctldPidFile=/run/slurmctld.pid",
        "SlurmdPidFile=/run/slurmd.pid",
        "# Workers bring their own hardware and fetch this file from the head.",
        "SlurmctldParameters=enable_configless",
        f"MaxNodeCount={max_nodes}",
        "TreeWidth=65533",
        "# The container's limits count, not the machine that slurmd sees.",
        "SlurmdParameters=config_overrides",
        "# Limits of the pod a job was submitted from may be higher than another pod can set.",
        "PropagateResourceLimits=NONE",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "# Without a default a job that names no memory gets all of the node's and blocks it for others.",
        "DefMemPerCPU=1",
        "# No cgroups to write and no CPUs to pin in a default container.",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "MpiDefault=none",
        "MailProg=/bin/true",
        "# A pod that comes back is used again without anybody's word; one that is gone is noticed in a minute.",
        "ReturnToService=2",
        "SlurmdTimeout=60",
        "# An allocation whose srun is gone ends by itself: a slurmctld that was killed can recover one.",
        "InactiveLimit=120",
        "# Slurm's own delays suit thousands of submissions a second, not people who wait.",
        "SchedulerParameters=batch_sched_delay=1,sched_min_interval=500000",
        "GresTypes=gpu",
        f"PartitionName={partition_name} Nodes=ALL Default=YES MaxTime=INFINITE State=UP",
    ]
    return "\n".join(lines) + "\n"


def gres_conf() -> str:
    """GPUs as Slurm resources; none are declared yet, each node's own line will name its own."""
    return "# Written by the bootstrap of GPU Watchdog at each start. No GPU is a Slurm resource yet.\n"


def cgroup_conf(slurm_version: tuple[int, int, int]) -> str:
    """A plugin that starts where cgroups cannot be written.

    24.05 and later can do without. Before, slurmd always loads one and dies where it fails; cgroup/v1 touches
    nothing at start.
    """
    plugin = "disabled" if slurm_version >= (24, 5, 0) else "cgroup/v1"
    return f"# Written by the bootstrap of GPU Watchdog at each start.\nCgroupPlugin={plugin}\n"


def resources(
    *,
    host_cpus: int,
    host_memory_mb: int,
    limit_cpus: float | None,
    limit_memory_mb: int | None,
    hint_cpus: int | None,
    hint_memory_mb: int | None,
) -> NodeResources:
    """What jobs may use here: the cgroup's limit, else RunPod's word, else the host; never more than the host.

    Part of a CPU is left out, but one is always there. The daemons' reserve of memory is left out.
    """
    cpus = limit_cpus if limit_cpus is not None and limit_cpus < host_cpus else hint_cpus
    whole_cpus = max(1, int(min(cpus if cpus is not None else host_cpus, host_cpus)))
    memory = limit_memory_mb if limit_memory_mb is not None and limit_memory_mb < host_memory_mb else hint_memory_mb
    total = min(memory if memory is not None else host_memory_mb, host_memory_mb)
    return NodeResources(whole_cpus, max(1, total - memory_reserve_mb(total)))


def memory_reserve_mb(total_mb: int) -> int:
    """MiB kept for our daemons: 2 % within 256 to 1024, but never over a quarter of a small pod."""
    return min(max(256, min(1024, total_mb // 50)), total_mb // 4)
