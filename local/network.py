"""A bridge that pods are plugged into, each by a virtual cable that can be pulled and put back.

The bridge lies in a network namespace of its own: firewalls also see what a bridge of the machine passes between two
pods (with br_netfilter, which Docker loads), and theirs drop it, now or after their next start.
"""

from __future__ import annotations

import ipaddress
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# Names of the links inside the bridge's namespace.
_BRIDGE = "pods"
_UPLINK = "machine"
_KERNELS_IPV6 = Path("/proc/net/if_inet6")


def cable(folder: str) -> str:
    """Name of the bridge's end of a pod's cable (15 characters at most), from the pod's folder."""
    return f"gwc{zlib.crc32(folder.encode()):08x}"


@dataclass(frozen=True)
class Bridge:
    """One network of pods: the machine is .1, pods have the addresses they ask for."""

    name: str
    """Of the machine's link to it."""
    number: int
    """Third byte of 10.213.N.0/24; the IPv6 twin is fd00:213:N::/64."""

    @property
    def gateway(self) -> str:
        """The machine's own address on the bridge."""
        return self.address(1)

    @property
    def namespace(self) -> Path:
        """The file that holds the bridge's network namespace."""
        return Path("/run") / f"{self.name}.net"

    def address(self, host: int) -> str:
        """IPv4 address of a pod by its number, 2 to 254."""
        return f"10.213.{self.number}.{host}"

    def address6(self, host: int) -> str:
        """IPv6 address of the same pod."""
        return f"fd00:213:{self.number:x}::{host:x}"

    def create(self) -> None:
        """Make the bridge; raises RuntimeError when it exists or the kernel has none."""
        try:
            self.namespace.touch(exist_ok=False)
        except FileExistsError:
            raise RuntimeError(f"there is a network {self.name} already: {self.namespace}") from None
        try:
            _run("unshare", f"--net={self.namespace}", "true")
            self._ip(f"link add {_BRIDGE} type bridge", f"link set {_BRIDGE} up")
            _run("ip", "link", "add", self.name, "type", "veth", "peer", "name", _UPLINK, "netns", str(self.namespace))
            self._ip(f"link set {_UPLINK} master {_BRIDGE} up")
            _run("ip", "address", "add", f"{self.gateway}/24", "dev", self.name)
            _run("ip", "link", "set", self.name, "up")
        except BaseException:
            self.delete()
            raise

    def delete(self) -> None:
        """Remove the bridge if it is there."""
        _run("ip", "link", "delete", self.name, check=False)
        _run("umount", str(self.namespace), check=False)
        self.namespace.unlink(missing_ok=True)

    def plug_in(self, keeper_pid: int, folder: str, address: str) -> None:
        """Give the network namespace of a process an eth0 with this IPv4 address and, where there is IPv6, its twin."""
        outer = cable(folder)
        last = ipaddress.IPv4Address(address).packed[3]
        twin = [f"address add {self.address6(last)}/64 dev eth0 nodad"] if _KERNELS_IPV6.exists() else []
        self._ip(
            f"link add {outer} type veth peer name eth0 netns {keeper_pid}",
            f"link set {outer} master {_BRIDGE} up",
        )
        _batch(
            ("--target", str(keeper_pid), "--net"),
            "link set lo up",
            f"address add {address}/24 dev eth0",
            *twin,
            "link set eth0 up",
            f"route add default via {self.gateway}",
        )

    def cut(self, folder: str) -> None:
        """Pull a pod's cable."""
        self._ip(f"link set {cable(folder)} down")

    def heal(self, folder: str) -> None:
        """Put it back."""
        self._ip(f"link set {cable(folder)} up")

    def _ip(self, *commands: str) -> None:
        _batch((f"--net={self.namespace}",), *commands)


def _batch(where: Sequence[str], *commands: str) -> None:
    """Run commands of iproute2's `ip` in the network namespace that nsenter's options name."""
    _run("nsenter", *where, "ip", "-batch", "-", input="\n".join(commands))


def _run(*argv: str, check: bool = True, input: str = "") -> None:
    """Run a command; raises RuntimeError with its own words."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False, input=input)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(argv)} {input}: {done.stderr.strip()}")
