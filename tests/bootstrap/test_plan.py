"""UPDATE_CAPTURES=1 writes the expected trees of tests/captures/bootstrap anew."""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path

import pytest

from bootstrap import health, munge_key, plan, sessions, settings
from bootstrap.hardware import Hardware
from bootstrap.munge_key import MungeKey
from tests.bootstrap import captures, supervisord
from tests.bootstrap.keys import ED25519
from tests.bootstrap.samples import (
    BASE,
    CATALOGUE,
    HEAD,
    PATHS,
    PLAIN,
    SECRET,
    SESSIONS,
    WITH_SESSIONS,
    WORKER,
    build,
    files,
    with_hardware,
)


@pytest.mark.parametrize("case", captures.CASES)
def test_captured_boot(case: str) -> None:
    written = captures.written(captures.plan(case))
    if os.environ.get("UPDATE_CAPTURES"):
        captures.update(case, written)
    assert written == captures.expected(case)


def test_there_are_captures_of_each_kind() -> None:
    kinds = {"head-defaults", "worker-dns-name", "instant-cluster-head", "instant-cluster-worker", "head-slurm-26.05"}
    kinds |= {"head-with-sessions"}
    assert kinds <= set(captures.CASES)


@pytest.mark.parametrize("environ", [HEAD, WORKER], ids=["head", "worker"])
def test_every_placeholder_is_filled(environ: dict[str, str]) -> None:
    made = build(environ)
    for program in (program for step in CATALOGUE.of_role(environ["NODE_ROLE"], ()) for program in step):
        name = program.name
        text = files(made)[f"{plan.PROGRAMS_FOLDER}/{name}.conf"]
        assert "{" not in text
        assert "}" not in text
        found = supervisord.sections(text)[f"program:{name}"]
        assert supervisord.argv(found["command"])


def test_python_takes_nothing_from_the_working_directory_or_pythonpath() -> None:
    made = build({**HEAD, **SESSIONS}, WITH_SESSIONS)
    commands = [list(made.command)]
    for path, text in files(made).items():
        if path.startswith(plan.PROGRAMS_FOLDER):
            commands.append(supervisord.argv(supervisord.sections(text)[f"program:{Path(path).stem}"]["command"]))
    after = [argv[at + 1] for argv in commands for at, word in enumerate(argv) if word == PATHS.python]
    assert len(after) > 4
    assert set(after) == {"-I"}


def test_slurmd_waits_joins_and_starts() -> None:
    text = files(build({**WORKER, "NODE_NAME": "w1"}))[f"{plan.PROGRAMS_FOLDER}/slurmd.conf"]
    argv = supervisord.argv(supervisord.sections(text)["program:slurmd"]["command"])
    waits, prepare, command = (part.split("\n") for part in "\n".join(argv).split("\n--\n"))
    assert waits[:5] == [PATHS.python, "-I", "-S", f"{PATHS.code}/bootstrap/launch.py", "slurmd"]
    assert waits[5:] == ["--wait", f"munge={plan.MUNGE_SOCKET}", "--wait", "controller=10.0.0.1:6817"]
    assert prepare[:4] == [PATHS.python, "-I", "-S", f"{PATHS.code}/bootstrap/join.py"]
    assert prepare[-1] == "--worker"
    assert command[:5] == ["slurmd", "-D", "-Z", "-N", "w1"]


def test_head_waits_for_its_own_port() -> None:
    text = files(build(HEAD))[f"{plan.PROGRAMS_FOLDER}/slurmd.conf"]
    assert "--wait listening=6817" in text


@pytest.mark.parametrize(
    ("environ", "volume", "expected"),
    [
        (HEAD, False, "/var/lib/gpu-watchdog"),
        (HEAD, True, "/workspace/.gpu-watchdog"),
        ({**HEAD, "STATE_DIR": "/data"}, True, "/data"),
    ],
)
def test_state_folder(environ: dict[str, str], volume: bool, expected: str) -> None:
    hardware = with_hardware(workspace_is_volume=volume)
    assert plan.state_folder(settings.read(environ)[0], hardware) == expected
    made = build(environ, hardware)
    assert plan.Folder(f"{expected}/gpu-watchdog/slurmctld", 0o700, "slurm") in made.folders
    assert f"StateSaveLocation={expected}/gpu-watchdog/slurmctld\n" in files(made)["/etc/slurm/slurm.conf"]


