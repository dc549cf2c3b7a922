"""What Slurm's build says; that it builds is tested where an image is."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from local.pod import REPOSITORY

SCRIPT = REPOSITORY / "docker/build-slurm.sh"
RELEASES = REPOSITORY / "docker/slurm-releases.txt"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://mirror.example/slurm.tar.gz", "https://mirror.example/slurm.tar.gz"),
        ("https://me:tok3n@mirror.example:8443/slurm.tar.gz", "https://***@mirror.example:8443/slurm.tar.gz"),
        ("https://tok3n@mirror.example/a@b.tar.gz", "https://***@mirror.example/a@b.tar.gz"),
        ("https://me:p@tok3n@mirror.example/slurm.tar.gz", "https://***@mirror.example/slurm.tar.gz"),
        ("https://mirror.example/slurm.tar.gz?sig=tok3n&x=me:y@z", "https://mirror.example/slurm.tar.gz?***"),
        ("HTTP://tok3n@mirror.example/slurm.tar.gz", "HTTP://***@mirror.example/slurm.tar.gz"),
        ("", "https://github.com/SchedMD/slurm/archive/slurm-26-05-5-1.tar.gz"),
    ],
)
def test_no_credentials_are_shown(url: str, shown: str, tmp_path: Path) -> None:
    """It ends at its first command that would change this machine."""
    (tmp_path / "apt-get").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "apt-get").chmod(0o755)
    command = ["/bin/sh", str(SCRIPT), str(RELEASES)]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "SLURM_VERSION": "26.05.5", "SLURM_URL": url}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (9, f"Slurm 26.05.5 comes from {shown}\n", "")


def test_no_message_has_the_url_as_it_was_given() -> None:
    said = re.findall(r"\becho .*", SCRIPT.read_text())
    assert sum("$shown" in line for line in said) == 2
    assert [line for line in said if "$url" in line and "| masked" not in line] == []
