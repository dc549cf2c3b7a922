"""Whatever the variables hold: it is reported, or every generated file reads back as it was meant."""

from __future__ import annotations

import functools
import os
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bootstrap import munge_key, plan, sessions
from bootstrap import settings as pod_settings
from bootstrap.munge_key import MungeKey
from bootstrap.variables import VARIABLES
from tests.bootstrap import supervisord
from tests.bootstrap.keys import ED25519, RSA
from tests.bootstrap.samples import BASE, CATALOGUE, HEAD, PATHS, SESSIONS, WITH_SESSIONS, WORKER, build, files

GOOD = {
    "NODE_ROLE": ("head", "worker"),
    "NODE_RANK": ("0", "1"),
    "HEAD_NODE_IP": ("10.0.0.7", "fd00::7", "[fd00::7]", "head.internal", "head:80"),
    "PRIMARY_ADDR": ("10.0.0.7", "fd00::7"),
    "CLUSTER_NAME": ("team",),
    "WORKER_NODES": ("w1:10.0.0.8", "w1:[fd00::8],w2:10.0.0.9"),
    "MAX_NODES": ("100",),
    "PARTITION_NAME": ("h100",),
    "NODE_IP": ("10.0.0.7", "fd00::7"),
    "NODE_ADDR": ("10.0.0.7", "fd00::7"),
    "NODE_NAME": ("pod-7",),
    "MUNGE_KEY": ("x" * 40,),
    "MUNGE_KEY_FILE": ("/run/key",),
    "STATE_DIR": ("/data/state",),
    "GPU_METRICS": ("all", "/workspace/my.csv"),
    "DCGM_EXPORTER_INTERVAL": ("30000",),
    "GPU_EXPORTER_HOSTNAME_LABEL": ("hostname",),
    "GPU_EXPORTER_HPC_JOB_LABELS": ("duplicate",),
    "DCGM_HPC_JOB_MAPPING_DIR": ("/run/jobs",),
    "GPU_PROCESS_METRICS": ("on", "off"),
    "SLURM_EXPORTER_INTERVAL": ("10000",),
    "SLURM_EXPORTER_JOB_METRICS": ("500",),
    "GPU_EXPORTER_PORT": ("9500",),
    "SLURM_EXPORTER_PORT": ("9501",),
    "PUBLIC_KEY": (f"{ED25519} me", f"# mine\n{ED25519}\n{RSA}", f'command="true" {ED25519}'),
    "JUPYTER_PASSWORD": ("pw-8u1-pw",),
    "SESSION_ENV": ("HF_TOKEN", "MUNGE_KEY,JUPYTER_PASSWORD"),
    "HF_TOKEN": ("hf_1",),
    "RUNPOD_POD_ID": ("abc123def456",),
    "ANY": ("text",),
}
NASTY = st.text(st.sampled_from("\n\r\t\x0b\x1b\x7f\x85\u2028 %;#'\"`[](){}\\=:,./@-_$aZ0"), max_size=8)
# An environment holds bytes without NUL; Python shows those that are not UTF-8 as lone surrogates.
ANY = st.binary(max_size=12).map(lambda data: os.fsdecode(data.replace(b"\0", b"")))


def changed(text: str) -> st.SearchStrategy[str]:
    """A good text with something put into it."""
    place = st.integers(0, len(text))
    return st.builds(lambda at, nasty: text[:at] + nasty + text[at:], st.one_of(st.just(len(text)), place), NASTY)


def one_variable(name: str) -> st.SearchStrategy[tuple[str, str]]:
    """A variable and a text for it."""
    texts = st.one_of(ANY, *map(changed, GOOD[name]))
    return st.tuples(st.just(name), texts)


CHANGES = st.lists(st.one_of(*map(one_variable, GOOD)), min_size=1, max_size=2).map(dict)

HOSTS_LINE = re.compile(r"[0-9a-f.:]+( [A-Za-z0-9_-]+)+")


def options(made: plan.Plan) -> dict[str, set[str]]:
    """Names of the options of every supervisord section, each of its files read alone and with the others."""
    texts = [text for path, text in files(made).items() if path.startswith(plan.PROGRAMS_FOLDER)]
    sections = supervisord.sections("".join(texts))
    assert sections == {name: found for text in texts for name, found in supervisord.sections(text).items()}
    return {name: set(found) for name, found in sections.items()}


