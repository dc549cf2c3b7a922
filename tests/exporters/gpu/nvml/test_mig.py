"""MIG instances of a simulated GPU that are made, destroyed and made again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.exporters.gpu.nvml.edge import Edge

NAMES: dict[str, Any] = {
    "mig_used": "nvmlDeviceGetMemoryInfo(nvmlMemory_v2).used / 1048576",
    "mig_sm": "gpm(NVML_GPM_METRIC_SM_UTIL)",
    "temperature": "nvmlDeviceGetTemperature(0)",
}
TWO = "0:1g.10gb:7 1:2g.20gb:3"


@pytest.fixture
def sliced(edge: Edge) -> Edge:
    edge.open(**NAMES)
    edge.gpus.write(
        gpus=[{"mig_mode": 1, "mig": TWO, "mig.7.memory_used": "5MiB", "mig.3.memory_used": "6MiB", "gpm_sm_util": 11}]
    )
    return edge


def found(edge: Edge) -> dict[int, tuple[str, str | None]]:
    """GPU instance -> profile and memory used."""
    return {one["gpu_instance_id"]: (one["profile"], one["values"].get("mig_used")) for one in instances(edge)}


def instances(edge: Edge) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = edge.sample()["instances"]
    return listed


def test_they_are_listed_in_order_with_values_of_their_own(sliced: Edge) -> None:
    assert list(found(sliced).items()) == [(3, ("2g.20gb", "6")), (7, ("1g.10gb", "5"))]
    for one in instances(sliced):
        assert str(one["uuid"]).startswith("MIG-")
        assert one["compute_instance_id"] == 0
        assert "temperature" not in one["values"]
    assert len({one["uuid"] for one in instances(sliced)}) == 2


def test_each_is_profiled_by_itself(sliced: Edge) -> None:
    sliced.gpus.update(0, **{"mig.7.gpm_sm_util": 70})

    def shown(sample: dict[str, list[dict[str, dict[str, str]]]]) -> bool:
        return [one["values"].get("mig_sm") for one in sample["instances"]] == ["11", "70"]

    sliced.until("both", "sample", sliced.uuid(0), has=shown)


def test_one_is_destroyed_and_the_other_stands(sliced: Edge) -> None:
    kept = instances(sliced)[0]["uuid"]
    sliced.gpus.update(0, mig="1:2g.20gb:3")
    assert found(sliced) == {3: ("2g.20gb", "6")}
    assert instances(sliced)[0]["uuid"] == kept
    assert sliced.values()["temperature"] == "34"


def test_another_in_its_place_is_another(sliced: Edge) -> None:
    assert set(found(sliced)) == {3, 7}
    sliced.gpus.update(0, mig="0:3g.40gb:2 1:2g.20gb:3", **{"mig.2.memory_used": "9MiB"})
    sliced.until("the new one", "sample", sliced.uuid(0), has=lambda sample: len(sample["instances"]) == 2)
    assert found(sliced) == {2: ("3g.40gb", "9"), 3: ("2g.20gb", "6")}


def test_it_is_made_again_as_it_was(sliced: Edge) -> None:
    before = {one["gpu_instance_id"]: one["uuid"] for one in instances(sliced)}
    for _ in range(3):
        sliced.gpus.update(0, mig="")
        assert found(sliced) == {}
        sliced.gpus.update(0, mig=TWO)
        assert found(sliced) == {3: ("2g.20gb", "6"), 7: ("1g.10gb", "5")}
        assert {one["gpu_instance_id"]: one["uuid"] for one in instances(sliced)} == before


def test_the_mode_is_switched_off_and_on(sliced: Edge) -> None:
    assert len(found(sliced)) == 2
    sliced.gpus.update(0, mig_mode=0)
    assert found(sliced) == {}
    sliced.gpus.update(0, mig_mode=1)
    assert len(found(sliced)) == 2


def test_compute_instances_of_one_gpu_instance_are_one(edge: Edge) -> None:
    """The labels tell GPU instances apart, no more: two series of the same labels are none."""
    edge.open(**NAMES)
    edge.gpus.write(gpus=[{"mig_mode": 1, "mig": "0:1c.3g.40gb:2:0 1:1c.3g.40gb:2:1 2:2g.20gb:3"}])
    assert found(edge).keys() == {2, 3}
    assert [one["compute_instance_id"] for one in instances(edge)] == [0, 0]


def test_holes_between_slots(edge: Edge) -> None:
    edge.open(**NAMES)
    edge.gpus.write(gpus=[{"mig_mode": 1, "mig": "1:1g.10gb:7 6:1g.10gb:13"}])
    assert found(edge).keys() == {7, 13}


@pytest.mark.parametrize("error", ["NO_PERMISSION", "NOT_SUPPORTED", "UNKNOWN"])
def test_one_that_refuses_is_left_out(sliced: Edge, error: str) -> None:
    sliced.gpus.update(0, **{"mig.7.error": error})
    assert found(sliced) == {3: ("2g.20gb", "6")}
    assert sliced.values()["temperature"] == "34"
    sliced.gpus.update(0, **{"mig.7.error": None})
    assert found(sliced).keys() == {3, 7}


def test_a_container_that_may_see_one_instance_only(sliced: Edge) -> None:
    sliced.gpus.update(0, **{"error.nvmlDeviceGetMemoryInfo": "NO_PERMISSION", "mig.7.error": "SUCCESS"})
    assert found(sliced)[7] == ("1g.10gb", "5")
    assert "mig_used" not in sliced.values()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("nvmlDeviceGetMigMode", "NOT_SUPPORTED"),
        ("nvmlDeviceGetMigMode", "NO_PERMISSION"),
        ("nvmlDeviceGetMaxMigDeviceCount", "NO_PERMISSION"),
        ("nvmlDeviceGetMigDeviceHandleByIndex", "NO_PERMISSION"),
    ],
)
def test_a_gpu_that_does_not_tell_of_them_has_its_own_values(sliced: Edge, call: str, error: str) -> None:
    sliced.gpus.update(0, **{f"error.{call}": error})
    assert found(sliced) == {}
    assert sliced.values()["temperature"] == "34"


def test_profiling_that_is_refused_leaves_their_memory(sliced: Edge) -> None:
    sliced.gpus.update(0, **{"error.nvmlGpmMigSampleGet": "NO_PERMISSION"})
    assert found(sliced) == {3: ("2g.20gb", "6"), 7: ("1g.10gb", "5")}


def test_a_lost_gpu_takes_them_along(sliced: Edge) -> None:
    assert len(found(sliced)) == 2
    sliced.gpus.update(0, error="GPU_IS_LOST")
    assert sliced.error("sample", sliced.uuid(0)) == "GPU is lost"
    sliced.gpus.update(0, error=None)
    assert len(found(sliced)) == 2


def test_a_driver_of_before_mig(old_edge: Edge) -> None:
    old_edge.open(**NAMES)
    old_edge.gpus.write(gpus=[{"model": "t4"}])
    assert found(old_edge) == {}
    assert old_edge.values().keys() == {"temperature"}