def test_no_secret_is_passed_on() -> None:
    secrets = {"MUNGE_KEY": SECRET, "RUNPOD_API_KEY": "rpa_1", **SESSIONS}
    environ = {"NODE_ROLE": "head", "PATH": "/bin", "LANG": "C.UTF-8", "SESSION_ENV": "MUNGE_KEY,JUPYTER_PASSWORD"}
    made = build(environ | secrets, WITH_SESSIONS)
    assert made.environment == {"PATH": "/bin", "LANG": "C.UTF-8"}
    shown = "".join(files(made).values()) + plan.show(made) + repr(made)
    for secret in (SECRET, "rpa_1", SESSIONS["JUPYTER_PASSWORD"]):
        assert secret not in shown
    for name, secret in secrets.items():
        holders = {file.path for file in made.files if secret.encode() in file.content}
        assert holders == OWN_FILE.get(name, set())


OWN_FILE = {"PUBLIC_KEY": {sessions.AUTHORIZED_KEYS}, "JUPYTER_PASSWORD": {sessions.JUPYTER_TOKEN}}


@pytest.mark.parametrize(
    ("environ", "secrets"),
    [
        (HEAD, {plan.MUNGE_KEY_FILE, sessions.ENVIRONMENT}),
        (
            {**HEAD, **SESSIONS},
            {plan.MUNGE_KEY_FILE, sessions.ENVIRONMENT, sessions.SSHD_CONFIG, sessions.JUPYTER_TOKEN},
        ),
    ],
    ids=["plain", "sessions"],
)
def test_show_masks_secrets_and_nothing_else(environ: dict[str, str], secrets: set[str]) -> None:
    made = build(environ, WITH_SESSIONS)
    shown = plan.show(made)
    assert {file.path for file in made.files if file.secret} == secrets
    assert shown.count("(hidden)") == len(secrets)
    for file in made.files:
        head = f"# file {file.path} {file.mode:04o} {file.owner}\n"
        assert head + ("(hidden)" if file.secret else file.content.decode().rstrip("\n")) in shown
    for folder in made.folders:
        assert f"# folder {folder.path} {folder.mode:04o} {folder.owner}\n" in shown


def test_secrets_are_closed_to_others() -> None:
    made = build({**HEAD, **SESSIONS}, WITH_SESSIONS)
    assert made.files[0] == plan.File(
        plan.MUNGE_KEY_FILE, munge_key.derive(SECRET.encode()), 0o400, "munge", secret=True
    )
    assert not [file.path for file in made.files if file.secret and file.mode & 0o077]
    (token,) = (file for file in made.files if file.path == sessions.JUPYTER_TOKEN)
    assert (token.content, token.mode, token.owner) == (b"pw-8u1-pw", 0o400, "root")


@pytest.mark.parametrize(
    ("environ", "hardware", "programs", "warning"),
    [
        ({}, WITH_SESSIONS, set(), ""),
        (SESSIONS, WITH_SESSIONS, {"sshd", "jupyter"}, ""),
        ({"PUBLIC_KEY": ED25519}, WITH_SESSIONS, {"sshd"}, ""),
        ({"PUBLIC_KEY": "# none\n"}, WITH_SESSIONS, set(), ""),
        ({"PUBLIC_KEY": ED25519}, PLAIN, set(), "PUBLIC_KEY is set, but no sshd is installed here"),
        ({"JUPYTER_PASSWORD": "pw-8u1-pw"}, WITH_SESSIONS, {"jupyter"}, ""),
        ({"JUPYTER_PASSWORD": "pw-8u1-pw"}, PLAIN, set(), "JUPYTER_PASSWORD is set, but no jupyter-lab is installed"),
    ],
)
@pytest.mark.parametrize("role", [HEAD, WORKER], ids=["head", "worker"])
def test_sessions(
    role: dict[str, str], environ: dict[str, str], hardware: Hardware, programs: set[str], warning: str
) -> None:
    made = build({**role, **environ}, hardware)
    names = {Path(path).stem for path in files(made) if path.startswith(plan.PROGRAMS_FOLDER)}
    assert names & {"sshd", "jupyter"} == programs
    paths = {file.path for file in made.files}
    ssh, jupyter = {sessions.AUTHORIZED_KEYS, sessions.SSHD_CONFIG}, {sessions.JUPYTER_TOKEN}
    assert (ssh <= paths, jupyter <= paths) == ("sshd" in programs, "jupyter" in programs)
    # What an earlier boot left is not used any more.
    assert (ssh | jupyter) - paths == {path for path in made.removed if path not in plan.HEAD_ONLY}
    assert [text for text in made.warnings if warning and text.startswith(warning)] == list(made.warnings)
    assert len(made.warnings) == bool(warning)


