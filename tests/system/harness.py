"""Pods and clusters for the system tests.

Tests speak of a Cluster and its pods only. What makes a pod is behind Backend: Linux namespaces here; containers can
be another back end without a change to the tests.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from local import cluster as local_cluster
from local.network import Bridge
from local.pod import Pod as NamespacePod
from local.pod import PodError

MUNGE_KEY = "system-test-secret-" + "0123456789abcdef" * 2
BOOT_DEADLINE_S = 30.0
GPU_PORT = 9400
SLURM_PORT = 9341


class Pod(Protocol):
    """One pod, however it is made. Times in seconds."""

    @property
    def exit_status(self) -> int | None:
        """Of PID 1; None while it runs."""

    def start(self) -> None:
        """Boot it."""

    def exec(
        self,
        *argv: str,
        environment: Mapping[str, str] | None = None,
        timeout: float = 30,
        check: bool = True,
        input: str | None = None,
    ) -> str:
        """Run a command in it as root and return its stdout; raises PodError when check is set and it fails."""

    def logs(self) -> str:
        """What it wrote to stdout and stderr."""

    def read(self, path: str) -> str:
        """A file of the pod."""

    def signal(self, number: int) -> None:
        """Send a signal to PID 1."""

    def stop(self, timeout: float = 30) -> int:
        """SIGTERM, then SIGKILL after the timeout; the exit status."""

    def kill(self) -> None:
        """SIGKILL."""

    def wait(self, timeout: float) -> int | None:
        """The exit status, or None after the timeout."""

    def cut(self) -> None:
        """Take its network away."""

    def heal(self) -> None:
        """Give it back."""


class Backend(Protocol):
    """A way to make pods that share one network."""

    def create(self, name: str, environment: Mapping[str, str], host: int, **options: Any) -> Pod:
        """A pod that is not started yet, at the network's host number."""

    def address(self, host: int) -> str:
        """The address of a host number."""

    def close(self) -> None:
        """Remove what is left."""


class Namespaces:
    """The back end of local/: see local.spec.Spec for the options."""

    _numbers = itertools.count(1)

    def __init__(self, folder: Path) -> None:
        number = next(self._numbers)
        self._folder = folder
        self._bridge = Bridge(f"gwt{os.getpid() % 10**6}x{number}", number % 190 + 1)
        self._bridge.delete()
        self._bridge.create()
        self._lives = itertools.count(1)

    def address(self, host: int) -> str:
        """10.213.N.host."""
        return self._bridge.address(host)

    def create(self, name: str, environment: Mapping[str, str], host: int, **options: Any) -> NamespacePod:
        """A pod of namespaces; each gets a folder of its own, also when a name is used again."""
        folder = self._folder / f"{next(self._lives)}-{name}"
        options.setdefault("address", self.address(host))
        return NamespacePod(local_cluster.spec(name, folder, environment, **options), self._bridge)

    def close(self) -> None:
        """Remove the bridge."""
        self._bridge.delete()


class Cluster:
    """Pods on one network; the first host number is the head's."""

    HEAD = 10

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.pods: dict[str, Pod] = {}
        self._hosts = itertools.count(self.HEAD + 1)
        self.head_address = backend.address(self.HEAD)

    @property
    def head(self) -> Pod:
        """The pod named head."""
        return self.pods["head"]

    def add(self, name: str, environment: Mapping[str, str], host: int | None = None, **options: Any) -> Pod:
        """Create and start a pod with exactly this environment."""
        pod = self.backend.create(name, environment, next(self._hosts) if host is None else host, **options)
        self.pods[name] = pod
        pod.start()
        return pod

    def add_head(self, environment: Mapping[str, str] | None = None, **options: Any) -> Pod:
        """Start a head."""
        base = {"NODE_ROLE": "head", "MUNGE_KEY": MUNGE_KEY}
        return self.add("head", {**base, **(environment or {})}, self.HEAD, **options)

    def add_worker(self, name: str, environment: Mapping[str, str] | None = None, **options: Any) -> Pod:
        """Start a worker of this cluster's head."""
        base = {"NODE_ROLE": "worker", "HEAD_NODE_IP": self.head_address, "MUNGE_KEY": MUNGE_KEY}
        return self.add(name, {**base, **(environment or {})}, **options)

    def until(self, what: str, ready: Callable[[], Any], deadline: float = BOOT_DEADLINE_S) -> Any:
        """Poll until ready gives something true and return it; else fail with the logs of all pods."""
        end = time.monotonic() + deadline
        error = ""
        while time.monotonic() < end:
            try:
                found = ready()
            except PodError as failure:
                error, found = str(failure), None
            if found:
                return found
            time.sleep(0.05)
        logs = "\n".join(f"--- {name} ---\n{local_cluster.tail(pod.logs())}" for name, pod in self.pods.items())
        raise AssertionError(f"{what}: not within {deadline:g} s {error}\n{logs}")

    def nodes(self) -> dict[str, dict[str, str]]:
        """Slurm's nodes by name: state, cpus, memory (MiB), reason, address."""
        lines = self.head.exec("sinfo", "-h", "-N", "-o", "%N|%T|%c|%m|%o|%E").splitlines()
        rows = [line.split("|", 5) for line in lines]
        return {
            row[0]: dict(zip(("state", "cpus", "memory", "address", "reason"), row[1:], strict=True)) for row in rows
        }

    def until_idle(self, names: Sequence[str], deadline: float = BOOT_DEADLINE_S) -> None:
        """Return when Slurm calls every one of the nodes idle."""

        def ready() -> bool:
            nodes = self.nodes()
            if all(nodes.get(name, {}).get("state") == "idle" for name in names):
                return True
            raise PodError(f"the nodes are {nodes}")

        self.until(f"{', '.join(names)} idle", ready, deadline)

    def metrics(self, name: str, port: int) -> tuple[int, dict[str, float]]:
        """Status and series (`name{labels}` -> value) of a pod's exporter; status 0 without an answer."""
        pod = self.pods[name]
        script = (
            "import sys, urllib.request, urllib.error\n"
            "try: answer = urllib.request.urlopen(sys.argv[1], timeout=5); code = answer.status\n"
            "except urllib.error.HTTPError as error: answer, code = error, error.code\n"
            "except OSError as error: print(0, error); sys.exit()\n"
            "print(code); print(answer.read().decode(), end='')\n"
        )
        output = pod.exec("python3", "-c", script, f"http://localhost:{port}/metrics")
        status, _, body = output.partition("\n")
        series = {}
        for line in body.splitlines():
            if status == "200" and line and not line.startswith("#"):
                key, _, value = line.rpartition(" ")
                series[key] = float(value)
        return int(status.split()[0]), series

    def health(self, name: str, port: int) -> tuple[int, str]:
        """Status and body of a pod's /health."""
        argv = (
            "curl",
            "--silent",
            "--max-time",
            "5",
            "--write-out",
            "\n%{http_code}",
            f"http://localhost:{port}/health",
        )
        body, _, status = self.pods[name].exec(*argv, check=False).rpartition("\n")
        return int(status or 0), body

    def pids(self, name: str) -> dict[str, int]:
        """Program -> pid, from supervisorctl; raises PodError unless all are RUNNING."""
        found = {}
        for line in self.pods[name].exec("supervisorctl", "status", check=False).splitlines():
            program, state, *rest = line.split()
            if state != "RUNNING":
                raise PodError(f"{program} is {state}")
            found[program] = int(rest[1].rstrip(","))
        return found

    def close(self) -> None:
        """Kill and remove everything."""
        for pod in self.pods.values():
            pod.kill()
        self.backend.close()
