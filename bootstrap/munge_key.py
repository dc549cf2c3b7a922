"""Where the munge key comes from, in which order: MUNGE_KEY, MUNGE_KEY_FILE, the key baked into the image."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from bootstrap.settings import Problem, Settings
from bootstrap.variables import MUNGE_KEY_MAX_BYTES, MUNGE_KEY_MIN_BYTES

BAKED_KEY = "/usr/local/share/gpu-watchdog/munge.key"
"""Where an image's build leaves its key."""

BAKED_WARNING = (
    "NO MUNGE_KEY IS SET: this pod uses the key baked into its image. Anyone who can pull the image can join this"
    " cluster and run anything as root on every pod of it. Set MUNGE_KEY to the same secret on all pods."
)

_SALT = b"gpu-watchdog"
_INFO = b"munge key v1"
_KEY_BYTES = 128


@dataclass(frozen=True)
class MungeKey:
    """The key's bytes and whether they are the image's."""

    content: bytes = field(repr=False)
    baked: bool = False


def derive(secret: bytes) -> bytes:
    """A munge key of 128 bytes from a secret: HKDF-SHA256 (RFC 5869)."""
    key = hmac.digest(_SALT, secret, hashlib.sha256)
    block, output = b"", b""
    for counter in range(1, -(-_KEY_BYTES // 32) + 1):
        block = hmac.digest(key, block + _INFO + bytes([counter]), hashlib.sha256)
        output += block
    return output[:_KEY_BYTES]


def find(settings: Settings, baked: Path = Path(BAKED_KEY)) -> MungeKey | Problem:
    """The key, or what is wrong; never shows a byte of it."""
    if settings.munge_key is not None:
        return MungeKey(derive(settings.munge_key))
    if settings.munge_key_file is not None:
        subject = f"MUNGE_KEY_FILE={settings.munge_key_file!r}"
        return _read(Path(settings.munge_key_file), subject, "Name a munge key file, or set MUNGE_KEY", baked=False)
    if not baked.exists():
        return Problem(
            "MUNGE_KEY",
            "is not set and this image has no key of its own",
            "Set it to the same secret of 32 bytes or more on all pods, such as the output of: openssl rand -hex 32",
        )
    return _read(baked, f"The image's key {baked}", "Set MUNGE_KEY, or build the image again", baked=True)


def _read(path: Path, subject: str, write: str, *, baked: bool) -> MungeKey | Problem:
    try:
        with path.open("rb") as file:
            content = file.read(MUNGE_KEY_MAX_BYTES + 1)
    except OSError as error:
        return Problem(subject, f"cannot be read: {error.strerror}", write)
    if not MUNGE_KEY_MIN_BYTES <= len(content) <= MUNGE_KEY_MAX_BYTES:
        size = f"over {MUNGE_KEY_MAX_BYTES}" if len(content) > MUNGE_KEY_MAX_BYTES else str(len(content))
        return Problem(subject, f"has {size} bytes, a key has {MUNGE_KEY_MIN_BYTES} to {MUNGE_KEY_MAX_BYTES}", write)
    return MungeKey(content, baked)
