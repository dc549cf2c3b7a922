"""The README says what the files say, and the files are laid out as `terraform fmt` lays them out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.terraform.configuration import MODULE, REPOSITORY, load, parse, type_name

README = (MODULE / "README.md").read_text()
FILES = sorted(path for suffix in ("tf", "tftest.hcl") for path in MODULE.rglob(f"*.{suffix}"))


def table(header: str) -> list[str]:
    rows = README.partition(header)[2].splitlines()[2:]
    return rows[: next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))]


def test_every_variable_is_documented_as_it_is() -> None:
    expected = []
    for name, variable in load(MODULE).variables.items():
        default = f"`{json.dumps(variable['default'])}`" if "default" in variable else "none, required"
        expected.append(f"| {name} | {type_name(variable)} | {default} | {variable['description']} |")
    assert table("| variable | type | default | meaning |") == expected


def test_every_output_is_documented_as_it_is() -> None:
    outputs = load(MODULE).outputs
    assert table("| output | meaning |") == [f"| {name} | {body['description']} |" for name, body in outputs.items()]


def test_wherever_terraform_is_offered_it_is_said_when_its_provider_ends() -> None:
    (end,) = re.findall(r"on (15 November or 1\s+December 2026)", README)
    for page in ("README.md", "docs/runpod.md"):
        text = " ".join((REPOSITORY / page).read_text().split())
        assert " ".join(end.split()) in text, page


def test_links_lead_somewhere() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert link.startswith("http") or (MODULE / link).exists(), link


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(MODULE)))
def test_files_are_formatted(path: Path) -> None:
    assert parse(path)
    text = path.read_text()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        assert line == line.rstrip(), f"line {number} ends in white space"
        assert "\t" not in line, f"line {number} has a tab"
        assert len(line) <= 120, f"line {number} is too long"
        assert (len(line) - len(line.lstrip())) % 2 == 0, f"line {number} is not indented by twos"
    for number, (line, following) in enumerate(pairwise(lines), 1):
        # Attributes that stand together on one line each have their = one below the other.
        first, second = (re.fullmatch(r"( *[\w\"]+ *)= .*[^{\[(]", text) for text in (line, following))
        if first and second and _indent(line) == _indent(following):
            assert len(first[1]) == len(second[1]), f"lines {number} and {number + 1} are not aligned"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


# Not a skip, which is a failure where nobody watches: the formatter is no package of the distribution.
if shutil.which("terraform"):

    def test_terraform_would_format_nothing() -> None:
        result = subprocess.run(
            ["terraform", "fmt", "-check", "-recursive", "-diff", "-no-color", str(MODULE)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (result.returncode, result.stdout) == (0, "")
