"""Settings + hardware + programs.yaml -> Plan: the files to write, the program to become. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from bootstrap import sessions, slurm_conf, supervisord_conf, variables
from bootstrap.hardware import WORKSPACE, Hardware
from bootstrap.munge_key import BAKED_WARNING, MungeKey
from bootstrap.settings import Settings
from bootstrap.variables import JUPYTER_PORT, SLURMCTLD_PORT

RUN_FOLDER = "/run/gpu-watchdog"
PROGRAMS_FOLDER = "/etc/gpu-watchdog/programs"
NODE_FILE = "/etc/gpu-watchdog/node"
"""This pod's node name, for bootstrap.health."""
SUPERVISORD_CONF = "/etc/supervisor/supervisord.conf"
"""One of the places where a bare supervisorctl looks."""
MUNGE_KEY_FILE = "/etc/munge/munge.key"
MUNGE_SOCKET = "/run/munge/munge.socket.2"

SLURM_CONF = "/etc/slurm/slurm.conf"
# Found first by every Slurm command, before the configuration that slurmd fetched from the head.
HEAD_ONLY = (SLURM_CONF, "/etc/slurm/gres.conf", "/etc/slurm/cgroup.conf", "/run/slurm/conf")

# Of an earlier boot with SSH or Jupyter.
OPTIONAL = (sessions.AUTHORIZED_KEYS, sessions.SSHD_CONFIG, sessions.JUPYTER_TOKEN)

# What supervisord and so every program sees of the pod's environment; secrets are not among it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES", "CUDA_VERSION")


