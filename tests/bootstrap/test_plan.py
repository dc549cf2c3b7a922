"""UPDATE_CAPTURES=1 writes the expected trees of tests/captures/bootstrap anew."""

from __future__ import annotations

import os
from typing import Any

import pytest

from bootstrap import munge_key, plan, settings
from bootstrap.hardware import StateFolder
from bootstrap.munge_key import MungeKey
from tests.bootstrap import captures, supervisord
from tests.bootstrap.samples import BASE, CATALOGUE, HEAD, PATHS, PLAIN, SECRET, WORKER, build, files, with_hardware

GOOD_STATE = StateFolder("/var/lib/gpu-watchdog")


@pytest.mark.parametrize("case", captures.CASES)
def test_captured_boot(case: str) -> None:
    written = captures.written(captures.plan(case))
    if os.environ.get("UPDATE_CAPTURES"):
        captures.update(case, written)
    assert written == captures.expected(case)


@pytest.mark.parametrize("case", captures.CASES)
def test_captured_boot_has_nothing_to_complain_about(case: str) -> None:
    wanted, problems = settings.read(captures.environ(case))
    assert problems == []
    assert list(plan.check(wanted, captures.hardware(case), GOOD_STATE)) == []


def test_there_are_captures_of_each_kind() -> None:
    kinds = {"head-defaults", "worker-dns-name", "instant-cluster-head", "instant-cluster-worker", "head-slurm-26.05"}
    assert kinds <= set(captures.CASES)


@pytest.mark.parametrize("environ", [HEAD, WORKER], ids=["head", "worker"])
def test_every_placeholder_is_filled(environ: dict[str, str]) -> None:
    made = build(environ)
    names = CATALOGUE.roles[environ["NODE_ROLE"]]
    for name in names:
        text = files(made)[f"{plan.PROGRAMS_FOLDER}/{name}.conf"]
        assert "{" not in text
        assert "}" not in text
        found = supervisord.sections(text)[f"program:{name}"]
        assert supervisord.argv(found["command"])


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


def test_ports_of_each_role() -> None:
    changed = {"GPU_EXPORTER_PORT": "1001", "SLURM_EXPORTER_PORT": "1002"}
    assert plan.ports(settings.read({**HEAD, **changed})[0]) == (6817, 6818, 1001, 1002)
    assert plan.ports(settings.read({**WORKER, **changed})[0]) == (6818, 1001)


def test_users_of_the_programs() -> None:
    assert plan.users(CATALOGUE) == ("munge", "nobody", "root", "slurm")


@pytest.mark.parametrize(
    ("environ", "hardware", "state", "words"),
    [
        (HEAD, {"slurm_version": None}, "", "Slurm is not installed"),
        (HEAD, {"slurm_version": (21, 8, 5)}, "", "Slurm 21.08.5 is too old"),
        (HEAD, {"address": None}, "", "This pod has no network address"),
        (
            HEAD,
            {"hostname": "localhost"},
            "",
            "The hostname 'localhost' is a word that Slurm keeps for itself. Start the head",
        ),
        (WORKER, {"hostname": "a" * 64}, "", "is not a name Slurm can take. Set NODE_NAME"),
        (HEAD, {"missing_users": ("slurm",)}, "", "useradd --system slurm"),
        (
            HEAD,
            {"taken_ports": (9400,)},
            "",
            "GPU_EXPORTER_PORT 9400 is taken by another process. Choose another port.",
        ),
        (HEAD, {"taken_ports": (9341,)}, "", "SLURM_EXPORTER_PORT 9341 is taken"),
        (HEAD, {"taken_ports": (6817,)}, "", "slurmctld's port 6817 is taken by another process. Stop that process."),
        ({**HEAD, "NODE_IP": "fd00::5"}, {}, "", "The head's address fd00::5 is IPv6"),
        (
            {**WORKER, "HEAD_NODE_IP": "fd00::1"},
            {"slurm_version": (24, 5, 9)},
            "",
            "The head's address fd00::1 is IPv6",
        ),
        (WORKER, {"taken_ports": (6818,)}, "", "slurmd's port 6818 is taken"),
        (HEAD, {}, "is full", "STATE_DIR (default) /s is full. Do."),
        ({**HEAD, "STATE_DIR": "/s"}, {}, "is full", "STATE_DIR /s is full. Do."),
        ({**HEAD, "WORKER_NODES": "pod-1:10.0.0.9"}, {}, "", "WORKER_NODES entry pod-1:10.0.0.9 is this head itself"),
        ({**HEAD, "WORKER_NODES": "w1:10.0.0.5"}, {}, "", "WORKER_NODES entry w1:10.0.0.5 is this head itself"),
        ({**HEAD, "NODE_NAME": "h", "WORKER_NODES": "h:10.0.0.9"}, {}, "", "entry h:10.0.0.9 is this head itself"),
        ({**HEAD, "NODE_IP": "10.0.0.9", "WORKER_NODES": "w1:10.0.0.9"}, {}, "", "w1:10.0.0.9 is this head itself"),
    ],
)
def test_check_finds(environ: dict[str, str], hardware: dict[str, Any], state: str, words: str) -> None:
    wanted, problems = settings.read(environ)
    assert not problems
    folder = StateFolder("/s", state, "Do" if state else "")
    (found,) = plan.check(wanted, with_hardware(**hardware), folder)
    assert words in str(found)


