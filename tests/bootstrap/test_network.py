from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap.network import detect_address, interface_address, taken_ports

ROOT = Path(__file__).resolve().parents[2]
SAY_ADDRESS = "from bootstrap.network import detect_address; print(detect_address())"


def address_with(*commands: str) -> str:
    """What detect_address says in a network of its own that `ip` commands make; skips where none can be made."""
    if not shutil.which("ip") or not shutil.which("unshare"):
        pytest.skip("needs unshare and ip")
    script = " && ".join([*(f"ip {command}" for command in commands), f'exec {sys.executable} -c "{SAY_ADDRESS}"'])
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    unshare = ["unshare", *own_user, "--net", "sh", "-c"]
    if subprocess.run(
        [*unshare, "ip link add name one type veth peer name two"], capture_output=True, check=False
    ).returncode:
        pytest.skip("no network namespaces here")
    done = subprocess.run([*unshare, script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def interface(name: str, address: str) -> list[str]:
    return [
        f"link add {name} type veth peer name {name}-peer",
        f"addr add {address} dev {name} {'nodad' if ':' in address else ''}",
        f"link set {name} up",
        f"link set {name}-peer up",
    ]


def test_no_network() -> None:
    assert address_with("link set lo up") == "None"


@pytest.mark.parametrize(
    ("interfaces", "expected"),
    [
        ({"eth0": "172.17.0.2/16", "ens1": "10.65.0.2/24", "podnet1": "10.4.0.7/24"}, "10.4.0.7"),
        ({"eth0": "172.17.0.2/16", "ens1": "10.65.0.2/24"}, "10.65.0.2"),
        ({"eth0": "172.17.0.2/16"}, "172.17.0.2"),
    ],
)
def test_preferred_interface(interfaces: dict[str, str], expected: str) -> None:
    commands = [command for name, address in interfaces.items() for command in interface(name, address)]
    assert address_with(*commands) == expected


def test_default_route_decides_among_the_others() -> None:
    commands = [*interface("eth0", "172.17.0.2/16"), *interface("eth1", "172.18.0.2/16")]
    assert address_with(*commands, "route add default via 172.18.0.1") == "172.18.0.2"


def test_here() -> None:
    found = detect_address()
    assert found is None or not ipaddress.ip_address(found).is_loopback


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lo", "127.0.0.1"), ("no-such-if", None), ("far-too-long-a-name-for-linux", None), ("", None)],
)
def test_interface_address(name: str, expected: str | None) -> None:
    assert interface_address(name) == expected


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "0.0.0.0", *(pytest.param(host, marks=pytest.mark.ipv6) for host in ("::1", "::"))]
)
def test_listening_port_is_taken(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        assert taken_ports([port]) == (port,)
        assert taken_ports([]) == ()
    assert taken_ports([port]) == ()


def test_only_those_that_are_taken_are_named_once_and_in_order() -> None:
    with socket.create_server(("", 0)) as one, socket.create_server(("", 0)) as other, socket.socket() as free:
        free.bind(("", 0))
        ports = [one.getsockname()[1], other.getsockname()[1]]
        free_port = free.getsockname()[1]
        free.close()
        assert taken_ports([ports[0], free_port, ports[1]]) == tuple(ports)


def test_port_in_time_wait_is_free() -> None:
    """As after a restart of the pod's daemons."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    assert taken_ports([port]) == ()
