"""What is left out on a machine that lacks something."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from local.pod import REPOSITORY

WITHOUT_IPV6 = """
import socket, sys, pytest
create_server = socket.create_server

def without_ipv6(address, **options):
    if ":" in address[0]:
        raise OSError(97, "Address family not supported by protocol")
    return create_server(address, **options)

socket.create_server = without_ipv6
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
"""


def test_without_ipv6_its_tests_are_left_out_and_none_is_skipped() -> None:
    files = ["tests/bootstrap/test_launch.py", "tests/bootstrap/test_network.py"]
    command = [sys.executable, "-c", WITHOUT_IPV6, *files, "-k", "something_listens or listening_port"]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "CI": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^3 passed, [0-9]+ deselected", done.stdout, re.MULTILINE)
    assert "skipped" not in done.stdout
