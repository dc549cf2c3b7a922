"""Every environment variable the pod reads: its default, its meaning, and how its text becomes a value. Pure.

A parser takes the text and returns the value, or raises Wrong with what is wrong and what to write instead.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bootstrap import ssh_keys

ROLES = ("head", "worker")
SLURMCTLD_PORT = 6817
SLURMD_PORT = 6818
SSH_PORT = 22
JUPYTER_PORT = 8888
JUPYTER_PASSWORD_MIN = 8
GPU_METRIC_SETS = ("default", "extended", "all")
"""Of exporters.gpu.catalogue; a test compares them."""
INTERVAL_MIN_MS = 100
INTERVAL_MAX_MS = 3_600_000
"""Of exporters.command_line; a test compares them."""
JOB_METRICS_MAX = 100_000
MUNGE_KEY_MIN_BYTES = 32
MUNGE_KEY_MAX_BYTES = 1024
"""munged's own limits on a key file (munge/src/libcommon/munge_defs.h)."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_DNS_NAME = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
_PATH = re.compile(r"/[A-Za-z0-9._+@-]+(?:/[A-Za-z0-9._+@-]+)*/?")
# Names that Slurm takes for something else (slurm.conf(5): NodeName, PartitionName).
_RESERVED = {"default", "all", "localhost", "none"}


class Wrong(ValueError):
    """What is wrong with a value, and what to write instead."""

    def __init__(self, wrong: str, write: str) -> None:
        super().__init__(f"{wrong}. {write}")
        self.wrong = wrong
        self.write = write


@dataclass(frozen=True)
class Worker:
    """A worker known in advance."""

    name: str
    address: str


@dataclass(frozen=True)
class Variable:
    """One row of the pod's interface."""

    name: str
    field: str
    """Of bootstrap.settings.Settings, where the default is."""
    default: str
    """As the documentation shows it."""
    meaning: str
    parse: Callable[[str], Any]
    alias: str = ""
    """RunPod's own variable that stands in when this one is unset."""
    parse_alias: Callable[[str], Any] | None = None
    secret: bool = False


def role(text: str) -> str:
    """head or worker."""
    if text in ROLES:
        return text
    near = f" (did you mean {text.lower()}?)" if text.lower() in ROLES else ""
    raise Wrong(f"is not a role{near}", "Write head for the one pod that schedules, worker for all others")


def role_of_rank(text: str) -> str:
    """NODE_RANK of a RunPod Instant Cluster: 0 is the head."""
    if not re.fullmatch(r"[0-9]{1,6}", text):
        raise Wrong("is not a rank", "Write NODE_ROLE=head or NODE_ROLE=worker instead")
    return "head" if int(text) == 0 else "worker"


def name(text: str) -> str:
    """A Slurm cluster, partition or node name."""
    if not _NAME.fullmatch(text):
        raise Wrong(
            "is not a name Slurm can take",
            "Write 1 to 63 letters, digits, - or _, with a letter or digit first and last",
        )
    if text.lower() in _RESERVED:
        raise Wrong("is a word that Slurm keeps for itself", "Choose another name")
    return text


def address(text: str) -> str:
    """An IPv4 or IPv6 address that other pods can reach; normalised."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise Wrong("is not an IP address", "Write an address alone, such as 10.0.0.5 or fd00::5") from None
    return str(_reachable(found))


def _reachable(found: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if getattr(found, "scope_id", None) is not None:
        # Also, any text at all passes as a zone.
        raise Wrong(
            "has a zone, which means nothing on another pod", "Write the address without the % and all after it"
        )
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        return _reachable(found.ipv4_mapped)
    if found.is_loopback or found.is_unspecified or found.is_multicast or str(found) == "255.255.255.255":
        raise Wrong("is an address that no other pod can reach", "Write the pod's address on its network")
    return found


def head_address(text: str) -> str:
    """An address or a DNS name, without a port."""
    write = "Write the head's address or DNS name alone, such as 10.0.0.5 or PODID.runpod.internal"
    try:
        return str(_reachable(ipaddress.ip_address(text[1:-1] if re.fullmatch(r"\[.*:.*\]", text) else text)))
    except Wrong as wrong:
        raise Wrong(wrong.wrong, write) from None
    except ValueError:
        pass
    if re.fullmatch(r"[^:]+:[0-9]+|\[.*\]:[0-9]+", text):
        host = text.rpartition(":")[0]
        raise Wrong("has a port", f"Write it without one: {host!r} (Slurm's port {SLURMCTLD_PORT} is used)")
    if not _DNS_NAME.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise Wrong("is neither an IP address nor a DNS name", write)
    if text.lower().rstrip(".") == "localhost":
        raise Wrong("is this pod itself", write)
    return text.rstrip(".")


def workers(text: str) -> tuple[Worker, ...]:
    """`hostname1:ip1,hostname2:[ipv6]`, without duplicates."""
    found: list[Worker] = []
    names: set[str] = set()
    addresses: set[str] = set()
    for entry in text.split(","):
        entry = entry.strip()
        if not entry:
            continue
        shown = entry if len(entry) <= 80 else f"{entry[:77]}..."
        worker_name, colon, ip_text = entry.partition(":")
        if not colon or not ip_text:
            raise Wrong(f"has the entry {shown!r} without an address", "Write hostname:ip for each worker")
        if ":" in ip_text and not re.fullmatch(r"\[.*\]", ip_text):
            raise Wrong(
                f"has the entry {shown!r} with a port or a bare IPv6 address", "Write hostname:ip or name:[ipv6]"
            )
        try:
            worker = Worker(name(worker_name), address(ip_text.removeprefix("[").removesuffix("]")))
        except Wrong as wrong:
            raise Wrong(f"has the entry {shown!r}, part of which {wrong.wrong}", wrong.write) from None
        if worker.name in names or worker.address in addresses:
            raise Wrong(f"has {shown!r} although that name or address is in it already", "List each worker once")
        names.add(worker.name)
        addresses.add(worker.address)
        found.append(worker)
    return tuple(found)


def whole_number(low: int, high: int, write: str = "Write digits only") -> Callable[[str], int]:
    """A parser for a decimal number from low to high."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not low <= int(text) <= high:
            raise Wrong(f"is not a whole number from {low} to {high}", write)
        return int(text)

    return parse


