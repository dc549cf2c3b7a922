"""programs.yaml and a role -> one supervisord program section per program. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_PRIORITY_STEP = 10
NEEDS = ("munge", "controller")
"""What a program can wait for; the plan knows how each is asked on a role."""
CONDITIONS = ("ssh", "jupyter")
"""What a program can depend on; the plan knows whether this pod has it."""
_FIELDS = {"command", "when", "needs", "prepare", "user", "environment", "stop_seconds"}


class CatalogueError(ValueError):
    """programs.yaml is not as it must be; names the program and the field."""


@dataclass(frozen=True)
class Program:
    """One entry of programs.yaml. Texts may hold {placeholders} of the plan's values."""

    name: str
    command: tuple[str, ...]
    user: str
    stop_seconds: int
    when: str = ""
    """The condition under which it runs; always without one."""
    needs: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Catalogue:
    """All programs, and which of them a role runs: steps that start one after the other and stop in the reverse."""

    programs: Mapping[str, Program]
    roles: Mapping[str, tuple[tuple[str, ...], ...]]

    def of_role(self, role: str, conditions: Collection[str] = CONDITIONS) -> list[list[Program]]:
        """The programs of a role, step by step, that run under these conditions."""
        return [
            [self.programs[name] for name in step if self.programs[name].when in ("", *conditions)]
            for step in self.roles[role]
        ]


def load(text: str) -> Catalogue:
    """Parse programs.yaml; raises CatalogueError."""
    try:
        data = yaml.safe_load(text)
        programs = {name: _program(name, entry) for name, entry in data["programs"].items()}
        roles = {role: tuple(tuple(step) for step in steps) for role, steps in data["roles"].items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, CatalogueError):
            raise
        raise CatalogueError(f"it is not a catalogue of programs and roles: {error!r}") from None
    for role, steps in roles.items():
        for name in (name for step in steps for name in step):
            if name not in programs:
                raise CatalogueError(f"role {role} lists the program {name}, which is not defined")
    return Catalogue(programs, roles)


def _program(name: str, entry: Mapping[str, Any]) -> Program:
    unknown = set(entry) - _FIELDS
    if unknown:
        raise CatalogueError(f"program {name} has the unknown field {sorted(unknown)[0]}")
    needs = tuple(entry.get("needs", ()))
    if not set(needs) <= set(NEEDS):
        raise CatalogueError(f"program {name} needs {', '.join(needs)}, but only {NEEDS} can be waited for")
    when = entry.get("when", "")
    if when and when not in CONDITIONS:
        raise CatalogueError(f"program {name} has when: {when}, but only {CONDITIONS} are known")
    try:
        return Program(
            name=name,
            command=tuple(str(word) for word in entry["command"]),
            user=str(entry["user"]),
            stop_seconds=int(entry["stop_seconds"]),
            when=when,
            needs=needs,
            prepare=tuple(str(word) for word in entry.get("prepare", ())),
            environment=tuple((key, str(value)) for key, value in entry.get("environment", {}).items()),
        )
    except KeyError as missing:
        raise CatalogueError(f"program {name} has no {missing.args[0]}") from None


def section(program: Program, priority: int, values: Mapping[str, str], launcher: list[str]) -> str:
    """One [program:x] section. values fill {placeholders}; launcher is the argv in front of a program that waits."""
    command = _fill(program.command, values)
    if program.needs or program.prepare:
        waits = [word for need in program.needs for word in ("--wait", values[f"wait_{need}"])]
        prepare = ["--", *_fill(program.prepare, values)] if program.prepare else []
        command = [*launcher, program.name, *waits, *prepare, "--", *command]
    options = {
        "command": shlex.join(command),
        "user": program.user,
        "priority": str(priority),
        "environment": ",".join(f"{key}={_quoted(_fill([value], values)[0])}" for key, value in program.environment),
        "directory": "/",
        "autorestart": "true",
        "startsecs": "1",
        # Never give up: bootstrap.supervisord_plugin keeps the pause between tries short.
        "startretries": "1000000",
        "stopwaitsecs": str(program.stop_seconds),
        "redirect_stderr": "true",
        "stdout_logfile": f"/var/log/gpu-watchdog/{program.name}.log",
        "stdout_logfile_maxbytes": "5MB",
        "stdout_logfile_backups": "2",
        "stdout_events_enabled": "true",
    }
    lines = [f"{key}={_escaped(value)}" for key, value in options.items() if value]
    return "\n".join([f"[program:{program.name}]", *lines]) + "\n"


def sections(
    catalogue: Catalogue,
    role: str,
    values: Mapping[str, str],
    launcher: list[str],
    conditions: Collection[str] = CONDITIONS,
) -> dict[str, str]:
    """Program name -> its section, for every program of a role under these conditions.

    The priority is the step's: bootstrap.supervisord_plugin stops what has the same one together.
    """
    return {
        program.name: section(program, _PRIORITY_STEP * (number + 1), values, launcher)
        for number, step in enumerate(catalogue.of_role(role, conditions))
        for program in step
    }


def _fill(words: list[str] | tuple[str, ...], values: Mapping[str, str]) -> list[str]:
    """Fill {placeholders}; a word that is just one placeholder of several words stands for them, none for none."""
    filled = []
    for word in words:
        name = word[2:-1] if word.startswith("{*") and word.endswith("}") else None
        filled += shlex.split(values[name]) if name else [word.format_map(values)]
    return filled


def _escaped(value: str) -> str:
    """A value as supervisord reads it back; raises ValueError for what its format cannot carry.

    `%` starts an expansion; a line end would start a new option or section, a `;` or `#` after white space a
    comment. The settings let none of them in; this is the second lock.
    """
    if any(ord(character) < 32 or ord(character) == 127 for character in value) or re.search(r"(^|\s)[;#]", value):
        raise ValueError(f"{value!r} cannot be written into supervisord's configuration")
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    if '"' in value:
        raise ValueError(f"{value!r} cannot be written into supervisord's environment option")
    return f'"{value}"'
