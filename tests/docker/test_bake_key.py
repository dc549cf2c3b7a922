from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bootstrap import munge_key
from bootstrap.munge_key import MungeKey
from bootstrap.settings import Settings
from local.pod import REPOSITORY

SCRIPT = REPOSITORY / "docker/bake-key.py"
SECRET = "correct-horse-battery-staple-0123456789"

Bake = Callable[[Path], int]


@pytest.fixture
def baked(tmp_path: Path) -> Path:
    """Where the key is to be left; the folder is not there yet."""
    return tmp_path / "share/gpu-watchdog/munge.key"


@pytest.fixture
def bake(baked: Path, monkeypatch: pytest.MonkeyPatch) -> Bake:
    """The script's main, with the key at another place."""
    spec = importlib.util.spec_from_file_location("bake_key", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "BAKED_KEY", str(baked))
    main: Bake = module.main
    return main


def test_key_of_a_secret_is_that_of_pods_with_the_same_string(bake: Bake, baked: Path, tmp_path: Path) -> None:
    """A pod that is started with MUNGE_KEY joins those that use the image's key."""
    secret = tmp_path / "secret"
    for text in (SECRET, f"{SECRET}\n", f"  {SECRET}\r\n"):
        secret.write_text(text)
        assert bake(secret) == 0
        assert munge_key.find(Settings(), baked) == MungeKey(munge_key.derive(SECRET.encode()), baked=True)
    from_pod = munge_key.find(Settings(munge_key=SECRET.encode()))
    assert isinstance(from_pod, MungeKey)
    assert baked.read_bytes() == from_pod.content


def test_key_without_a_secret_is_another_each_time(bake: Bake, baked: Path, tmp_path: Path) -> None:
    keys = set()
    for _ in range(3):
        assert bake(tmp_path / "absent") == 0
        assert isinstance(munge_key.find(Settings(), baked), MungeKey)
        keys.add(baked.read_bytes())
    assert len(keys) == 3
    assert {len(key) for key in keys} == {128}


def test_only_root_may_read_the_key(bake: Bake, baked: Path, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert bake(tmp_path / "absent") == 0
    finally:
        os.umask(before)
    assert baked.stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize("text", ["", "\n", "sesame", "k" * 31 + "\n"])
def test_secret_that_can_be_guessed_is_refused_and_not_shown(
    bake: Bake, baked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "secret").write_text(text)
    assert bake(tmp_path / "secret") == 1
    assert not baked.exists()
    shown = capsys.readouterr()
    size = len(text.strip())
    assert shown.err.startswith(f"The build secret munge_key has {size} bytes, which can be guessed. Write 32 bytes or")
    assert shown.out == ""
    assert not text.strip() or text.strip() not in shown.err


def test_secret_that_is_no_text(bake: Bake, baked: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"\xff" * 32)
    assert bake(tmp_path / "secret") == 0
    assert baked.read_bytes() == munge_key.derive(b"\xff" * 32)


def test_it_runs_as_the_image_runs_it(tmp_path: Path) -> None:
    """From anywhere, here with PYTHONPATH for the image's .pth; a secret that is none is the safe way to try."""
    (tmp_path / "secret").write_text("sesame")
    command = [sys.executable, str(SCRIPT), str(tmp_path / "secret")]
    environment = {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
