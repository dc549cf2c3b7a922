"""Boots that were written down: an environment, the hardware, and every file that the plan makes of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bootstrap.gpus import Gpu
from bootstrap.hardware import Hardware
from bootstrap.limits import Limits
from bootstrap.plan import Plan
from tests.bootstrap import samples

FOLDER = Path(__file__).resolve().parents[1] / "captures/bootstrap"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())


def environ(case: str) -> dict[str, str]:
    """The case's environment: one KEY=value a line."""
    lines = (FOLDER / case / "env").read_text().splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def hardware(case: str) -> Hardware:
    """The case's hardware; what the file leaves out has its default."""
    data: dict[str, Any] = json.loads((FOLDER / case / "hardware.json").read_text())
    data["limits"] = Limits(**data["limits"])
    data["gpus"] = tuple(Gpu(**gpu) for gpu in data.get("gpus", ()))
    for name in ("slurm_version", "missing_users", "taken_ports"):
        if data.get(name) is not None:
            data[name] = tuple(data[name])
    return Hardware(**data)


def plan(case: str) -> Plan:
    """What the bootstrap would do."""
    return samples.build(environ(case), hardware(case))


def written(made: Plan) -> dict[str, str]:
    """Path below expected/ -> content, of every file that is no secret and not the same in every pod."""
    files = {path.lstrip("/"): text for path, text in samples.files(made).items() if text.encode() != samples.BASE}
    return {**files, "notices": "".join(f"{notice}\n" for notice in made.notices)}


def expected(case: str) -> dict[str, str]:
    """The tree that was written down."""
    root = FOLDER / case / "expected"
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def update(case: str, files: Mapping[str, str]) -> None:
    """Write the tree down anew."""
    root = FOLDER / case / "expected"
    shutil.rmtree(root, ignore_errors=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
