"""What stands between the settings and this machine. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bootstrap import slurm_conf, supervisord_conf, variables
from bootstrap.hardware import Hardware, StateFolder
from bootstrap.settings import Problem, Settings, ports


def users(catalogue: supervisord_conf.Catalogue) -> tuple[str, ...]:
    """System users that the programs run as; slurmctld drops to slurm by itself."""
    return tuple(sorted({program.user for program in catalogue.programs.values()} | {"slurm"}))


def check(settings: Settings, hardware: Hardware, state: StateFolder) -> Iterable[Problem]:
    """What stands between these settings and this machine."""
    version = hardware.slurm_version
    if version is None:
        yield Problem(
            "Slurm", "is not installed (no working slurmd on PATH)", "Install slurmd, slurmctld and slurm-client"
        )
    elif version < slurm_conf.OLDEST_SLURM:
        found, oldest = slurm_conf.version_text(version), "22.05"
        yield Problem(
            f"Slurm {found}",
            f"is too old: pods join by dynamic nodes, which came with {oldest}",
            "Use Debian 12 or later, or the gpu-watchdog image, which brings its own Slurm",
        )
    controller = settings.head_address if settings.role == "worker" else settings.node_ip or hardware.address
    if version and version < slurm_conf.OLDEST_IPV6_SLURM and ":" in (controller or ""):
        yield Problem(
            f"The head's address {controller}",
            f"is IPv6, over which slurmd {slurm_conf.version_text(version)} cannot fetch its configuration",
            "Use Slurm 24.11 or later, or an IPv4 address",
        )
    try:
        variables.name(hardware.hostname)
    except variables.Wrong as wrong:
        subject = f"The hostname {hardware.hostname!r}"
        if settings.role == "head":  # slurmctld knows itself by its hostname alone
            yield Problem(subject, wrong.wrong, "Start the head with another hostname")
        elif settings.node_name is None:
            yield Problem(subject, wrong.wrong, "Set NODE_NAME to this pod's node name")
    for user in hardware.missing_users:
        yield Problem(f"The system user {user}", "does not exist", f"Create it: useradd --system {user}")
    if hardware.address is None and settings.node_ip is None:
        yield Problem("This pod", "has no network address that others could reach", "Give it a network, or set NODE_IP")
    names = ports(settings)
    for port in hardware.taken_ports:
        write = "Choose another port" if "EXPORTER" in names[port] else "Stop that process"
        yield Problem(f"{names[port]} {port}", "is taken by another process", write)
    if settings.role == "head" and state.problem:
        source = "STATE_DIR" if settings.state_dir else "STATE_DIR (default)"
        yield Problem(f"{source} {state.path}", state.problem, state.write)
    own_name = settings.node_name or hardware.hostname
    own_address = settings.node_ip or hardware.address
    if settings.role == "worker" and settings.head_address in (own_address, hardware.hostname):
        yield Problem(f"HEAD_NODE_IP {settings.head_address}", "is this pod itself", "Set it to the head's address")
    if settings.role == "head":
        for worker in settings.workers:
            if worker.name in (own_name, hardware.hostname) or worker.address == own_address:
                yield Problem(
                    f"WORKER_NODES entry {worker.name}:{worker.address}",
                    "is this head itself",
                    "List workers only; the head computes anyway",
                )
