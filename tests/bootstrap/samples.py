"""Settings, hardware and plans that the tests of the bootstrap share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from bootstrap import munge_key, plan, settings, supervisord_conf
from bootstrap.hardware import Hardware
from bootstrap.limits import Limits
from bootstrap.munge_key import MungeKey
from tests.bootstrap.keys import ED25519

CONF = Path(__file__).resolve().parents[2] / "conf"
SECRET = "correct-horse-battery-staple-0123456789"
HEAD = {"NODE_ROLE": "head", "MUNGE_KEY": SECRET}
WORKER = {"NODE_ROLE": "worker", "HEAD_NODE_IP": "10.0.0.1", "MUNGE_KEY": SECRET}
SESSIONS = {"PUBLIC_KEY": ED25519, "JUPYTER_PASSWORD": "pw-8u1-pw"}
"""What makes a pod that people log in to, on WITH_SESSIONS."""
PATHS = plan.Paths(python="/opt/gpu-watchdog/bin/python", code="/opt/gpu-watchdog", conf="/opt/gpu-watchdog/conf")
PLAIN = Hardware(
    hostname="pod-1",
    host_cpus=8,
    host_memory_mb=32000,
    limits=Limits(cpus=None, memory_mb=None, cgroup_version=2, cgroup_writable=False),
    address="10.0.0.5",
    slurm_version=(22, 5, 8),
)
WITH_SESSIONS = dataclasses.replace(PLAIN, sshd="/usr/sbin/sshd", jupyter="/usr/local/bin/jupyter-lab")
CATALOGUE = supervisord_conf.load((CONF / "supervisord/programs.yaml").read_text())
BASE = (CONF / "supervisord/supervisord.conf").read_bytes()


def build(environ: Mapping[str, str], hardware: Hardware = PLAIN, paths: plan.Paths = PATHS) -> plan.Plan:
    """The plan for an environment without problems."""
    wanted, problems = settings.read(environ)
    assert not problems
    key = munge_key.find(wanted)
    assert isinstance(key, MungeKey)
    return plan.build(wanted, hardware, key, CATALOGUE, BASE, paths, environ)


def files(made: plan.Plan) -> dict[str, str]:
    """Path -> text of every file that is no secret."""
    return {file.path: file.content.decode() for file in made.files if not file.secret}


def with_hardware(**changes: object) -> Hardware:
    """The plain pod with some things different."""
    return dataclasses.replace(PLAIN, **changes)  # type: ignore[arg-type]
