from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.supervisord_conf import Catalogue, CatalogueError, Program, load, section, sections
from tests.bootstrap import supervisord
from tests.bootstrap.samples import CATALOGUE, CONF

LAUNCHER = ["python", "launch.py"]
OPTIONS = {
    "command",
    "user",
    "priority",
    "directory",
    "autorestart",
    "startsecs",
    "startretries",
    "stopwaitsecs",
    "redirect_stderr",
    "stdout_logfile",
    "stdout_logfile_maxbytes",
    "stdout_logfile_backups",
    "stdout_events_enabled",
}


def catalogue(program: dict[str, Any] | None = None, roles: dict[str, list[list[str]]] | None = None) -> str:
    good = {"command": ["sleep", 60], "user": "root", "stop_seconds": 3}
    return yaml.safe_dump(
        {"programs": {"a": good if program is None else program}, "roles": roles or {"head": [["a"]]}}
    )


def program(**changes: Any) -> Program:
    return dataclasses.replace(Program("a", ("sleep", "60"), "root", 3), **changes)


def options(made: Program, **values: str) -> dict[str, str]:
    """The options of a program's section, as supervisord reads them."""
    found = supervisord.sections(section(made, 10, values, LAUNCHER))
    assert list(found) == ["program:a"]
    return found["program:a"]


def test_load() -> None:
    found = load(catalogue())
    assert found.programs == {"a": program()}
    assert found.of_role("head") == [[program()]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (catalogue(roles={"head": [["a"], ["b"]]}), "role head lists the program b, which is not defined"),
        (catalogue(roles={"head": [["a", "b"]]}), "role head lists the program b, which is not defined"),
        (
            catalogue({"command": ["x"], "user": "root", "stop_seconds": 1, "when": "shh"}),
            r"program a has when: shh, but only \('ssh', 'jupyter'\) are known",
        ),
        (catalogue({"user": "root", "stop_seconds": 1}), "program a has no command"),
        (catalogue({"command": ["x"], "stop_seconds": 1}), "program a has no user"),
        (catalogue({"command": ["x"], "user": "root"}), "program a has no stop_seconds"),
        (
            catalogue({"command": ["x"], "user": "root", "stop_seconds": 1, "priority": 1}),
            "program a has the unknown field priority",
        ),
        (
            catalogue({"command": ["x"], "user": "root", "stop_seconds": 1, "needs": ["mung"]}),
            r"program a needs mung, but only \('munge', 'controller'\) can be waited for",
        ),
        ("", "it is not a catalogue of programs and roles: .*"),
        (catalogue({"command": ["x"], "user": "root", "stop_seconds": "soon"}), "it is not a catalogue .*"),
    ],
)
def test_load_names_the_program_and_the_field(text: str, words: str) -> None:
    with pytest.raises(CatalogueError, match=f"^{words}$"):
        load(text)


def test_plain_section() -> None:
    found = options(program())
    assert set(found) == OPTIONS
    assert found["command"] == "sleep 60"
    assert found["user"] == "root"
    assert found["priority"] == "10"
    assert found["stopwaitsecs"] == "3"
    assert found["stdout_logfile"] == "/var/log/gpu-watchdog/a.log"


def test_waits_and_prepares_through_the_launcher() -> None:
    made = program(needs=("munge", "controller"), prepare=("prep", "{*many}"), command=("run", "{one}", "{*none}"))
    found = options(made, wait_munge="munge=/s", wait_controller="listening=1", one="a b", many="-x 'y z'", none="")
    waits = ["--wait", "munge=/s", "--wait", "listening=1"]
    assert supervisord.argv(found["command"]) == [
        *LAUNCHER,
        "a",
        *waits,
        "--",
        "prep",
        "-x",
        "y z",
        "--",
        "run",
        "a b",
    ]


def test_environment() -> None:
    made = program(environment=(("RES_OPTIONS", "timeout:1 attempts:1"), ("B", "{one}%,;")))
    found = options(made, one="1")
    assert set(found) == {*OPTIONS, "environment"}
    assert supervisord.environment(found["environment"]) == {"RES_OPTIONS": "timeout:1 attempts:1", "B": "1%,;"}


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF).filter(str.isprintable), min_size=1))
def test_any_word_without_spaces_comes_back(word: str) -> None:
    assert supervisord.argv(options(program(command=("echo", "{word}")), word=word)["command"]) == ["echo", word]