def one_of(*words: str) -> Callable[[str], str]:
    """A parser for one of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise Wrong(f"is none of {', '.join(words)}", "Write one of them")
        return text

    return parse


def path(text: str) -> str:
    """An absolute path that can stand in any of the generated files as it is."""
    if not _PATH.fullmatch(text) or any(part in (".", "..") for part in text.split("/")):
        raise Wrong(
            "is not a path that can be used here",
            "Write an absolute path of letters, digits and . _ + @ - only, not / itself",
        )
    return text.rstrip("/")


def munge_secret(text: str) -> bytes:
    """The cluster's secret as bytes; white space around it is dropped, as a secret store may add a newline."""
    if re.fullmatch(r"\{\{.*\}\}", text.strip()):
        # As a key it would be the same for everybody who names the secret alike.
        raise Wrong("is a reference that was not replaced", "See that RunPod has a secret of that name")
    secret = text.strip().encode("utf-8", "surrogateescape")
    if len(secret) < MUNGE_KEY_MIN_BYTES:
        raise Wrong(
            f"has {len(secret)} bytes, which can be guessed",
            f"Write {MUNGE_KEY_MIN_BYTES} bytes or more, the same on all pods; openssl rand -hex 32 makes some",
        )
    return secret


def public_keys(text: str) -> tuple[str, ...]:
    """SSH public keys, one a line as in authorized_keys (sshd(8)), without comments."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip().replace("\t", " ")
        if "PRIVATE KEY" in line:
            raise Wrong("holds a private key", "Make a new key pair, as this one is known now, and write the .pub file")
        if not line or line.startswith("#"):
            continue
        if not line.isprintable() or not ssh_keys.is_public_key(line):
            raise Wrong(f"has no SSH public key in line {number}", "Write the content of a .pub file, one key a line")
        found.append(line)
    return tuple(found)


def jupyter_password(text: str) -> str:
    """A password that is not guessed at once: RunPod's proxy makes Jupyter public, and Jupyter is a root shell."""
    if not text.isprintable() or any(character.isspace() for character in text):
        raise Wrong("has white space or control characters", "Write letters, digits and signs only")
    if len(text) < JUPYTER_PASSWORD_MIN:
        raise Wrong(f"has {len(text)} characters, which can be guessed", f"Write {JUPYTER_PASSWORD_MIN} or more")
    return text


def gpu_metrics(text: str) -> str:
    """A named set of metrics, or a file."""
    if text in GPU_METRIC_SETS:
        return text
    try:
        return path(text)
    except Wrong:
        sets = ", ".join(GPU_METRIC_SETS)
        raise Wrong("is neither a set of metrics nor a path", f"Write {sets} or an absolute path") from None


def variable_names(text: str) -> tuple[str, ...]:
    """`HF_TOKEN,WANDB_API_KEY`: names of environment variables."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise Wrong(f"has {name!r}, which is not a variable's name", "Write names alone, with commas between them")
    return names


def without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment for programs that need none of our secrets."""
    secrets = {variable.name for variable in VARIABLES if variable.secret}
    return {name: value for name, value in environ.items() if name not in secrets}


_port = whole_number(1, 65535)
_interval_ms = whole_number(INTERVAL_MIN_MS, INTERVAL_MAX_MS, "Write milliseconds, digits only")

