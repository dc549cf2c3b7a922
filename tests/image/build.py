"""An image and its layers, as the Docker engine has them, and further builds of the Dockerfile."""

from __future__ import annotations

import json
import os
import secrets
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from local.pod import REPOSITORY
from tests.system.docker import OWNER, alive, docker

BUILD_TIMEOUT_S = 600.0
OTHERS = "gpu-watchdog-test/other"
"""The repository of what is built besides the image under test."""


@dataclass(frozen=True)
class Entry:
    """One entry of a layer: what it is and, for a file, its content."""

    layer: int
    path: str
    mode: int
    content: bytes


class Image:
    """An image by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    @cached_property
    def inspected(self) -> dict[str, Any]:
        """What `docker image inspect` says."""
        (found,) = json.loads(docker("image", "inspect", self.name).stdout)
        assert isinstance(found, dict)
        return found

    @property
    def layers(self) -> list[str]:
        """Digests of the layers, the base's first."""
        found: list[str] = self.inspected["RootFS"]["Layers"]
        return found

    @property
    def base(self) -> Image:
        """The image that it was built on, by its label."""
        return Image(self.inspected["Config"]["Labels"]["org.opencontainers.image.base.name"])

    def history(self) -> str:
        """All that `docker history` tells."""
        return docker("history", "--no-trunc", "--format", "{{.CreatedBy}} {{.Comment}}", self.name).stdout

    def run(self, *arguments: str, options: tuple[str, ...] = (), check: bool = True) -> tuple[int, str]:
        """Status and output (both streams) of `docker run --rm IMAGE ARGUMENTS`."""
        done = docker("run", "--rm", *options, self.name, *arguments, check=False, merged=True)
        if check:
            assert done.returncode == 0, done.stdout
        return done.returncode, done.stdout

    def shell(self, script: str) -> str:
        """Output of a shell script in a container of it."""
        return self.run("-c", script, options=("--entrypoint=/bin/sh",))[1]

    def own_entries(self) -> Iterator[Entry]:
        """Every entry of the layers above the base's, from `docker save`."""
        below = len(self.base.layers)
        with tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "image.tar"
            docker("save", f"--output={saved}", self.name, timeout=BUILD_TIMEOUT_S)
            with tarfile.open(saved) as image:
                listed = image.extractfile("manifest.json")
                assert listed is not None
                (manifest,) = json.load(listed)
                for number, layer in list(enumerate(manifest["Layers"]))[below:]:
                    with tarfile.open(fileobj=image.extractfile(layer)) as content:
                        for entry in content:
                            file = content.extractfile(entry) if entry.isfile() else None
                            yield Entry(number, f"/{entry.name}", entry.mode, file.read() if file else b"")


def build(
    context: Path = REPOSITORY,
    *,
    target: str = "",
    arguments: dict[str, str] | None = None,
    secret: Path | None = None,
    dockerfile: str = "",
    check: bool = True,
) -> tuple[Image, str]:
    """Build the Dockerfile (or the one given as text) of a context as the image under test was; image and log."""
    name = f"{OTHERS}:{OWNER}-{secrets.token_hex(8)}"
    wanted = {
        "BASE_IMAGE": Image(os.environ["TEST_IMAGE"]).base.name,
        "SLURM_SOURCE": os.environ.get("SLURM_SOURCE", "apt"),
        "SLURM_VERSION": os.environ.get("SLURM_VERSION", ""),
        "SLURM_URL": os.environ.get("SLURM_URL", ""),
        "BUILD_ID": secrets.token_hex(8),
        **(arguments or {}),
    }
    options = [f"--build-arg={key}={value}" for key, value in wanted.items() if value and not dockerfile]
    options += [f"--target={target}"] if target else []
    options += [f"--secret=id=munge_key,src={secret}"] if secret else []
    options += ["--file=-"] if dockerfile else []
    done = docker(
        *("build", "--progress=plain", f"--tag={name}", *options, str(context)),
        environment={"DOCKER_BUILDKIT": "1"},
        input=dockerfile.encode(),
        timeout=BUILD_TIMEOUT_S,
        check=False,
        merged=True,
    )
    assert not check or done.returncode == 0, done.stdout
    return Image(name), done.stdout


def remove_others() -> None:
    """Remove what build() made in this run, and in runs whose process is gone."""
    for tag in docker("image", "ls", "--format={{.Tag}}", OTHERS).stdout.split():
        owner = tag.rpartition("-")[0]
        if owner == OWNER or not alive(owner):
            docker("image", "rm", "--force", f"{OTHERS}:{tag}", check=False)