def slurm_keys(text: str) -> list[str]:
    """What stands before the `=` of each line of slurm.conf, or the whole comment."""
    lines = text.splitlines()
    assert "".join(f"{line}\n" for line in lines) == text
    assert not [line for line in lines if "#" in line[1:]]
    keys = [line if line.startswith("#") else line.partition("=")[0] for line in lines]
    return [key for key in keys if key != "CommunicationParameters"]


@functools.cache
def usual(role: str, ssh: bool, jupyter: bool) -> plan.Plan:
    """The plan of a pod with nothing set but what it needs."""
    chosen = {name: SESSIONS[name] for name, holds in (("PUBLIC_KEY", ssh), ("JUPYTER_PASSWORD", jupyter)) if holds}
    return build({**(HEAD if role == "head" else WORKER), **chosen}, WITH_SESSIONS)


def session_files(made: plan.Plan) -> tuple[list[bytes], list[str], bytes]:
    """Lines of authorized_keys as sshd splits them, keywords of sshd_config, Jupyter's token; b"" without one."""
    contents = {file.path: file.content for file in made.files}
    config = contents.get(sessions.SSHD_CONFIG, b"").decode()
    keywords = [line.partition(" ")[0] for line in config.split("\n") if not line.startswith("SetEnv ")]
    keys = contents.get(sessions.AUTHORIZED_KEYS, b"").split(b"\n")
    return keys, keywords, contents.get(sessions.JUPYTER_TOKEN, b"")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([HEAD, WORKER]), CHANGES)
@example(HEAD, {"CLUSTER_NAME": "a\nSlurmUser=root"})
@example(HEAD, {"STATE_DIR": "/a ; b"})
@example(HEAD, {"NODE_NAME": "%(ENV_MUNGE_KEY)s"})
@example(WORKER, {"HEAD_NODE_IP": "h\n[program:x]"})
@example(HEAD, {"WORKER_NODES": "w1:10.0.0.8\n10.0.0.9 w2"})
@example(HEAD, {"NODE_IP": "fd00::7%\nSlurmUser=root"})
@example(WORKER, {"HEAD_NODE_IP": "fd00::7%\n10.0.0.9 other"})
@example(HEAD, {"WORKER_NODES": "w1:[fd00::7%a;b]"})
@example(HEAD, {"PUBLIC_KEY": f"{ED25519} me\u2028{RSA}"})
@example(WORKER, {"PUBLIC_KEY": ED25519, "ANY": "a\nPermitRootLogin yes"})
@example(WORKER, {"PUBLIC_KEY": ED25519, "ANY": "\udcff"})
@example(HEAD, {"JUPYTER_PASSWORD": "pw-8u1-pw", "SESSION_ENV": "JUPYTER_PASSWORD"})
def test_it_is_reported_or_the_files_are_as_meant(base: dict[str, str], changes: dict[str, str]) -> None:
    environ = base | changes
    assert set(GOOD) >= {variable.name for variable in VARIABLES}
    wanted, problems = pod_settings.read(environ)
    key = munge_key.find(wanted)
    if problems or not isinstance(key, MungeKey):
        assert all(problem.wrong and problem.write for problem in problems)
        return
    made = plan.build(wanted, WITH_SESSIONS, key, CATALOGUE, BASE, PATHS, environ)
    assert wanted.role is not None
    like = usual(wanted.role, bool(wanted.public_keys), bool(wanted.jupyter_password))
    assert [file.path for file in made.files] == [file.path for file in like.files]
    assert options(made) == options(like)
    keys, keywords, token = session_files(made)
    assert keys == [*(line.encode() for line in wanted.public_keys), b""]
    assert keywords == session_files(like)[1]
    assert token == (wanted.jupyter_password or "").encode()
    written = files(made)
    if wanted.role == "head":
        assert slurm_keys(written["/etc/slurm/slurm.conf"]) == slurm_keys(files(like)["/etc/slurm/slurm.conf"])
    lines = written["/etc/hosts"].splitlines()
    assert all(HOSTS_LINE.fullmatch(line) for line in lines)
    assert len(lines) <= len(wanted.workers) + 2