@pytest.mark.parametrize(
    ("environ", "hardware", "state"),
    [
        (HEAD, {}, ""),
        (HEAD, {"slurm_version": (22, 5, 0)}, ""),
        ({**HEAD, "NODE_IP": "10.0.0.5"}, {"address": None}, ""),
        ({**HEAD, "NODE_IP": "fd00::5"}, {"slurm_version": (24, 11, 0)}, ""),
        ({**WORKER, "NODE_IP": "fd00::5"}, {}, ""),
        (WORKER, {}, "is full"),
        ({**WORKER, "WORKER_NODES": "pod-1:10.0.0.5"}, {}, ""),
    ],
)
def test_check_lets_pass(environ: dict[str, str], hardware: dict[str, Any], state: str) -> None:
    wanted, problems = settings.read(environ)
    assert not problems
    assert list(plan.check(wanted, with_hardware(**hardware), StateFolder("/s", state, "Do"))) == []


def test_check_tells_everything_at_once() -> None:
    hardware = with_hardware(
        slurm_version=None, address=None, missing_users=("munge", "slurm"), taken_ports=(6817, 9400)
    )
    found = list(plan.check(settings.read(HEAD)[0], hardware, StateFolder("/s", "is full", "Do")))
    assert len(found) == 7


def test_no_secret_is_passed_on() -> None:
    secrets = {"MUNGE_KEY": SECRET, "RUNPOD_API_KEY": "rpa_1", "JUPYTER_PASSWORD": "pw-8u1"}
    made = build({"NODE_ROLE": "head", "PATH": "/bin", "LANG": "C.UTF-8", **secrets})
    assert made.environment == {"PATH": "/bin", "LANG": "C.UTF-8"}
    everything = plan.show(made) + repr(made) + "".join(files(made).values())
    for secret in secrets.values():
        assert secret not in everything


def test_show_masks_the_key_and_nothing_else() -> None:
    made = build(HEAD)
    shown = plan.show(made)
    key = next(file for file in made.files if file.secret)
    assert key == plan.File("/etc/munge/munge.key", munge_key.derive(SECRET.encode()), 0o400, "munge", secret=True)
    assert shown.count("(hidden)") == 1
    assert "# file /etc/munge/munge.key 0400 munge\n(hidden)\n" in shown
    for path, text in files(made).items():
        assert f"# file {path} " in shown
        assert text.rstrip("\n") in shown
    for folder in made.folders:
        assert f"# folder {folder.path} {folder.mode:04o} {folder.owner}\n" in shown


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
    assert made.command == (PATHS.python, "-m", "supervisor.supervisord", "-c", plan.SUPERVISORD_CONF)
    assert files(made)[plan.SUPERVISORD_CONF].encode() == BASE
    assert made.pruned_folder == plan.PROGRAMS_FOLDER
