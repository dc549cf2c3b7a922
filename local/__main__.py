"""`make run`, `make status`, `make shell` and `make stop`: a cluster of pods on this machine."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import zlib
from collections.abc import Callable, Sequence
from functools import partial

from local import cluster
from local.network import Bridge
from local.pod import Pod, PodError

FOLDER = cluster.BUILD / "local"
BRIDGE = Bridge("gw-local", 200)
ENDPOINTS = ("http://127.0.0.1:9400/metrics", "http://127.0.0.1:9341/metrics")
READY_DEADLINE_S = 60
STOP_DEADLINE_S = 25
SIMULATED_MODEL = "h100"


def main(argv: Sequence[str]) -> int:
    """Run one of the commands; problems are one line on stderr and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run")
    run_parser.add_argument("--workers", type=_count, default=0)
    run_parser.add_argument("--gpus", type=_count, default=0, help="simulated GPUs of each pod; 0: the real ones")
    commands.add_parser("status")
    shell_parser = commands.add_parser("shell")
    shell_parser.add_argument("pod")
    commands.add_parser("stop")
    arguments = parser.parse_args(argv)
    if os.geteuid() != 0:
        print(f"Pods need root. Run: sudo make {arguments.command}", file=sys.stderr)
        return 1
    try:
        if arguments.command == "run":
            run(arguments.workers, arguments.gpus)
        elif arguments.command == "status":
            status()
        elif arguments.command == "shell":
            shell(arguments.pod)
        else:
            stop()
    except (PodError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 99:  # with the head as many as MAX_NODES has by default
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 99")
    return int(text)


def pods() -> list[Pod]:
    """The pods that were started here and not stopped, the head first."""
    found = [Pod.load(path.parent) for path in FOLDER.glob("*/spec.json")]
    return sorted(found, key=lambda pod: (pod.spec.name != "head", len(pod.spec.name), pod.spec.name))


def simulated(name: str, count: int) -> list[dict[str, str | int | float]] | None:
    """Simulated GPUs of a pod, each with a UUID that no other pod's has; None for none."""
    uuid = f"GPU-{zlib.crc32(name.encode()):08x}-0000-4000-8000-"
    return [{"model": SIMULATED_MODEL, "uuid": f"{uuid}{index:012x}"} for index in range(count)] or None


def run(workers: int, gpus: int) -> None:
    """Boot a head on the machine's network and workers on a bridge, wait until all are idle, say what runs."""
    there = pods()
    if any(pod.running for pod in there):
        raise PodError("A cluster runs already: make status shows it, make stop ends it.")
    for pod in there:
        pod.remove()
    BRIDGE.delete()
    BRIDGE.create()
    key = secrets.token_hex(32)
    head_environment = {"NODE_ROLE": "head", "NODE_IP": BRIDGE.gateway, "MUNGE_KEY": key}
    worker_environment = {"NODE_ROLE": "worker", "HEAD_NODE_IP": BRIDGE.gateway, "MUNGE_KEY": key}
    head = Pod(cluster.spec("head", FOLDER / "head", head_environment, gpus=simulated("head", gpus)))
    all_pods = [head]
    for number in range(1, workers + 1):
        name = f"worker{number}"
        address = BRIDGE.address(10 + number)
        spec = cluster.spec(name, FOLDER / name, worker_environment, address=address, gpus=simulated(name, gpus))
        all_pods.append(Pod(spec, BRIDGE))
    try:
        for pod in all_pods:
            print(f"{pod.spec.name} boots ...", flush=True)
            pod.start()
        names = sorted(pod.spec.name for pod in all_pods)
        _await(f"Slurm has {len(names)} idle", lambda: cluster.idle_nodes(head) == names, all_pods)
        for url in ENDPOINTS:
            _await(f"{url} answers", partial(_answers, url), all_pods)
    except BaseException:
        # What was said of the failure stays on the screen; nothing else stays.
        stop(quiet=True)
        raise
    nodes = head.exec("sinfo", "-N", "-o", "%10N %.8T %.5c %.8m %o").splitlines()
    print(SUMMARY.format(nodes="\n  ".join(line.rstrip() for line in nodes)))


SUMMARY = """
A Slurm cluster runs on this machine:

  {nodes}

  curl localhost:9400/metrics    GPUs of the head, by DCGM's names; of a worker at its address
  curl localhost:9341/metrics    Slurm
  make shell POD=head            then: sinfo; srun hostname; sbatch --wrap hostname; squeue
  make status                    pods, nodes and programs
  make stop                      ends it and leaves nothing behind
"""


def _await(what: str, ready: Callable[[], bool], all_pods: Sequence[Pod]) -> None:
    print(f"{what} ...", end="", flush=True)
    try:
        cluster.wait_until(what, ready, READY_DEADLINE_S, all_pods)
    finally:
        print()


def _answers(url: str) -> bool:
    return cluster.get(url)[0] == 200


def status() -> None:
    """Pods, Slurm's nodes, and each pod's programs."""
    there = pods()
    if not there:
        print("Nothing runs. Start it: make run")
        return
    for pod in there:
        state = "runs" if pod.running else f"ended with exit status {pod.exit_status}"
        address = pod.spec.address or "the machine's network"
        print(f"{pod.spec.name} ({address}) {state}")
        if pod.running:
            programs = pod.exec("supervisorctl", "status", check=False)
            print("".join(f"  {line}\n" for line in programs.splitlines()), end="")
    if there[0].running:
        print(there[0].exec("sinfo", "-N", "-l", check=False), end="")


def shell(name: str) -> None:
    """Become a shell in a pod."""
    found = {pod.spec.name: pod for pod in pods()}
    if name not in found:
        there = f"There are: {' '.join(found)}" if found else "Nothing runs. Start it: make run"
        raise PodError(f"There is no pod {name!r}. {there}")
    command = found[name].command_inside(["bash", "-l"], {"PS1": f"{name}# "})
    os.execvp(command[0], command)  # noqa: S606


def stop(quiet: bool = False) -> None:
    """End all pods and remove all that belongs to them."""
    there = pods()
    if not there and not quiet:
        print("Nothing runs.")
    for pod in reversed(there):
        if pod.running:
            pod.signal(signal.SIGTERM)
    for pod in reversed(there):
        if pod.running and pod.wait(STOP_DEADLINE_S) is None:
            pod.kill()
        pod.remove()
        if not quiet:
            print(f"{pod.spec.name} stopped")
    BRIDGE.delete()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
