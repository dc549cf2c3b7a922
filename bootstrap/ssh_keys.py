"""What an SSH public key looks like. Pure."""

from __future__ import annotations

import base64
import re


def is_public_key(line: str) -> bool:
    """Whether a line has `TYPE BASE64` with the same type in the base64 (RFC 4253, 6.6); options may stand before."""
    for kind, blob in re.findall(r"(?:^|\s)((?:ssh|ecdsa|sk)-[a-z0-9@.-]+)\s+([A-Za-z0-9+/]{16,}={0,3})(?=\s|$)", line):
        try:
            data = base64.b64decode(blob, validate=True)
        except ValueError:
            continue
        parts = _parts(data)
        if len(parts) > 1 and parts[0] == kind.encode():
            return True
    return False


def _parts(data: bytes) -> list[bytes]:
    """The strings of an SSH message (RFC 4251, 5), each after its length; none where they do not fill it."""
    parts = []
    while data:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            return []
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    return parts