@dataclass(frozen=True)
class File:
    """One file to write. A secret's content is shown nowhere."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o644
    owner: str = "root"
    secret: bool = False
    block: bool = False
    """The content is a block between marks in a file that others write too (bootstrap.hosts)."""


@dataclass(frozen=True)
class Folder:
    """One folder to make."""

    path: str
    mode: int = 0o755
    owner: str = "root"


@dataclass(frozen=True)
class Plan:
    """All that the boot will do, in this order."""

    folders: tuple[Folder, ...]
    files: tuple[File, ...]
    pruned_folder: str
    """Files in it that the plan does not have are removed: programs of an earlier role."""
    removed: tuple[str, ...]
    """Files of an earlier role that would win over what this one fetches."""
    command: tuple[str, ...]
    environment: Mapping[str, str]
    notices: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Paths:
    """Where the product itself lies in the pod."""

    python: str
    code: str
    conf: str


def state_folder(settings: Settings, hardware: Hardware) -> str:
    """STATE_DIR or its default."""
    if settings.state_dir:
        return settings.state_dir
    return "/workspace/.gpu-watchdog" if hardware.workspace_is_volume else "/var/lib/gpu-watchdog"


def build(
    settings: Settings,
    hardware: Hardware,
    key: MungeKey,
    catalogue: supervisord_conf.Catalogue,
    supervisord_base: bytes,
    paths: Paths,
    environ: Mapping[str, str],
) -> Plan:
    """The plan for settings and hardware that have no problems (check)."""
    assert settings.role is not None and hardware.slurm_version is not None
    head = settings.role == "head"
    node_name = settings.node_name or hardware.hostname
    address = settings.node_ip or hardware.address or ""
    controller_host = address if head else (settings.head_address or "")
    resources = slurm_conf.resources(
        host_cpus=hardware.host_cpus,
        host_memory_mb=hardware.host_memory_mb,
        limit_cpus=hardware.limits.cpus,
        limit_memory_mb=hardware.limits.memory_mb,
        hint_cpus=settings.cpu_hint,
        hint_memory_mb=settings.memory_hint_mb,
    )
    hosts_block, controller_name = _hosts_block(settings, hardware, node_name, address, controller_host)
    controller = f"{controller_name}:{SLURMCTLD_PORT}"
    join = ["--node", node_name, "--address", address, "--controller", controller]
    join += ["--cpus", str(resources.cpus), "--memory", str(resources.memory_mb), "--once", f"{RUN_FOLDER}/joined"]
    if head:
        join += [f"--announce={worker.name}={worker.address}" for worker in settings.workers]
    else:
        join.append("--worker")
    values = {
        "python": paths.python,
        "code": paths.code,
        "conf": paths.conf,
        "munge_key_file": MUNGE_KEY_FILE,
        "munge_socket": MUNGE_SOCKET,
        "node_name": node_name,
        "node_conf": resources.conf_line(),
        "controller": controller,
        "join_arguments": shlex.join(join),
        "gpu_metrics": settings.gpu_metrics,
        "gpus_expected": str(settings.gpu_hint or 0),
        "gpu_interval_ms": str(settings.gpu_interval_ms),
        "gpu_hostname_label": settings.gpu_hostname_label,
        "gpu_job_labels": settings.gpu_job_labels,
        "gpu_job_folder": settings.gpu_job_folder or "",
        "gpu_process_metrics": "--process-metrics" if settings.gpu_process_metrics == "on" else "",
        "gpu_exporter_port": str(settings.gpu_exporter_port),
        "slurm_interval_ms": str(settings.slurm_interval_ms),
        "slurm_job_metrics": str(settings.slurm_job_metrics),
        "slurm_exporter_port": str(settings.slurm_exporter_port),
        "wait_munge": f"munge={MUNGE_SOCKET}",
        "wait_controller": f"listening={SLURMCTLD_PORT}" if head else f"controller={controller}",
    }
    seen, hidden = sessions.environment(environ, settings.session_names)
    ssh = bool(settings.public_keys and hardware.sshd)
    jupyter = bool(settings.jupyter_password and hardware.jupyter)
    conditions = [name for name, holds in (("ssh", ssh), ("jupyter", jupyter)) if holds]
    values |= {
        "sshd": hardware.sshd,
        "sshd_config": sessions.SSHD_CONFIG,
        "host_key": sessions.HOST_KEY,
        "session_environment": sessions.ENVIRONMENT,
        "jupyter": hardware.jupyter,
        "jupyter_port": str(JUPYTER_PORT),
        "jupyter_token": sessions.JUPYTER_TOKEN,
        "jupyter_origins": shlex.join(_jupyter_origins(settings)),
        "work_folder": WORKSPACE if hardware.workspace_is_volume else "/root",
    }
    launcher = [paths.python, "-I", "-S", f"{paths.code}/bootstrap/launch.py"]
    sections = supervisord_conf.sections(catalogue, settings.role, values, launcher, conditions)
    state = f"{state_folder(settings, hardware)}/{settings.cluster_name}"
    slurmctld_state = f"{state}/slurmctld"
    files = [
        File(MUNGE_KEY_FILE, key.content, 0o400, "munge", secret=True),
        File(SUPERVISORD_CONF, supervisord_base),
        *(File(f"{PROGRAMS_FOLDER}/{name}.conf", text.encode()) for name, text in sections.items()),
        File(NODE_FILE, f"{node_name}\n".encode()),
        File(
            sessions.ENVIRONMENT, sessions.environment_file(seen).encode(errors="surrogateescape"), 0o600, secret=True
        ),
        File(sessions.PROFILE, sessions.PROFILE_TEXT.encode()),
    ]
    if ssh:
        files.append(File(sessions.AUTHORIZED_KEYS, sessions.authorized_keys(settings.public_keys).encode(), 0o600))
        files.append(File(sessions.UTMP, b"", 0o664))
        files.append(File(sessions.SSHD_CONFIG, sessions.sshd_config(seen).encode(), 0o600, secret=True))
    if jupyter and settings.jupyter_password:
        files.append(File(sessions.JUPYTER_TOKEN, settings.jupyter_password.encode(), 0o400, secret=True))
    folders = [
        Folder("/etc/munge", 0o700, "munge"),
        Folder("/run/munge", 0o755, "munge"),
        Folder("/var/lib/munge", 0o711, "munge"),
        Folder("/var/log/munge", 0o700, "munge"),
        Folder("/etc/supervisor"),
        Folder(PROGRAMS_FOLDER),
        Folder(RUN_FOLDER),
        Folder("/var/log/gpu-watchdog", 0o750),
        Folder("/var/spool/slurmd"),
        Folder("/run/sshd"),
        Folder(sessions.FOLDER, 0o700),
    ]
    if head:
        folders += [Folder("/etc/slurm"), Folder(state), Folder(slurmctld_state, 0o700, "slurm")]
        conf = slurm_conf.slurm_conf(
            cluster_name=settings.cluster_name,
            partition_name=settings.partition_name,
            max_nodes=settings.max_nodes,
            controller_hostname=hardware.hostname,
            controller_address=address,
            state_folder=slurmctld_state,
            slurm_version=hardware.slurm_version,
        )
        files += [
            File(SLURM_CONF, conf.encode()),
            File("/etc/slurm/gres.conf", slurm_conf.gres_conf().encode()),
            File("/etc/slurm/cgroup.conf", slurm_conf.cgroup_conf(hardware.slurm_version).encode()),
        ]
    files.append(File("/etc/hosts", hosts_block.encode(), block=True))
    notices = [
        f"{settings.role} {node_name} at {address} in cluster {settings.cluster_name}:"
        f" {resources.cpus} CPUs, {resources.memory_mb} MiB, {len(hardware.gpus)} GPUs,"
        f" Slurm {slurm_conf.version_text(hardware.slurm_version)}",
    ]
    if hidden:
        notices.append(
            f"sessions do not see {', '.join(hidden)}, which may be secret; SESSION_ENV can name those they shall see"
        )
    warnings = []
    if settings.public_keys and not ssh:
        warnings.append("PUBLIC_KEY is set, but no sshd is installed here: nobody can log in by SSH")
    if settings.jupyter_password and not jupyter:
        warnings.append("JUPYTER_PASSWORD is set, but no jupyter-lab is installed here: there is no Jupyter")
    if key.baked:
        warnings.append(BAKED_WARNING)
    if hardware.gpu_error:
        warnings.append(f"the GPUs could not be listed: {hardware.gpu_error}")
    return Plan(
        folders=tuple(folders),
        files=tuple(files),
        pruned_folder=PROGRAMS_FOLDER,
        removed=(
            *(() if head else HEAD_ONLY),
            *(path for path in OPTIONAL if path not in {file.path for file in files}),
        ),
        command=(paths.python, "-I", "-m", "supervisor.supervisord", "-c", SUPERVISORD_CONF),
        environment={name: environ[name] for name in PASSED_ON if name in environ},
        notices=tuple(notices),
        warnings=tuple(warnings),
    )


def _hosts_block(
    settings: Settings, hardware: Hardware, node_name: str, address: str, controller_host: str
) -> tuple[str, str]:
    """The lines between our marks in /etc/hosts, and the name by which Slurm's programs find the controller.

    Slurm cuts host:port at the first colon, so an IPv6 head gets a name of its own.
    """
    lines = []
    own_names = [hardware.hostname] if not hardware.own_name_in_hosts and _is_name(hardware.hostname) else []
    if node_name != hardware.hostname:
        own_names.append(node_name)
    if own_names:
        lines.append(f"{address} {' '.join(own_names)}")
    if settings.role == "head":
        lines += [f"{worker.address} {worker.name}" for worker in settings.workers]
    controller = controller_host
    if ":" in controller_host:
        controller = "gpu-watchdog-head"
        lines.append(f"{controller_host} {controller}")
    return "".join(f"{line}\n" for line in lines), controller


def _jupyter_origins(settings: Settings) -> list[str]:
    """Of pages on other hosts Jupyter answers those of this pod's own address at RunPod's proxy, where it has one."""
    if not settings.pod_id:
        return []
    host = f"{settings.pod_id}-{JUPYTER_PORT}.proxy.runpod.net".replace(".", "[.]")
    return [f"--ServerApp.allow_origin_pat=https://{host}$"]


def _is_name(hostname: str) -> bool:
    try:
        variables.name(hostname)
    except variables.Wrong:
        return False
    return True


def show(plan: Plan) -> str:
    """Every folder and file of the plan as text, secrets masked."""
    parts = []
    for folder in plan.folders:
        parts.append(f"# folder {folder.path} {folder.mode:04o} {folder.owner}")
    for file in plan.files:
        parts.append(f"# file {file.path} {file.mode:04o} {file.owner}")
        parts.append("(hidden)" if file.secret else file.content.decode().rstrip("\n"))
    parts += [f"# removed {path}" for path in plan.removed]
    parts.append(f"# command {shlex.join(plan.command)}")
    return "\n".join(parts) + "\n"
