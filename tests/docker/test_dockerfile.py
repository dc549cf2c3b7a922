"""What the Dockerfile repeats of the product, and what it needs of this tree."""

from __future__ import annotations

import fnmatch
import importlib.util
import itertools
import json
import re
from pathlib import PurePosixPath

import pytest

from bootstrap import health
from bootstrap.settings import Settings
from bootstrap.variables import JUPYTER_PORT, SLURMCTLD_PORT, SLURMD_PORT, SSH_PORT
from local.pod import REPOSITORY

TEXT = (REPOSITORY / "Dockerfile").read_text()
CODE = PurePosixPath("/opt/gpu-watchdog")


def instructions() -> list[tuple[str, str]]:
    """Name and words of each instruction; lines that go on are put together, comments left out."""
    lines = "".join(f"{line}\n" for line in TEXT.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    pairs = (line.partition(" ") for line in lines.splitlines() if line.strip())
    return [(name, " ".join(words.split())) for name, _, words in pairs]


INSTRUCTIONS = instructions()
LAST_STAGE = INSTRUCTIONS[max(number for number, (name, _) in enumerate(INSTRUCTIONS) if name == "FROM") :]


def only(name: str) -> str:
    """The words of the last stage's one instruction of a name."""
    (words,) = (words for found, words in LAST_STAGE if found == name)
    return words


def taken_from_the_tree() -> list[str]:
    """Every path that the build takes from the context."""
    found: list[str] = []
    for name, words in INSTRUCTIONS:
        if name == "COPY" and "--from=" not in words:
            found += words.split()[:-1]
        for mount in re.findall(r"--mount=type=bind,(\S+)", words):
            options = dict(option.partition("=")[::2] for option in mount.split(","))
            if "from" not in options:
                found.append(options["source"])
    return found


def is_sent(path: str) -> bool:
    """Whether .dockerignore lets a path pass: the last pattern that holds for it or a folder above decides."""
    sent = True
    places = [path, *map(str, PurePosixPath(path).parents)][:-1]
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in line
        if any(fnmatch.fnmatchcase(PurePosixPath(place).name if anywhere else place, pattern) for place in places):
            sent = line.startswith("!")
    return sent


def test_ports_are_those_of_the_product_and_none_of_slurms() -> None:
    exposed = {int(port) for port in only("EXPOSE").split()}
    usual = Settings()
    assert exposed == {SSH_PORT, JUPYTER_PORT, usual.gpu_exporter_port, usual.slurm_exporter_port}
    assert not exposed & {SLURMCTLD_PORT, SLURMD_PORT}


def test_it_starts_the_bootstrap_and_stops_by_sigterm() -> None:
    python, *options, module = json.loads(only("ENTRYPOINT"))
    assert (python, options) == (f"{CODE}/venv/bin/python", ["-I", "-m"])
    assert importlib.util.find_spec(f"{module}.__main__")
    assert json.loads(only("CMD")) == []
    assert only("STOPSIGNAL") == "SIGTERM"


def test_python_takes_nothing_from_the_working_directory_or_pythonpath() -> None:
    assert re.findall(r"venv/bin/python\W+-(\w+)", TEXT) == ["I"] * TEXT.count("venv/bin/python") == ["I"] * 4


def test_health_check_is_the_products_and_has_the_time_it_takes() -> None:
    words = only("HEALTHCHECK")
    options, _, command = words.partition("CMD ")
    python, *flags, script = json.loads(command)
    assert (python, flags) == (f"{CODE}/venv/bin/python", ["-I", "-S"])
    assert (REPOSITORY / PurePosixPath(script).relative_to(CODE)).samefile(health.__file__)
    (timeout_s,) = re.findall(r"--timeout=([0-9]+)s", options)
    assert int(timeout_s) > 2 * health.DEADLINE_S


@pytest.mark.parametrize("path", sorted(set(taken_from_the_tree())))
def test_what_is_taken_from_the_tree_is_there_and_sent(path: str) -> None:
    assert (REPOSITORY / path).exists()
    assert is_sent(path)


def test_nothing_else_is_sent() -> None:
    sent = {path.name for path in REPOSITORY.iterdir() if is_sent(path.name)}
    assert sent == {path.split("/")[0] for path in taken_from_the_tree()}
    for path in (".git/config", ".env", "munge.key", "build/dev/x", "tests/x.py", "bootstrap/__pycache__/x.pyc"):
        assert not is_sent(path)


def test_every_package_of_the_product_is_in_the_image() -> None:
    copied = {words.split()[-1] for name, words in LAST_STAGE if name == "COPY"}
    assert copied == {f"{CODE}/{name}" for name in ("venv", "bootstrap", "exporters", "conf")}


def test_no_layer_of_the_image_depends_on_how_it_is_built() -> None:
    """Slurm would be built or installed anew."""
    assert "docker/install.sh" in taken_from_the_tree()
    for path in taken_from_the_tree():
        assert not PurePosixPath("docker/build.sh").is_relative_to(path)
    for name, words in LAST_STAGE:
        for script in ("install.sh", "bake-key.py"):
            # Each of the two layers sees its own script alone.
            assert name != "RUN" or (f"/media/{script}" in words) == (f"source=/{script.partition('.')[0]}," in words)


def test_all_that_a_build_can_be_told_is_explained_at_the_top() -> None:
    header = "".join(itertools.takewhile(lambda line: line.startswith("#"), TEXT.splitlines(keepends=True)))
    arguments = {words.partition("=")[0] for name, words in INSTRUCTIONS if name == "ARG"}
    labels = {"VERSION", "REVISION", "SOURCE", "CREATED"}
    assert arguments - labels == {name for name in arguments if re.search(rf"\b{name}\b", header)}
    assert "BUILD_ID" in (REPOSITORY / "docs/runpod.md").read_text()


def test_no_secret_is_an_argument_or_a_variable() -> None:
    names = {words.partition("=")[0].split()[0] for name, words in INSTRUCTIONS if name in ("ARG", "ENV")}
    assert not [name for name in names if re.search("KEY|SECRET|TOKEN|PASSWORD", name)]
    assert sum("--mount=type=secret,id=munge_key" in words for _, words in INSTRUCTIONS) == 1
