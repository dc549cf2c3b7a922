from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.munge_key import MungeKey, derive, find
from bootstrap.settings import Problem, Settings
from tests.bootstrap.samples import SECRET


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869, section 2, as it is written there."""

    def hmac_hash(key: bytes, data: bytes) -> bytes:
        return hmac.new(key, data, hashlib.sha256).digest()

    prk = hmac_hash(salt, secret)
    blocks = [b""]
    while sum(map(len, blocks)) < length:
        blocks.append(hmac_hash(prk, blocks[-1] + info + bytes([len(blocks)])))
    return b"".join(blocks)[:length]


def test_the_independent_hkdf_gives_the_rfcs_test_vector() -> None:
    """RFC 5869, A.1."""
    found = hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42)
    assert found.hex() == ("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")


@given(st.binary(min_size=1, max_size=200))
def test_derive_is_hkdf(secret: bytes) -> None:
    assert derive(secret) == hkdf(secret, b"gpu-watchdog", b"munge key v1", 128)


def test_derived_key_never_changes() -> None:
    """All pods of a cluster must agree, also those of another release."""
    assert hashlib.sha256(derive(SECRET.encode())).hexdigest()[:16] == "bdf50e0085aff926"


@given(st.binary(), st.binary())
def test_different_secrets_give_different_keys(one: bytes, other: bytes) -> None:
    assert (derive(one) == derive(other)) == (one == other)


def test_munge_key_comes_first(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"f" * 64)
    settings = Settings(munge_key=b"s" * 32, munge_key_file=str(tmp_path / "key"))
    assert find(settings, tmp_path / "key") == MungeKey(derive(b"s" * 32))


@pytest.mark.parametrize("size", [32, 1024])
def test_key_file_is_used_as_it_is(tmp_path: Path, size: int) -> None:
    (tmp_path / "key").write_bytes(bytes(range(32)) + b"\n" * (size - 32))
    found = find(Settings(munge_key_file=str(tmp_path / "key")), tmp_path / "baked")
    assert found == MungeKey(bytes(range(32)) + b"\n" * (size - 32))


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "has 0 bytes, a key has 32 to 1024"),
        (31, "has 31 bytes, a key has 32 to 1024"),
        (1025, "has over 1024 bytes, a key has 32 to 1024"),
        (None, "cannot be read: No such file or directory"),
    ],
)
@pytest.mark.parametrize("baked", [False, True])
def test_file_that_is_no_key(tmp_path: Path, size: int | None, words: str, baked: bool) -> None:
    path = tmp_path / "key"
    if size is not None:
        path.write_bytes(b"k" * size)
    elif baked:
        path = tmp_path
        words = "cannot be read: Is a directory"
    found = find(Settings(), path) if baked else find(Settings(munge_key_file=str(path)), tmp_path / "other")
    assert isinstance(found, Problem)
    assert found.wrong == words
    assert found.subject == (f"The image's key {path}" if baked else f"MUNGE_KEY_FILE='{path}'")


def test_baked_key_is_the_last_resort(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"b" * 128)
    assert find(Settings(), tmp_path / "key") == MungeKey(b"b" * 128, baked=True)


def test_no_key_at_all(tmp_path: Path) -> None:
    found = find(Settings(), tmp_path / "key")
    assert isinstance(found, Problem)
    assert found.subject == "MUNGE_KEY"


def test_key_is_not_shown() -> None:
    assert "kkk" not in repr(MungeKey(b"k" * 32))
