"""Pods and clusters for the system tests.

Tests speak of a Cluster and its pods only. What makes a pod is behind Backend: Linux namespaces here, containers in
tests.system.docker.
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
from tests.fake_nvml.control import FakeNvml
from tests.system.logs import NO_DRIVER, unexpected_lines

MUNGE_KEY = "system-test-secret-" + "0123456789abcdef" * 2
BOOT_DEADLINE_S = 30.0
GPU_PORT = 9400
SLURM_PORT = 9341


class Pod(Protocol):
    """One pod, however it is made. Times in seconds."""

    @property
    def exit_status(self) -> int | None:
        """Of PID 1; None while it runs."""

    @property
    def gpus(self) -> FakeNvml:
        """Its simulated GPUs, to be changed while it uses them."""

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
        """The IPv4 address of a host number."""

    def address6(self, host: int) -> str:
        """Its IPv6 address."""

    def close(self) -> None:
        """Kill and remove all pods and what they stand on."""


class _NamespacePod(NamespacePod):
    @property
    def gpus(self) -> FakeNvml:
        return local_cluster.simulated_gpus(self.folder)


class Namespaces:
    """The back end of local/: see local.spec.Spec for the options."""

    _numbers = itertools.count(1)

    def __init__(self, folder: Path) -> None:
        number = next(self._numbers)
        self._folder = folder
        self._bridge = Bridge(f"gwt{os.getpid() % 10**6}x{number}", number % 190 + 1)
        self._bridge.delete()
        self._bridge.create()
        self._pods: list[NamespacePod] = []

    def address(self, host: int) -> str:
        """10.213.N.host."""
        return self._bridge.address(host)

    def address6(self, host: int) -> str:
        """fd00:213:N::host."""
        return self._bridge.address6(host)

    def create(self, name: str, environment: Mapping[str, str], host: int, **options: Any) -> Pod:
        """A pod of namespaces; each gets a folder of its own, also when a name is used again."""
        folder = self._folder / f"{len(self._pods) + 1}-{name}"
        options.setdefault("address", self.address(host))
        pod = _NamespacePod(local_cluster.spec(name, folder, environment, **options), self._bridge)
        self._pods.append(pod)
        return pod

    def close(self) -> None:
        """Kill the pods, remove the bridge."""
        for pod in self._pods:
            pod.kill()
        self._bridge.delete()


class Cluster:
    """Pods on one network; the first host number is the head's."""

    HEAD = 10

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.pods: dict[str, Pod] = {}
        self._all_pods: list[tuple[str, Pod]] = []
        self._announced: list[str] = []
        self._hosts = itertools.count(self.HEAD + 1)
        self.head_address = backend.address(self.HEAD)

    @property
    def head(self) -> Pod:
        """The pod named head."""
        return self.pods["head"]

    def add(self, name: str, environment: Mapping[str, str], host: int | None = None, **options: Any) -> Pod:
        """Create and start a pod with exactly this environment."""
        pod = self.backend.create(name, environment, next(self._hosts) if host is None else host, **options)
        if options.get("gpus") is None:
            self.expect(*NO_DRIVER)
        self.pods[name] = pod
        self._all_pods.append((name, pod))
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

    def expect(self, *patterns: str) -> None:
        """Announce messages of level warning and above that this cluster's pods will log, as regular expressions."""
        self._announced += patterns

    def check_logs(self) -> None:
        """Fail when any pod that ever was in this cluster logged a problem that nobody expects."""
        found = [
            f"{name}: {line}" for name, pod in self._all_pods for line in unexpected_lines(pod.logs(), self._announced)
        ]
        assert not found, "unexpected lines in the pods' logs:\n" + "\n".join(found)

    def close(self) -> None:
        """Kill and remove everything."""
        self.backend.close()
