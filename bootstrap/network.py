"""EDGE: the address by which other pods reach this one, and which ports are free."""

from __future__ import annotations

import errno
import fcntl
import socket
import struct
from collections.abc import Iterable

# RunPod's global networking and Instant Clusters, in this order; the default route is what is left.
PREFERRED_INTERFACES = ("podnet1", "ens1")

_SIOCGIFADDR = 0x8915


def detect_address() -> str | None:
    """Address of podnet1, ens1, or the interface of the default route; None for a pod without a network."""
    for name in PREFERRED_INTERFACES:
        found = interface_address(name)
        if found:
            return found
    # Connecting a UDP socket sends nothing: the kernel only picks the route and with it the source address.
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        found = _source_address(family, anywhere)
        if found:
            return found
    names = [name for _, name in socket.if_nameindex() if name != "lo"]
    return next((found for found in map(interface_address, names) if found), None)


def _source_address(family: socket.AddressFamily, target: str) -> str | None:
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found: str = probe.getsockname()[0]
    except OSError:
        return None
    return None if found.startswith(("127.", "::1", "fe80:")) else found


def interface_address(name: str) -> str | None:
    """IPv4 address of an interface, None where it is absent or has none (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def taken_ports(ports: Iterable[int]) -> tuple[int, ...]:
    """Those of the ports that another process listens on."""
    taken = []
    for port in ports:
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                with socket.socket(family, socket.SOCK_STREAM) as probe:
                    # A port that is only in TIME_WAIT after a restart is free.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    if family == socket.AF_INET6:
                        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                    probe.bind(("", port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    taken.append(port)
                    break
    return tuple(taken)