def test_sessions_see_the_environment_without_secrets() -> None:
    environ = {"A": "it's", "HF_TOKEN": "hf_1", "WANDB_API_KEY": "wb_1", "SESSION_ENV": "WANDB_API_KEY,NOT_SET"}
    made = build({**HEAD, **SESSIONS, **environ}, WITH_SESSIONS)
    texts = {file.path: file.content.decode(errors="replace") for file in made.files}
    assert "export A='it'\"'\"'s'\n" in texts[sessions.ENVIRONMENT]
    assert "export WANDB_API_KEY=wb_1\n" in texts[sessions.ENVIRONMENT]
    assert ' WANDB_API_KEY="wb_1"' in texts[sessions.SSHD_CONFIG]
    assert "hf_1" not in texts[sessions.ENVIRONMENT] + texts[sessions.SSHD_CONFIG]
    assert made.notices[1:] == (
        "sessions do not see HF_TOKEN, which may be secret; SESSION_ENV can name those they shall see",
    )


def test_environment_that_is_no_text_is_written_as_it_is() -> None:
    made = build({**HEAD, "A": "caf\udce9\n"})
    (written,) = (file.content for file in made.files if file.path == sessions.ENVIRONMENT)
    assert b"export A='caf\xe9\n'\n" in written


def program(name: str, hardware: Hardware, **environ: str) -> dict[str, str]:
    """A program's options in a pod with sessions, as supervisord reads them."""
    made = build({**WORKER, **SESSIONS, "NODE_NAME": "w1", **environ}, hardware)
    text = files(made)[f"{plan.PROGRAMS_FOLDER}/{name}.conf"]
    return supervisord.sections(text)[f"program:{name}"]


def test_sshd_makes_its_key_and_starts() -> None:
    options = program("sshd", WITH_SESSIONS)
    launch, prepare, command = "\n".join(supervisord.argv(options["command"])).split("\n--\n")
    assert launch.split("\n")[-2:] == [f"{PATHS.code}/bootstrap/launch.py", "sshd"]
    script = prepare.removeprefix("/bin/sh\n-c\n")
    key = sessions.HOST_KEY
    assert script == (
        f"{{ test -e {key} || ssh-keygen -q -t ed25519 -N '' -C w1 -f {key}; }} && ssh-keygen -l -f {key}.pub"
    )
    assert command.split("\n") == ["/usr/sbin/sshd", "-D", "-e", "-f", sessions.SSHD_CONFIG]


