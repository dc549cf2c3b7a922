"""A bridge that pods are plugged into, each by a virtual cable that can be pulled and put back."""

from __future__ import annotations

import ipaddress
import subprocess
import zlib
from dataclasses import dataclass


def ip(*arguments: str, check: bool = True) -> str:
    """Run iproute2's `ip`; raises RuntimeError with its own words."""
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, timeout=10, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


def cable(folder: str) -> str:
    """Name of the bridge's end of a pod's cable (15 characters at most), from the pod's folder."""
    return f"gwc{zlib.crc32(folder.encode()):08x}"


@dataclass(frozen=True)
class Bridge:
    """One network of pods: the machine is .1, pods have the addresses they ask for."""

    name: str
    number: int
    """Third byte of 10.213.N.0/24; the IPv6 twin is fd00:213:N::/64."""

    @property
    def gateway(self) -> str:
        """The machine's own address on the bridge."""
        return self.address(1)

    def address(self, host: int) -> str:
        """IPv4 address of a pod by its number, 2 to 254."""
        return f"10.213.{self.number}.{host}"

    def create(self) -> None:
        """Make the bridge; raises RuntimeError when it exists or the kernel has none."""
        ip("link", "add", self.name, "type", "bridge")
        ip("address", "add", f"{self.gateway}/24", "dev", self.name)
        ip("link", "set", self.name, "up")

    def delete(self) -> None:
        """Remove the bridge if it is there."""
        ip("link", "delete", self.name, check=False)

    def plug_in(self, keeper_pid: int, folder: str, address: str) -> None:
        """Give the network namespace of a process an eth0 with this IPv4 address and its IPv6 twin."""
        outer = cable(folder)
        inner = f"{outer}p"
        last = ipaddress.IPv4Address(address).packed[3]
        ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", str(keeper_pid))
        ip("link", "set", outer, "master", self.name, "up")
        batch = "\n".join(
            (
                "link set lo up",
                f"link set {inner} name eth0",
                f"address add {address}/24 dev eth0",
                f"address add fd00:213:{self.number:x}::{last:x}/64 dev eth0 nodad",
                "link set eth0 up",
                f"route add default via {self.gateway}",
            )
        )
        enter = ["nsenter", "--target", str(keeper_pid), "--net", "ip", "-batch", "-"]
        done = subprocess.run(enter, input=batch, capture_output=True, text=True, timeout=10, check=False)
        if done.returncode:
            raise RuntimeError(f"network of {folder}: {done.stderr.strip()}")


def bridges(prefix: str) -> list[str]:
    """Names of the machine's bridges that start with a prefix."""
    lines = ip("-brief", "link", "show", "type", "bridge").splitlines()
    return [line.split()[0] for line in lines if line.startswith(prefix)]
