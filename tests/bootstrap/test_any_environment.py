"""Whatever the variables hold: it is reported, or every generated file reads back as it was meant."""

from __future__ import annotations

import os
import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bootstrap import munge_key, plan
from bootstrap import settings as pod_settings
from bootstrap.munge_key import MungeKey
from bootstrap.variables import VARIABLES
from tests.bootstrap import supervisord
from tests.bootstrap.samples import BASE, CATALOGUE, HEAD, PATHS, PLAIN, WORKER, build, files

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
    "GPU_EXPORTER_PORT": ("9500",),
    "SLURM_EXPORTER_PORT": ("9501",),
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


DEFAULTS = {"head": build(HEAD), "worker": build(WORKER)}


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
def test_it_is_reported_or_the_files_are_as_meant(base: dict[str, str], changes: dict[str, str]) -> None:
    environ = base | changes
    assert set(GOOD) >= {variable.name for variable in VARIABLES}
    wanted, problems = pod_settings.read(environ)
    key = munge_key.find(wanted)
    if problems or not isinstance(key, MungeKey):
        assert all(problem.wrong and problem.write for problem in problems)
        return
    made = plan.build(wanted, PLAIN, key, CATALOGUE, BASE, PATHS, environ)
    assert wanted.role is not None
    usual = DEFAULTS[wanted.role]
    assert [file.path for file in made.files] == [file.path for file in usual.files]
    assert options(made) == options(usual)
    written = files(made)
    if wanted.role == "head":
        assert slurm_keys(written["/etc/slurm/slurm.conf"]) == slurm_keys(files(usual)["/etc/slurm/slurm.conf"])
    lines = written["/etc/hosts"].splitlines()
    assert all(HOSTS_LINE.fullmatch(line) for line in lines)
    assert len(lines) <= len(wanted.workers) + 2