@pytest.mark.parametrize(("volume", "folder"), [(True, "/workspace"), (False, "/root")])
def test_jupyter_starts_where_the_work_is_and_gets_its_token_by_a_file(volume: bool, folder: str) -> None:
    options = program("jupyter", dataclasses.replace(WITH_SESSIONS, workspace_is_volume=volume))
    argv = supervisord.argv(options["command"])
    assert argv[:4] == ["/bin/sh", "-c", f'. {sessions.ENVIRONMENT} && exec "$0" "$@"', "/usr/local/bin/jupyter-lab"]
    assert f"--ServerApp.default_url=/lab/tree{folder}" in argv
    assert "--port=8888" in argv
    found = supervisord.environment(options["environment"])
    assert found == {"JUPYTER_TOKEN_FILE": sessions.JUPYTER_TOKEN, "SHELL": "/bin/bash"}


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://abc123def456-8888.proxy.runpod.net", True),
        ("http://abc123def456-8888.proxy.runpod.net", False),
        ("https://example.com/https://abc123def456-8888.proxy.runpod.net", False),
        ("https://abc123def456-8888.proxy-runpod.net", False),
        ("https://abc123def456-8888.proxy.runpod.net.example.com", False),
        ("https://abc123def456-8888xproxy.runpod.net", False),
        ("https://abc123def456-8000.proxy.runpod.net", False),
        ("https://another12345-8888.proxy.runpod.net", False),
        ("https://xabc123def456-8888.proxy.runpod.net", False),
    ],
)
def test_jupyter_answers_pages_of_this_pods_proxy_only(origin: str, allowed: bool) -> None:
    words = supervisord.argv(program("jupyter", WITH_SESSIONS, RUNPOD_POD_ID="abc123def456")["command"])
    (pattern,) = (word.partition("=")[2] for word in words if word.startswith("--ServerApp.allow_origin_pat="))
    assert bool(re.match(pattern, origin)) is allowed


@pytest.mark.parametrize("pod", ["", "a|.*", "[a-z]+", "abc.def", "ABC", "a b", "abc\n", "é"])
def test_jupyter_answers_no_foreign_page_where_the_pod_has_no_id(pod: str) -> None:
    words = supervisord.argv(program("jupyter", WITH_SESSIONS, RUNPOD_POD_ID=pod)["command"])
    assert not [word for word in words if "origin" in word]


def test_health_finds_what_the_plan_wrote() -> None:
    made = build({**HEAD, "NODE_NAME": "n7"})
    assert files(made)[str(health.NODE)] == "n7\n"
    assert str(health.PROGRAMS) == plan.PROGRAMS_FOLDER
    base = supervisord.sections(BASE.decode())
    assert str(health.SOCKET) == base["unix_http_server"]["file"]


def test_same_inputs_same_plan() -> None:
    assert build(HEAD) == build(dict(reversed(HEAD.items())))


@pytest.mark.parametrize(
    ("environ", "own_name_known", "expected"),
    [
        (HEAD, True, ""),
        (HEAD, False, "10.0.0.5 pod-1\n"),
        ({**HEAD, "NODE_NAME": "n"}, False, "10.0.0.5 pod-1 n\n"),
        ({**HEAD, "NODE_NAME": "n"}, True, "10.0.0.5 n\n"),
        ({**HEAD, "WORKER_NODES": "a:10.0.0.6,b:[fd00::7]"}, True, "10.0.0.6 a\nfd00::7 b\n"),
        ({**WORKER, "WORKER_NODES": "a:10.0.0.6"}, True, ""),
        ({**WORKER, "HEAD_NODE_IP": "fd00::1"}, True, "fd00::1 gpu-watchdog-head\n"),
        ({**WORKER, "HEAD_NODE_IP": "head.internal"}, True, ""),
    ],
)
def test_hosts_block(environ: dict[str, str], own_name_known: bool, expected: str) -> None:
    made = build(environ, with_hardware(own_name_in_hosts=own_name_known))
    (hosts,) = (file for file in made.files if file.block)
    assert (hosts.path, hosts.content.decode()) == ("/etc/hosts", expected)


def test_warnings() -> None:
    wanted = settings.read({"NODE_ROLE": "head"})[0]
    hardware = with_hardware(gpu_error="no answer")
    made = plan.build(wanted, hardware, MungeKey(b"k" * 32, baked=True), CATALOGUE, BASE, PATHS, {})
    assert made.warnings == (munge_key.BAKED_WARNING, "the GPUs could not be listed: no answer")
    assert build(HEAD, PLAIN).warnings == ()


def test_command_becomes_supervisord() -> None:
    made = build(HEAD)
    assert made.command == (PATHS.python, "-I", "-m", "supervisor.supervisord", "-c", plan.SUPERVISORD_CONF)
    assert files(made)[plan.SUPERVISORD_CONF].encode() == BASE
    assert made.pruned_folder == plan.PROGRAMS_FOLDER
