"""`scontrol show config`, `scontrol ping` -> who the controllers are, and which of them answers. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from exporters.slurm.parse import ParseError

CONFIG_COMMAND = ("scontrol", "show", "config")
PING_COMMAND = ("scontrol", "ping")

_HOST = re.compile(r"([^()]+)(?:\((.*)\))?")
_PING = re.compile(r"Slurmctld\((\S+)\) at (\S+) is (\S+)")


@dataclass(frozen=True)
class Config:
    """What the exporter needs of slurm.conf, as slurmctld has it."""

    cluster: str
    version: str
    accounting: bool
    """There is a slurmdbd."""
    host: str
    """The primary controller's name."""
    address: str
    """Where it listens, if slurm.conf says another than its name; else empty."""


@dataclass(frozen=True)
class Controller:
    """One slurmctld."""

    role: str
    """primary or backup (backup1 ...)."""
    host: str
    up: bool


def config(text: str) -> Config:
    """From `Key = value` lines."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, value = line.partition("=")
        if equals:
            values.setdefault(key.strip(), value.strip())
    if "SLURM_VERSION" not in values:
        raise ParseError("scontrol show config: no line with SLURM_VERSION")
    host = _HOST.fullmatch(values.get("SlurmctldHost[0]", ""))
    return Config(
        cluster=values.get("ClusterName", ""),
        version=values["SLURM_VERSION"],
        accounting=values.get("AccountingStorageType", "").endswith("slurmdbd"),
        host=host[1] if host else "",
        address=(host[2] or "") if host else "",
    )


def ping(text: str) -> tuple[Controller, ...]:
    """Every controller; it is no error that one is down."""
    found = tuple(Controller(role, host, state == "UP") for role, host, state in _PING.findall(text))
    if not found:
        raise ParseError(f"scontrol ping: no line is a controller: {text.strip()[:80]!r}")
    return found
