"""Traffic between pods on one bridge, on a machine whose firewall drops all that is forwarded, as Docker's does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# Needs root. In network namespaces only: the machine's own firewall is left alone.
pytestmark = pytest.mark.system

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = f"gwn{os.getpid()}"

DOCKERS_FIREWALL = """
set -e
sysctl -q -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1
iptables -P FORWARD DROP
ip6tables -P FORWARD DROP
"""

PODS = """
import subprocess, sys
from pathlib import Path
from local.network import Bridge

firewall = sys.argv[2]
bridge = Bridge(sys.argv[1], 250)


def started(*argv):
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\\n", argv
    return process


def into(pod):
    return ("nsenter", "--target", str(pod.pid), "--net")


def reaches(enter, address):
    connect = "import socket, sys; socket.create_connection((sys.argv[1], 9999), timeout=1)"
    return subprocess.run([*enter, sys.executable, "-c", connect, address], capture_output=True).returncode == 0


bridge.create()
try:
    pods = [started("unshare", "--net", "sh", "-c", "echo ready; exec cat") for _ in range(2)]
    for number, pod in enumerate(pods):
        bridge.plug_in(pod.pid, f"pod{number}", bridge.address(10 + number))
    serve = (
        "import socket; s = socket.create_server(('::', 9999), family=socket.AF_INET6, dualstack_ipv6=True)\\n"
        "print('ready', flush=True)\\nwhile True: s.accept()[0].close()"
    )
    pods.append(started(*into(pods[0]), sys.executable, "-c", serve))
    if firewall:
        subprocess.run(["sh", "-c", firewall], check=True)
    assert reaches((), bridge.address(10)), "from the machine"
    assert reaches(into(pods[1]), bridge.address(10)), "from pod to pod"
    assert reaches(into(pods[1]), bridge.address6(10)), "from pod to pod by IPv6"
    bridge.cut("pod0")
    assert not reaches(into(pods[1]), bridge.address(10)), "through a cut cable"
    bridge.heal("pod0")
    assert reaches(into(pods[1]), bridge.address(10)), "through a healed cable"
finally:
    for pod in pods:
        pod.kill()
    bridge.delete()
"""


def in_a_network_of_its_own(script: str, *arguments: str) -> None:
    command = ["unshare", "--net", sys.executable, "-c", script, NAME, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def traces() -> list[str]:
    found = [str(path) for path in Path("/run").glob(f"{NAME}*")]
    return found + [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if NAME in line]


@pytest.mark.ipv6
def test_pods_reach_each_other_until_their_cable_is_cut() -> None:
    in_a_network_of_its_own(PODS, "")
    assert traces() == []


@pytest.mark.ipv6
def test_pods_reach_each_other_also_where_docker_is_started_later() -> None:
    # Where either is missing, a bridge's traffic passes no firewall.
    there = shutil.which("iptables") and Path("/proc/sys/net/bridge").exists()
    in_a_network_of_its_own(PODS, DOCKERS_FIREWALL if there else "")
    assert traces() == []


def test_what_an_aborted_run_left_is_removed() -> None:
    script = """
import sys
from local.network import Bridge

Bridge(sys.argv[1], 250).delete()
Bridge(sys.argv[1], 250).create()
try:
    Bridge(sys.argv[1], 250).create()
except RuntimeError as error:
    assert "already" in str(error)
else:
    raise AssertionError("made twice")
Bridge(sys.argv[1], 250).delete()
Bridge(sys.argv[1], 250).create()
Bridge(sys.argv[1], 250).delete()
Bridge(sys.argv[1], 250).delete()
"""
    in_a_network_of_its_own(script)
    assert traces() == []
