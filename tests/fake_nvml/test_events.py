"""Events: XIDs as they come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fake_nvml.client import Client
from tests.fake_nvml.control import FakeNvml

CODE = "(lambda e: (e.eventType, e.eventData, e.gpuInstanceId, e.computeInstanceId))(nvmlEventSetWait_v2(events, {}))"
WHOLE_GPU = [0xFFFFFFFF, 0xFFFFFFFF]


def listen(client: Client, gpus: int) -> None:
    client.start(gpus)
    client.value("bool(events := nvmlEventSetCreate())")
    for index in range(gpus):
        assert client.value(f"nvmlDeviceGetSupportedEventTypes(gpu{index})") & 8
        client.value(f"nvmlDeviceRegisterEvents(gpu{index}, nvmlEventTypeXidCriticalError, events)")


@pytest.fixture
def other(client: Client, fake: FakeNvml) -> Iterator[Client]:
    made = Client(client.library, fake.path)
    yield made
    made.end()


def test_an_xid_wakes_the_one_who_waits(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"xid": 31, "xid_seq": 4}, {}])
    client.start(2)
    client.value("bool(events := nvmlEventSetCreate())")
    for gpu in ("gpu0", "gpu1"):
        client.value(f"nvmlDeviceRegisterEvents({gpu}, nvmlEventTypeXidCriticalError, events)")
    nothing = client.ask("nvmlEventSetWait_v2(events, 120)")
    assert nothing["error"] == "NVMLError_Timeout"
    assert nothing["seconds"] >= 0.12
    client.value("spawn('xid', '(lambda e: (e.eventType, e.eventData))(nvmlEventSetWait_v2(events, 20000))')")
    for seq in (1, 2):
        fake.update(1, xid=79, xid_seq=seq)
        woken = client.finished("xid", within_s=5)
        assert woken and woken["value"] == [8, 79]
        client.value("finished.clear()")
        client.value("spawn('xid', '(lambda e: (e.eventType, e.eventData))(nvmlEventSetWait_v2(events, 20000))')")
    fake.update(0, missing=1)
    lost = client.finished("xid", within_s=5)
    assert lost and lost["error"] == "NVMLError_GpuIsLost"
    client.value("nvmlEventSetFree(events)")


def test_an_xid_wakes_those_whose_path_is_a_link_to_the_file(client: Client, fake: FakeNvml) -> None:
    link = fake.path.with_name("link")
    link.symlink_to(fake.path)
    fake.write(gpus=[{}])
    linked = Client(client.library, link)
    try:
        for process in (client, linked):
            listen(process, 1)
            process.value("spawn('xid', '(lambda e: e.eventData)(nvmlEventSetWait_v2(events, 20000))')")
        fake.raise_xid(0, 79)
        for process in (client, linked):
            woken = process.finished("xid", within_s=5)
            assert woken and woken["value"] == 79
    finally:
        linked.end()


def test_each_process_gets_each_event_once(client: Client, other: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {}])
    listen(client, 2)
    listen(other, 2)
    for code in (13, 13, 79):
        fake.raise_xid(1, code)
    for process in (client, other):
        assert [process.value(CODE.format(0)) for _ in range(3)] == [[8, code, *WHOLE_GPU] for code in (13, 13, 79)]
        assert process.error(CODE.format(0)) == "NVMLError_Timeout"


def test_an_event_names_its_instance_and_gpu(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}, {"xid_gi": 3, "xid_ci": 0}])
    listen(client, 2)
    fake.raise_xid(1, 94)
    assert client.value(CODE.format(5000)) == [8, 94, 3, 0]
    fake.raise_xid(0, 63)
    assert client.value("nvmlDeviceGetIndex(nvmlEventSetWait_v2(events, 5000).device)") == 0


def test_waiting_on_a_lost_gpu_says_so_at_once(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{}])
    listen(client, 1)
    fake.update(0, **{"error.nvmlEventSetWait": "GPU_IS_LOST"})
    assert client.error("nvmlEventSetWait_v2(events, 60000)") == "NVMLError_GpuIsLost"
    fake.update(0, **{"error.nvmlEventSetWait": None})
    assert client.error("nvmlEventSetWait_v2(events, 0)") == "NVMLError_Timeout"


def test_what_cannot_be_registered_is_refused(client: Client, fake: FakeNvml) -> None:
    fake.write(gpus=[{"model": "rtx4090"}])
    client.start(1)
    client.value("bool(events := nvmlEventSetCreate())")
    refused = "nvmlDeviceRegisterEvents(gpu0, nvmlEventTypeDoubleBitEccError, events)"
    assert client.error(refused) == "NVMLError_NotSupported"
