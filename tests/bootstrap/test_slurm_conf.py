from __future__ import annotations

from typing import Any

import pytest

from bootstrap.slurm_conf import NodeResources, cgroup_conf, gres_conf, memory_reserve_mb, resources, slurm_conf


def options(**changes: Any) -> dict[str, str]:
    """Keys and values of slurm.conf; fails on a line that is neither a comment nor an option."""
    arguments: dict[str, Any] = {
        "cluster_name": "c",
        "partition_name": "p",
        "max_nodes": 100,
        "controller_hostname": "pod-1",
        "controller_address": "10.0.0.5",
        "state_folder": "/var/lib/x",
        "slurm_version": (22, 5, 8),
    } | changes
    text = slurm_conf(**arguments)
    assert text.endswith("\n")
    lines = [(line.partition("=")[0], line.partition("=")[2]) for line in text.splitlines() if not line.startswith("#")]
    assert len({key for key, _ in lines}) == len(lines)
    return dict(lines)


def test_given_values_stand_where_they_belong() -> None:
    found = options()
    assert found["ClusterName"] == "c"
    assert found["SlurmctldHost"] == "pod-1(10.0.0.5)"
    assert found["StateSaveLocation"] == "/var/lib/x"
    assert found["MaxNodeCount"] == "100"
    assert found["PartitionName"].split()[0] == "p"
    assert (found["SlurmctldPort"], found["SlurmdPort"]) == ("6817", "6818")


@pytest.mark.parametrize(
    ("address", "version", "expected"),
    [
        ("10.0.0.5", (22, 5, 8), None),
        ("fd00::5", (22, 5, 8), "EnableIPv6"),
        ("10.0.0.5", (25, 5, 3), None),
        ("10.0.0.5", (25, 11, 0), "disable_http"),
        ("fd00::5", (26, 5, 0), "EnableIPv6,disable_http"),
    ],
)
def test_communication(address: str, version: tuple[int, int, int], expected: str | None) -> None:
    found = options(controller_address=address, slurm_version=version)
    assert found.get("CommunicationParameters") == expected
    assert found["SlurmctldHost"] == f"pod-1({address})"


@pytest.mark.parametrize(
    ("version", "plugin"),
    [((22, 5, 8), "cgroup/v1"), ((23, 11, 10), "cgroup/v1"), ((24, 5, 0), "disabled"), ((26, 5, 1), "disabled")],
)
def test_cgroup_plugin(version: tuple[int, int, int], plugin: str) -> None:
    assert cgroup_conf(version).splitlines()[1:] == [f"CgroupPlugin={plugin}"]


def test_gres_conf_declares_nothing() -> None:
    assert all(line.startswith("#") for line in gres_conf().splitlines())


@pytest.mark.parametrize(
    ("limit", "hint", "expected"),
    [
        (None, None, 16),
        (4.0, None, 4),
        (4.0, 8, 4),
        (2.9, None, 2),
        (0.5, None, 1),
        (None, 8, 8),
        (None, 64, 16),
        (None, 0, 1),
        (16.0, 8, 8),
        (64.0, None, 16),
        (64.0, 8, 8),
    ],
)
def test_cpus(limit: float | None, hint: int | None, expected: int) -> None:
    found = resources(
        host_cpus=16,
        host_memory_mb=64000,
        limit_cpus=limit,
        limit_memory_mb=None,
        hint_cpus=hint,
        hint_memory_mb=None,
    )
    assert found.cpus == expected


@pytest.mark.parametrize(
    ("limit", "hint", "expected"),
    [
        (None, None, 64000 - 1024),
        (16000, None, 16000 - 320),
        (16000, 32000, 16000 - 320),
        (None, 16000, 16000 - 320),
        (64000, 16000, 16000 - 320),
        (128000, 16000, 16000 - 320),
        (None, 128000, 64000 - 1024),
        (0, None, 1),
    ],
)
def test_memory(limit: int | None, hint: int | None, expected: int) -> None:
    found = resources(
        host_cpus=16,
        host_memory_mb=64000,
        limit_cpus=None,
        limit_memory_mb=limit,
        hint_cpus=None,
        hint_memory_mb=hint,
    )
    assert found.memory_mb == expected


@pytest.mark.parametrize(
    ("total", "reserve"),
    [(512, 128), (1024, 256), (12800, 256), (20000, 400), (51200, 1024), (2_000_000, 1024), (0, 0)],
)
def test_reserve(total: int, reserve: int) -> None:
    assert memory_reserve_mb(total) == reserve


def test_conf_line_spells_out_the_topology() -> None:
    line = NodeResources(12, 3000).conf_line()
    assert dict(word.split("=") for word in line.split()) == {
        "CPUs": "12",
        "Boards": "1",
        "SocketsPerBoard": "1",
        "CoresPerSocket": "12",
        "ThreadsPerCore": "1",
        "RealMemory": "3000",
    }
