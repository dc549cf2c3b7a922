"""The commands of docs/runpod.md work in containers of the image."""

from __future__ import annotations

import re

from local.pod import REPOSITORY
from tests.system.harness import Cluster

PAGE = (REPOSITORY / "docs/runpod.md").read_text()


def test_the_commands_of_the_first_job(cluster: Cluster) -> None:
    chapter = PAGE.partition("\n## First job\n")[2].partition("\n## ")[0]
    first, train = re.findall(r"^```sh\n(.*?)^```", chapter, re.MULTILINE | re.DOTALL)
    head = cluster.add_head()
    cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    output = head.exec("bash", "-e", "-x", input=first, timeout=90)
    assert "head idle" in output and "worker1 idle" in output
    # Tasks end in any order.
    assert {"head", "worker1"} <= set(output.splitlines())
    head.exec("bash", "-e", input=train, timeout=90)
    said = head.exec("sh", "-c", "cat /tmp/train-*")
    meeting = f"on (?:head|worker1) meets at {re.escape(cluster.head_address)}:29500"
    assert len(re.findall(rf"^task [01] of 2 {meeting}$", said, re.MULTILINE)) == 2
