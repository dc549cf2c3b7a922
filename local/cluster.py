"""What every pod on this machine has in common: where its parts lie, how its GPUs are simulated."""

from __future__ import annotations

import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local.pod import REPOSITORY, Pod, PodError
from local.spec import (
    CODE_IN_POD,
    FAKE_NVML_FOLDER_IN_POD,
    FAKE_NVML_STATE_IN_POD,
    NVML_IN_POD,
    PATH_IN_POD,
    Spec,
)
from tests.fake_nvml.control import FakeNvml, Value

BUILD = REPOSITORY / "build"
# Pods may be made of another root, to try another distribution's Slurm, with a Python environment that fits it.
ROOT = os.environ.get("POD_ROOT", "/")
RUNTIME = Path(os.environ.get("POD_RUNTIME", BUILD / "runtime"))
FAKE_NVML = BUILD / "fake_nvml" / "libnvidia-ml.so.1"


def spec(
    name: str,
    folder: Path,
    environment: Mapping[str, str],
    *,
    address: str = "",
    hostname: str = "",
    gpus: Sequence[Mapping[str, Value]] | None = None,
    volumes: Mapping[str, str] | None = None,
    **more: object,
) -> Spec:
    """A pod that boots as the image does. gpus: simulated GPUs, each a model with its readings; None for none."""
    read_only = {}
    links = {"/usr/local/bin/supervisorctl": f"/{CODE_IN_POD}/venv/bin/supervisorctl"}
    if gpus is not None:
        state = simulated_gpus(folder)
        state.path.parent.mkdir(parents=True, exist_ok=True)
        state.write(gpus=gpus)
        read_only[str(FAKE_NVML)] = NVML_IN_POD
        # The folder, not the file, which is replaced while it is in use.
        read_only[str(state.path.parent)] = str(Path(FAKE_NVML_FOLDER_IN_POD))
        links[FAKE_NVML_STATE_IN_POD] = f"{FAKE_NVML_FOLDER_IN_POD}/{state.path.name}"
    return Spec(
        name=name,
        hostname=hostname or name,
        folder=str(folder),
        code=str(REPOSITORY),
        runtime=str(RUNTIME),
        root=ROOT,
        address=address,
        environment={"PATH": PATH_IN_POD, "HOME": "/root", **environment},
        volumes=dict(volumes or {}),
        links=links,
        read_only_volumes=read_only,
        **more,  # type: ignore[arg-type]
    )


def simulated_gpus(folder: Path) -> FakeNvml:
    """The state of a pod's simulated GPUs, to be changed while the pod uses them."""
    return FakeNvml(folder / "gpus" / "state.conf")


def get(url: str, timeout: float = 5) -> tuple[int, str]:
    """Status and body of an HTTP GET; status 0 and the reason where there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def idle_nodes(head: Pod) -> list[str]:
    """Names of the nodes that Slurm calls idle; empty while it does not answer."""
    try:
        return sorted(head.exec("sinfo", "-h", "-N", "-t", "idle", "-o", "%N", timeout=10).split())
    except PodError:
        return []


def wait_until(what: str, ready: Callable[[], object], deadline: float, pods: Sequence[Pod]) -> None:
    """Poll a callable until it is true; after the deadline (seconds) raise PodError with the pods' last log lines."""
    end = time.monotonic() + deadline
    while not ready():
        ended = [pod.spec.name for pod in pods if pod.exit_status is not None]
        if time.monotonic() > end or ended:
            why = f"{', '.join(ended)} ended" if ended else f"not within {deadline:g} s"
            logs = "\n".join(f"--- {pod.spec.name} ---\n{tail(pod.logs())}" for pod in pods)
            raise PodError(f"{what}: {why}\n{logs}")
        time.sleep(0.05)


def tail(text: str, lines: int = 60) -> str:
    """The last lines of a log."""
    return "\n".join(text.splitlines()[-lines:])
