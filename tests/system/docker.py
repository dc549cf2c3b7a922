"""Pods as Docker containers with default capabilities, on one user-defined network per cluster.

TEST_IMAGE names the image, DOCKER the client where it is not the `docker` on PATH.
"""

from __future__ import annotations

import io
import itertools
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from local import cluster as local_cluster
from local.pod import PodError
from local.spec import (
    FAKE_NVML_FOLDER_IN_POD,
    FAKE_NVML_STATE_IN_POD,
    NVML_IN_POD,
    PATH_IN_POD,
    File,
    start_time,
)
from tests.fake_nvml.control import FakeNvml
from tests.left_out import has_ipv6

# On every container and network made here; the value is the process that made it.
LABEL = "gpu-watchdog-test"
OWNER = f"{os.getpid()}-{start_time(os.getpid())}"
CLIENT_TIMEOUT_S = 60.0


def docker(
    *arguments: str,
    check: bool = True,
    timeout: float = CLIENT_TIMEOUT_S,
    environment: Mapping[str, str] | None = None,
    input: bytes | None = None,
    merged: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run the client; raises PodError with its own words. merged: stderr comes with stdout, in the order written."""
    client = shutil.which(os.environ.get("DOCKER") or "docker")
    if client is None:
        raise PodError("there is no Docker client on PATH")
    try:
        done = subprocess.run(
            [client, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merged else subprocess.PIPE,
            input=input or b"",
            env={**os.environ, **(environment or {})},
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PodError(f"docker {arguments[0]} took over {timeout:g} s: {error.stderr!r}") from None
    text = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(errors="replace"), (done.stderr or b"").decode(errors="replace")
    )
    if check and text.returncode:
        raise PodError(f"docker {' '.join(arguments)} ended with {text.returncode}: {text.stdout}{text.stderr}")
    return text


class Network:
    """A user-defined bridge with an IPv4 subnet and, where the machine has IPv6, one of that."""

    _numbers = itertools.count(1)  # more than 255 end in an error of Docker's

    def __init__(self) -> None:
        error = "overlaps"
        # A subnet can be that of another run on this machine.
        while "overlaps" in error:
            self.number = next(self._numbers)
            self.name = f"gwt-{os.getpid()}-{self.number}"
            subnets = [f"--subnet={self.address(0)}/24"]
            if has_ipv6():
                subnets += ["--ipv6", f"--subnet={self.address6(0)}/64"]
            label = f"--label={LABEL}={OWNER}"
            done = docker("network", "create", *subnets, label, self.name, check=False)
            if done.returncode == 0:
                return
            error = done.stderr
        raise PodError(f"docker network create: {error}")

    def address(self, host: int) -> str:
        """IPv4 address of a host number."""
        return f"10.214.{self.number}.{host}"

    def address6(self, host: int) -> str:
        """IPv6 address of a host number."""
        return f"fd00:214:{self.number:x}::{host:x}"

    def options(self, host: int) -> list[str]:
        """Of `docker create` and `docker network connect`: the fixed addresses."""
        return [f"--ip={self.address(host)}", *([f"--ip6={self.address6(host)}"] if has_ipv6() else [])]


class Container:
    """One pod (tests.system.harness.Pod)."""

    def __init__(
        self,
        container: str,
        create: Sequence[str],
        environment: Mapping[str, str],
        content: bytes,
        network: tuple[Network, int],
        gpus: FakeNvml,
    ) -> None:
        self.container = container
        self._create = create
        self._environment = environment
        self._content = content
        self._network, self._host = network
        self._gpus = gpus

    @property
    def gpus(self) -> FakeNvml:
        """Its simulated GPUs."""
        return self._gpus

    @property
    def exit_status(self) -> int | None:
        """Of PID 1; None while it runs."""
        format_ = "{{.State.Status}} {{.State.ExitCode}}"
        state, _, status = docker("container", "inspect", "--format", format_, self.container).stdout.partition(" ")
        return int(status) if state in ("exited", "dead") else None

    def start(self) -> None:
        """Create it, put its files into it and boot it."""
        # Values stay out of the client's arguments, which everybody can read.
        names = [f"--env={name}" for name in self._environment]
        docker("create", *names, *self._create, environment=self._environment)
        docker("cp", "-", f"{self.container}:/", input=self._content)
        docker("start", self.container)

    def restart(self, timeout: float = 30) -> None:
        """Stop and start it with what it wrote, as `docker restart` does."""
        docker("restart", f"--time={timeout:.0f}", self.container, timeout=timeout + CLIENT_TIMEOUT_S)

    def exec(
        self,
        *argv: str,
        environment: Mapping[str, str] | None = None,
        timeout: float = 30,
        check: bool = True,
        input: str | None = None,
    ) -> str:
        """Run a command in it; without the container's own environment, which holds the key."""
        inner = {"PATH": PATH_IN_POD, "HOME": "/root", "TERM": os.environ.get("TERM", "dumb"), **(environment or {})}
        enter = ("exec", "--interactive", "--workdir=/root", self.container, "env", "-i")
        variables = (f"{name}={value}" for name, value in inner.items())
        stdin = None if input is None else input.encode()
        done = docker(*enter, *variables, *argv, check=False, timeout=timeout, input=stdin)
        not_run = done.returncode == 1 and done.stderr.startswith(("Error response from daemon", "Error: No such"))
        if not_run or (check and done.returncode):
            output = f"{done.stdout}{done.stderr}".strip()
            raise PodError(f"{self.container}: {' '.join(argv)} ended with {done.returncode}: {output}")
        return done.stdout

    def logs(self) -> str:
        """What it wrote to stdout and stderr since it was made."""
        return docker("logs", self.container, merged=True).stdout

    def read(self, path: str) -> str:
        """A file of the container."""
        return self.exec("cat", path)

    def signal(self, number: int) -> None:
        """Send a signal to PID 1."""
        docker("kill", f"--signal={number:d}", self.container)

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, then SIGKILL after the timeout; the exit status."""
        docker("stop", f"--time={timeout:.0f}", self.container, timeout=timeout + CLIENT_TIMEOUT_S)
        status = self.exit_status
        if status is None:
            raise PodError(f"{self.container} could not be killed")
        return status

    def kill(self) -> None:
        """SIGKILL; nothing where it does not run."""
        if docker("kill", self.container, check=False).returncode == 0:
            self.wait(10)

    def wait(self, timeout: float) -> int | None:
        """The exit status, or None after the timeout."""
        try:
            docker("wait", self.container, timeout=timeout, check=False)
        except PodError:
            return None
        return self.exit_status

    def cut(self) -> None:
        """Take its network interface away."""
        docker("network", "disconnect", self._network.name, self.container)

    def heal(self) -> None:
        """Give it back, with the same addresses."""
        docker("network", "connect", *self._network.options(self._host), self._network.name, self.container)


class Docker:
    """The back end of containers (tests.system.harness.Backend)."""

    _cleaned = False

    def __init__(self, folder: Path) -> None:
        self._image = os.environ.get("TEST_IMAGE", "")
        if not self._image:
            raise PodError("TEST_BACKEND=docker needs TEST_IMAGE, the image to test")
        if not Docker._cleaned:
            remove_leftovers()
            Docker._cleaned = True
        self._folder = folder
        self._network = Network()
        self._containers: list[str] = []

    def address(self, host: int) -> str:
        """10.214.N.host."""
        return self._network.address(host)

    def address6(self, host: int) -> str:
        """fd00:214:N::host."""
        return self._network.address6(host)

    def create(self, name: str, environment: Mapping[str, str], host: int, **options: Any) -> Container:
        """A container; each has a name of its own, also when a pod's name is used again.

        Options: those of local.spec.Spec, and image.
        """
        container = f"{self._network.name}-{len(self._containers) + 1}-{name}"
        self._containers.append(container)
        gpus = local_cluster.simulated_gpus(self._folder / container)
        create = [f"--name={container}", f"--hostname={options.get('hostname') or name}", f"--label={LABEL}={OWNER}"]
        if options.get("without_network"):
            create.append("--network=none")
        else:
            create += [f"--network={self._network.name}", *self._network.options(host)]
        create += [f"--{limit}={options[limit]}" for limit in ("cpus", "memory") if limit in options]
        create += [f"--volume={source}:{target}" for source, target in options.get("volumes", {}).items()]
        links = {}
        if options.get("gpus") is not None:
            gpus.path.parent.mkdir(parents=True)
            gpus.write(gpus=options["gpus"])
            create.append(f"--volume={local_cluster.FAKE_NVML}:{NVML_IN_POD}:ro")
            # The folder, not the file, which is replaced while it is in use.
            create.append(f"--volume={gpus.path.parent}:{FAKE_NVML_FOLDER_IN_POD}:ro")
            links[FAKE_NVML_STATE_IN_POD] = f"{FAKE_NVML_FOLDER_IN_POD}/{gpus.path.name}"
        entrypoint, *arguments = options.get("command", [""])
        create += [f"--entrypoint={entrypoint}"] if entrypoint else []
        content = archive(options.get("files", {}), links)
        create += [options.get("image", self._image), *arguments]
        return Container(container, create, environment, content, (self._network, host), gpus)

    def close(self) -> None:
        """Remove the containers and the network."""
        if self._containers:
            docker("rm", "--force", "--volumes", *self._containers, check=False)
        docker("network", "rm", self._network.name)


def archive(files: Mapping[str, File], links: Mapping[str, str]) -> bytes:
    """A tar stream of files and symbolic links, by their absolute paths, all root's."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, file in files.items():
            content = Path(file.copy_of).read_bytes() if file.copy_of else file.text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.mode, entry.size = file.mode, len(content)
            tar.addfile(entry, io.BytesIO(content))
        for path, target in links.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return stream.getvalue()


def remove_leftovers() -> None:
    """Remove the containers and networks of runs whose process is gone."""
    for kind, ls in (("container", ("--all",)), ("network", ())):
        labelled = ("--filter", f"label={LABEL}", "--format", f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}')
        for line in docker(kind, "ls", *ls, *labelled).stdout.splitlines():
            found, owner = line.split()
            if not alive(owner):
                docker(kind, "rm", *(("--force", "--volumes") if kind == "container" else ()), found)


def alive(owner: str) -> bool:
    """Whether the process that an OWNER names is there."""
    try:
        pid, started = owner.split("-")
        return start_time(int(pid)) == started
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
