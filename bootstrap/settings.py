"""Environment mapping -> Settings and every problem with it. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bootstrap.variables import (
    JUPYTER_PORT,
    SLURMCTLD_PORT,
    SLURMD_PORT,
    SSH_PORT,
    VARIABLES,
    Variable,
    Worker,
    Wrong,
)

# Variables of RunPod and of its base images: right as they are, however near to one of ours.
_FOREIGN = {"NODE_RANK", "NODE_ADDR", "PRIMARY_ADDR", "HOST_NODE_ADDR", "NUM_NODES", "PRIMARY_PORT", "MASTER_ADDR"}


@dataclass(frozen=True)
class Problem:
    """One thing the user must change before this pod can boot."""

    subject: str
    """The variable and its value, or the part of the system."""
    wrong: str
    write: str

    def __str__(self) -> str:
        return f"{self.subject} {self.wrong}. {self.write}."


@dataclass(frozen=True)
class Settings:
    """What the environment asks for. None: to be detected, or (role) missing and reported as a problem."""

    role: str | None = None
    head_address: str | None = None
    cluster_name: str = "gpu-watchdog"
    workers: tuple[Worker, ...] = ()
    max_nodes: int = 100
    partition_name: str = "gpu"
    node_ip: str | None = None
    node_name: str | None = None
    munge_key: bytes | None = field(default=None, repr=False)
    munge_key_file: str | None = None
    state_dir: str | None = None
    public_keys: tuple[str, ...] = ()
    jupyter_password: str | None = field(default=None, repr=False)
    session_names: tuple[str, ...] = ()
    gpu_metrics: str = "extended"
    gpu_interval_ms: int = 1000
    gpu_hostname_label: str = "Hostname"
    gpu_job_labels: str = "info"
    gpu_job_folder: str | None = None
    gpu_process_metrics: str = "off"
    gpu_exporter_port: int = 9400
    slurm_interval_ms: int = 5000
    slurm_job_metrics: int = 0
    slurm_exporter_port: int = 9341
    cpu_hint: int | None = None
    """RUNPOD_CPU_COUNT, where it is a number."""
    memory_hint_mb: int | None = None
    """RUNPOD_MEM_GB in MiB, where it is a number."""
    gpu_hint: int | None = None
    """RUNPOD_GPU_COUNT, where it is a number."""
    pod_id: str | None = None
    """RUNPOD_POD_ID, where it is one: the first part of the proxy's host names."""


def read(environ: Mapping[str, str]) -> tuple[Settings, list[Problem]]:
    """Settings from the environment, with all that is wrong in it; a wrong value reads as an unset one.

    Empty counts as unset. Secrets never appear in a problem.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    named_wrong: set[str] = set()
    for variable in VARIABLES:
        name, text = _text(variable, environ)
        if not text:
            continue
        parse = variable.parse_alias if name == variable.alias and variable.parse_alias else variable.parse
        try:
            values[variable.field] = parse(text)
        except Wrong as wrong:
            named_wrong.add(variable.name)
            problems.append(Problem(f"{name}={_shown(text, variable)}", wrong.wrong, wrong.write))
    settings = Settings(
        **values,
        cpu_hint=_hint(environ.get("RUNPOD_CPU_COUNT", ""), 1),
        memory_hint_mb=_hint(environ.get("RUNPOD_MEM_GB", ""), 1024),
        gpu_hint=_hint(environ.get("RUNPOD_GPU_COUNT", ""), 1),
        pod_id=_pod_id(environ.get("RUNPOD_POD_ID", "")),
    )
    if settings.role is None and "NODE_ROLE" not in named_wrong:
        problems.append(Problem("NODE_ROLE", "is not set", "Set it to head or to worker"))
    if settings.role == "worker" and settings.head_address is None and "HEAD_NODE_IP" not in named_wrong:
        problems.append(Problem("HEAD_NODE_IP", "is not set, which a worker needs", "Set it to the head's address"))
    problems += _contradictions(settings, named_wrong)
    return settings, problems


def _text(variable: Variable, environ: Mapping[str, str]) -> tuple[str, str]:
    """The variable that is set, ours or the one that stands in for it, and its text; empty where none is."""
    for name in (variable.name, variable.alias):
        if name and environ.get(name):
            return name, environ[name]
    return variable.name, ""


def _shown(text: str, variable: Variable) -> str:
    # A secret, or one that was put where the name of its file belongs.
    if variable.secret or (variable.name == "MUNGE_KEY_FILE" and not text.startswith("/")):
        return "(hidden)"
    # repr keeps control characters from acting on the terminal or from starting a line of their own.
    return repr(text if len(text) <= 120 else f"{text[:117]}...")


def _hint(text: str, unit: int) -> int | None:
    """RunPod's own figures are taken where they make sense and are nobody's mistake where they do not."""
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number * unit) if 0 < number < 1_000_000 else None


def _pod_id(text: str) -> str | None:
    return text if re.fullmatch("[a-z0-9]+", text) else None


def fixed_ports(settings: Settings) -> dict[int, str]:
    """TCP ports that these settings make this pod listen on and that cannot be changed, and whose they are."""
    found = {SLURMD_PORT: "slurmd's port"}
    if settings.role == "head":
        found[SLURMCTLD_PORT] = "slurmctld's port"
    if settings.public_keys:
        found[SSH_PORT] = "sshd's port"
    if settings.jupyter_password:
        found[JUPYTER_PORT] = "Jupyter's port"
    return found


def ports(settings: Settings) -> dict[int, str]:
    """All TCP ports that these settings make this pod listen on, and whose they are."""
    found = {settings.gpu_exporter_port: "GPU_EXPORTER_PORT"}
    if settings.role == "head":
        found[settings.slurm_exporter_port] = "SLURM_EXPORTER_PORT"
    return {**found, **fixed_ports(settings)}


def _contradictions(settings: Settings, named_wrong: set[str]) -> Iterable[Problem]:
    if settings.gpu_exporter_port == settings.slurm_exporter_port and settings.role != "worker":
        yield Problem(
            f"GPU_EXPORTER_PORT={settings.gpu_exporter_port} and SLURM_EXPORTER_PORT={settings.slurm_exporter_port}",
            "are the same port",
            "Give each exporter its own",
        )
    fixed = {SLURMCTLD_PORT: "slurmctld's port", **fixed_ports(settings)}
    for name, port in (("GPU", settings.gpu_exporter_port), ("SLURM", settings.slurm_exporter_port)):
        if port in fixed:
            yield Problem(f"{name}_EXPORTER_PORT={port}", f"is {fixed[port]}", "Choose another")
    if len(settings.workers) >= settings.max_nodes and "MAX_NODES" not in named_wrong:
        yield Problem(
            f"WORKER_NODES with {len(settings.workers)} workers",
            f"and the head do not fit into MAX_NODES={settings.max_nodes}",
            f"Set MAX_NODES to {len(settings.workers) + 1} or more, or list fewer workers",
        )


def near_misses(environ: Mapping[str, str]) -> list[str]:
    """A hint for each variable that looks like a misspelt one of ours."""
    known = [variable.name for variable in VARIABLES]
    hints = []
    for name in sorted(environ):
        if name in known or name in _FOREIGN or not environ[name]:
            continue
        found = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.85)
        if found and not environ.get(found[0]):
            hints.append(f"{name} is set but means nothing here: did you mean {found[0]}?")
    return hints
