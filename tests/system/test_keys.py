"""The three sources of the munge key, and pods that do not share it."""

from __future__ import annotations

from bootstrap.munge_key import BAKED_KEY
from local.spec import File
from tests.system.harness import Cluster

KEY_FILE = File(text="k" * 64, mode=0o600)


def test_a_key_file_is_used_as_it_is(cluster: Cluster) -> None:
    environment = {"MUNGE_KEY": "", "MUNGE_KEY_FILE": "/etc/cluster.key"}
    head = cluster.add_head(environment, files={"/etc/cluster.key": KEY_FILE})
    cluster.add_worker("worker1", environment, files={"/etc/cluster.key": KEY_FILE})
    cluster.until_idle(["head", "worker1"])
    assert head.read("/etc/munge/munge.key") == KEY_FILE.text
    assert "NO MUNGE_KEY IS SET" not in head.logs()


def test_the_images_own_key_works_and_warns_at_every_start_once(cluster: Cluster) -> None:
    cluster.expect(r"\[bootstrap\] .* WARNING NO MUNGE_KEY IS SET")
    head = cluster.add_head({"MUNGE_KEY": ""}, files={BAKED_KEY: KEY_FILE})
    cluster.add_worker("worker1", {"MUNGE_KEY": ""}, files={BAKED_KEY: KEY_FILE})
    cluster.until_idle(["head", "worker1"])
    for pod in cluster.pods.values():
        assert pod.logs().count("NO MUNGE_KEY IS SET") == 1
    assert KEY_FILE.text not in head.logs()


def test_the_key_that_debians_munge_package_made_is_never_used(cluster: Cluster) -> None:
    packaged = File(text="p" * 128, mode=0o600)
    head = cluster.add_head(files={"/etc/munge/munge.key": packaged})
    cluster.until_idle(["head"])
    assert head.exec("sha256sum", "/etc/munge/munge.key") != head.exec(
        "sh", "-c", "printf p%.0s $(seq 128) | sha256sum"
    )
    digest = head.exec("sh", "-c", "sha256sum </etc/munge/munge.key")
    assert digest != head.exec("sh", input=f"printf %s {packaged.text} | sha256sum")


def test_a_stranger_with_another_key_does_not_join_and_is_told(cluster: Cluster) -> None:
    # What slurmctld says of each message that the stranger sends.
    cluster.expect(
        r"Munge decode failed: Invalid credential",
        r"auth_g_verify: REQUEST_CONFIG has authentication error",
        r"slurm_unpack_received_msg: .* Protocol authentication error",
        r"slurm_receive_msg \[.*\]: Unspecified error",
    )
    cluster.add_head()
    stranger = cluster.add_worker("stranger", {"MUNGE_KEY": "another secret " * 4})
    cluster.until_idle(["head"])
    refused = "it answers but does not accept this pod: is MUNGE_KEY the same on both"
    cluster.until("it says why it waits", lambda: refused in stranger.logs())
    assert "stranger" not in cluster.nodes()
    cluster.until("its programs run all the same", lambda: cluster.pids("stranger"))