VARIABLES: tuple[Variable, ...] = (
    Variable(
        "NODE_ROLE",
        "role",
        "none, required",
        "`head` or `worker`",
        role,
        alias="NODE_RANK",
        parse_alias=role_of_rank,
    ),
    Variable(
        "HEAD_NODE_IP",
        "head_address",
        "none, required on workers",
        "address or DNS name of the head (`PODID.runpod.internal`), resolved anew at each attempt",
        head_address,
        alias="PRIMARY_ADDR",
    ),
    Variable("CLUSTER_NAME", "cluster_name", "gpu-watchdog", "Slurm cluster name", name),
    Variable(
        "WORKER_NODES",
        "workers",
        "empty",
        "`hostname1:ip1,hostname2:ip2`: workers known in advance (IPv6 in brackets), shown as down until they join",
        workers,
    ),
    Variable(
        "MAX_NODES",
        "max_nodes",
        "100",
        "Slurm MaxNodeCount: how many pods the cluster can have",
        whole_number(1, 65000),
    ),
    Variable("PARTITION_NAME", "partition_name", "gpu", "the one partition, with all nodes, default", name),
    Variable(
        "NODE_IP",
        "node_ip",
        "detected",
        "this pod's address as its peers reach it, else podnet1, ens1, the default route",
        address,
        alias="NODE_ADDR",
    ),
    Variable(
        "NODE_NAME", "node_name", "detected", "this pod's Slurm node name, else its hostname up to the first dot", name
    ),
    Variable(
        "MUNGE_KEY",
        "munge_key",
        "none",
        "the cluster's secret, any string of 32 bytes or more: the same string on all pods is the same munge key",
        munge_secret,
        secret=True,
    ),
    Variable(
        "MUNGE_KEY_FILE",
        "munge_key_file",
        "none",
        "a munge key file (32 to 1024 bytes, used as it is) for where MUNGE_KEY is unset; else the image's own key",
        path,
    ),
    Variable(
        "STATE_DIR",
        "state_dir",
        "/workspace/.gpu-watchdog where /workspace is a mounted volume, else /var/lib/gpu-watchdog",
        "slurmctld's state, so that a restarted head keeps its jobs and nodes",
        path,
    ),
    Variable(
        "PUBLIC_KEY",
        "public_keys",
        "none",
        "SSH public keys, one a line, that may log in as root; without it there is no sshd",
        public_keys,
        secret=True,
    ),
    Variable(
        "JUPYTER_PASSWORD",
        "jupyter_password",
        "none",
        "password of JupyterLab on port 8888, where the image has it; without it there is none",
        jupyter_password,
        secret=True,
    ),
    Variable(
        "SESSION_ENV",
        "session_names",
        "empty",
        "`HF_TOKEN,WANDB_API_KEY`: variables that look like secrets and that SSH and Jupyter sessions see all the same",
        variable_names,
    ),
    Variable(
        "GPU_METRICS",
        "gpu_metrics",
        "extended",
        "which GPU metrics: `default` (dcgm-exporter's own), `extended` (what its dashboards need besides), `all`,"
        " or the path of a catalogue or of a dcgm-exporter CSV file",
        gpu_metrics,
    ),
    Variable(
        "DCGM_EXPORTER_INTERVAL",
        "gpu_interval_ms",
        "1000",
        "milliseconds between two readings of the GPUs",
        _interval_ms,
    ),
    Variable(
        "GPU_EXPORTER_HOSTNAME_LABEL",
        "gpu_hostname_label",
        "Hostname",
        "the label with the node's name: `Hostname`, or `hostname` as dcgm-exporter 4.8.3 and later have it",
        one_of("Hostname", "hostname"),
    ),
    Variable(
        "GPU_EXPORTER_HPC_JOB_LABELS",
        "gpu_job_labels",
        "info",
        "a GPU's jobs: `info`, on a metric of their own, or `duplicate` as dcgm-exporter: every series once per job",
        one_of("info", "duplicate"),
    ),
    Variable(
        "DCGM_HPC_JOB_MAPPING_DIR",
        "gpu_job_folder",
        "empty",
        "folder of files named by GPU index with one job ID a line, for the user nobody to read; without it no jobs",
        path,
    ),
    Variable(
        "GPU_PROCESS_METRICS",
        "gpu_process_metrics",
        "off",
        "`on`: the GPU memory of each process too",
        one_of("on", "off"),
    ),
    Variable("GPU_EXPORTER_PORT", "gpu_exporter_port", "9400", "port of the GPU metrics", _port),
    Variable(
        "SLURM_EXPORTER_INTERVAL",
        "slurm_interval_ms",
        "5000",
        "milliseconds between two readings of Slurm (head only)",
        _interval_ms,
    ),
    Variable(
        "SLURM_EXPORTER_JOB_METRICS",
        "slurm_job_metrics",
        "0",
        f"show running jobs one by one, at most this many (up to {JOB_METRICS_MAX}; head only)",
        whole_number(0, JOB_METRICS_MAX),
    ),
    Variable("SLURM_EXPORTER_PORT", "slurm_exporter_port", "9341", "port of the Slurm metrics (head only)", _port),
)
