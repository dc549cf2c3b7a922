"""supervisord's own way to read its configuration."""

from __future__ import annotations

import shlex

from supervisor.datatypes import dict_of_key_value_pairs
from supervisor.options import UnhosedConfigParser


def sections(text: str) -> dict[str, dict[str, str]]:
    """Section -> option -> value, `%` expanded as supervisord does it."""
    parser = UnhosedConfigParser()
    parser.read_string(text)
    return {name: {key: parser.saneget(name, key) for key in parser.options(name)} for name in parser.sections()}


def argv(command: str) -> list[str]:
    """A command option as supervisord splits it."""
    return shlex.split(command)


def environment(text: str) -> dict[str, str]:
    """An environment option as supervisord reads it."""
    return dict(dict_of_key_value_pairs(text))
