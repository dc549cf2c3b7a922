"""A folder of .tf files as data: what python-hcl2 parses, in the form that the tests ask about.

Strings come without their quotes; expressions come as `${...}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcl2

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "terraform"
EXAMPLES = sorted(path.parent for path in MODULE.glob("examples/*/main.tf"))
OPTIONS = hcl2.SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)

Body = dict[str, Any]


@dataclass
class Configuration:
    """All blocks of a folder, by their labels."""

    variables: dict[str, Body] = field(default_factory=dict)
    locals: dict[str, Any] = field(default_factory=dict)
    resources: dict[tuple[str, str], Body] = field(default_factory=dict)
    modules: dict[str, Body] = field(default_factory=dict)
    outputs: dict[str, Body] = field(default_factory=dict)
    other: list[Body] = field(default_factory=list)
    """terraform and provider blocks."""

    def pods(self) -> dict[str, Body]:
        """The runpod_pod resources."""
        return {name: body for (kind, name), body in self.resources.items() if kind == "runpod_pod"}

    def expressions(self) -> str:
        """Every text in it, one a line, to search for references."""
        parts = (self.variables, self.locals, list(self.resources.values()), self.modules, self.outputs, self.other)
        return "\n".join(text for part in parts for text in texts(part))

    def resolve(self, value: Any) -> Any:
        """What a bare reference to a local stands for, else the value itself."""
        while reference := re.fullmatch(r"\$\{local\.(\w+)(?:\.(\w+))?\}", str(value)):
            name, key = reference.groups()
            value = self.locals[name][key] if key else self.locals[name]
        return value

    def type_of(self, value: Any) -> str:
        """Terraform's name of a value's type, as far as its text tells."""
        value = self.resolve(value)
        if variable := re.fullmatch(r"\$\{var\.(\w+)\}", str(value)):
            return type_name(self.variables[variable[1]])
        if isinstance(value, bool):
            return "bool"
        if isinstance(value, int | float):
            return "number"
        if isinstance(value, list):
            return "list(string)"
        if isinstance(value, dict) or str(value).startswith("${merge("):
            return "map(string)"
        return "string"


def load(folder: Path) -> Configuration:
    """Parse every .tf file of a folder; a name given twice is an error."""
    found = Configuration()
    for path in sorted(folder.glob("*.tf")):
        for kind, blocks in parse(path).items():
            for block in blocks:
                _add(found, kind, block)
    return found


def parse(path: Path) -> dict[str, list[Body]]:
    """One file."""
    return dict(hcl2.loads(path.read_text(), serialization_options=OPTIONS))


def _add(found: Configuration, kind: str, block: Body) -> None:
    labelled = {"variable": found.variables, "module": found.modules, "output": found.outputs}
    if kind == "locals":
        _update(found.locals, block)
    elif kind == "resource":
        ((resource, named),) = block.items()
        _update(found.resources, {(resource, name): body for name, body in named.items()})
    elif kind in labelled:
        _update(labelled[kind], block)
    else:
        found.other.append(block)


def _update(known: dict[Any, Any], new: Mapping[Any, Any]) -> None:
    assert not known.keys() & new.keys(), f"declared twice: {known.keys() & new.keys()}"
    known.update(new)


def type_name(variable: Body) -> str:
    """`list(string)`, as the variable's block has it."""
    return str(variable["type"]).removeprefix("${").removesuffix("}")


def texts(value: Any) -> Iterator[str]:
    """Every text in nested data."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, str):
        yield value


def environment(value: Any) -> dict[str, str]:
    """Names and values that an `env` sets itself, as a map or in the objects that it merges."""
    if isinstance(value, dict):
        return {name: str(setting) for name, setting in value.items()}
    pairs = re.findall(r'\b([A-Z][A-Z0-9_]+) = ("[^"]*"|[^,}]+)', value)
    return {name: setting.strip('"') for name, setting in pairs}