@pytest.mark.parametrize(
    "word", ["100%", "%(here)s", "%(ENV_HOME)s", "a;b", "a#b", ";b", "it's", 'say "x"', "[x]", "{a}"]
)
def test_word_of_the_format_comes_back(word: str) -> None:
    assert supervisord.argv(options(program(command=("echo", "{word}")), word=word)["command"]) == ["echo", word]


@pytest.mark.parametrize("word", ["a\nb", "a\n[program:x]", "\r", "\t", "\x00", "\x7f", "a ;b", "a #b", "a\xa0#b"])
def test_word_the_format_cannot_carry_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match="cannot be written into supervisord's configuration"):
        section(program(command=("echo", "{word}")), 10, {"word": word}, LAUNCHER)


def test_quote_in_the_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="environment option"):
        section(program(environment=(("A", 'b"c'),)), 10, {}, LAUNCHER)


def steps(head: list[list[str]], when: Mapping[str, str] = MappingProxyType({})) -> Catalogue:
    """A catalogue of the programs a to e, with the steps of a head."""
    entry = {"command": ["x"], "user": "root", "stop_seconds": 1}
    programs = {name: {**entry, "when": when.get(name, "")} for name in "abcde"}
    return load(yaml.safe_dump({"programs": programs, "roles": {"head": head, "worker": [["b"]]}}))


def priorities(made: dict[str, str]) -> dict[str, str]:
    """Program -> priority, as supervisord reads them."""
    read = supervisord.sections("".join(made.values()))
    return {name.removeprefix("program:"): options["priority"] for name, options in read.items()}


def test_programs_of_a_step_have_its_priority() -> None:
    made = sections(steps([["c"], ["a", "d"], ["e"]]), "head", {}, LAUNCHER)
    assert list(made) == ["c", "a", "d", "e"]
    assert priorities(made) == {"c": "10", "a": "20", "d": "20", "e": "30"}


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ((), {"c": "10", "e": "30"}),
        (("ssh",), {"c": "10", "a": "20", "e": "30"}),
        (("jupyter",), {"c": "10", "d": "20", "e": "30"}),
        (("ssh", "jupyter"), {"c": "10", "a": "20", "d": "20", "e": "30"}),
    ],
)
def test_conditions_leave_out_programs_and_move_none(conditions: tuple[str, ...], expected: dict[str, str]) -> None:
    found = steps([["c"], ["a", "d"], ["e"]], when={"a": "ssh", "d": "jupyter"})
    assert priorities(sections(found, "head", {}, LAUNCHER, conditions)) == expected


@pytest.mark.parametrize("role", ["head", "worker"])
def test_a_pod_stops_within_dockers_ten_seconds(role: str) -> None:
    longest = [max(program.stop_seconds for program in step) for step in CATALOGUE.of_role(role)]
    assert 0 < sum(longest) < 10


def test_roles_of_the_shipped_catalogue() -> None:
    assert set(CATALOGUE.roles) == {"head", "worker"}
    used = [name for step in CATALOGUE.roles["head"] for name in step]
    assert sorted(used) == sorted(CATALOGUE.programs)
    assert {name for step in CATALOGUE.roles["worker"] for name in step} < set(used)
    assert {program.user for program in CATALOGUE.programs.values()} == {"root", "munge", "nobody"}
    assert {name: program.when for name, program in CATALOGUE.programs.items() if program.when} == {
        "sshd": "ssh",
        "jupyter": "jupyter",
    }


def test_shipped_base_includes_the_programs_and_the_plugin() -> None:
    base = supervisord.sections((CONF / "supervisord/supervisord.conf").read_text())
    assert base["include"]["files"] == "/etc/gpu-watchdog/programs/*.conf"
    assert base["supervisord"]["nodaemon"] == "true"
    factory = "supervisor.rpcinterface_factory"
    assert base["rpcinterface:gpu_watchdog"][factory] == "bootstrap.supervisord_plugin:install"
    assert shlex.split(base["unix_http_server"]["chmod"]) == ["0700"]
