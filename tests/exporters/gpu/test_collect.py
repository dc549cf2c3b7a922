from __future__ import annotations

import dataclasses
import re

from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import render
from exporters.gpu import collect
from exporters.gpu.catalogue import BUILT_IN_LABELS, Metric, Value, Xid
from exporters.gpu.sample import NO_DRIVER, GpuSample, GpuState, Identity, Instance, Snapshot, Unreadable, XidEvents

METRICS = (
    Metric("DCGM_FI_DEV_GPU_TEMP", "default", "gauge", "GPU temperature (in C).", ()),
    Metric("DCGM_FI_DEV_POWER_USAGE", "default", "gauge", "Power draw (in W).", (), "double"),
    Metric("DCGM_FI_DEV_XID_ERRORS", "default", "gauge", "Last XID.", (Value((Xid(),)),)),
    Metric("DCGM_FI_DRIVER_VERSION", "default", "label", "Driver.", ()),
)
LABELS = 'gpu="0",UUID="GPU-0",pci_bus_id="00000000:1A:00.0",device="nvidia0",modelName="NVIDIA H200"'


def identity(index: int) -> Identity:
    labels = (("DCGM_FI_DRIVER_VERSION", "550.54.15"),)
    return Identity(index, f"GPU-{index}", f"00000000:{index + 1}A:00.0", "NVIDIA H200", labels)


def good(index: int, *instances: Instance, jobs: tuple[str, ...] = (), **values: str) -> GpuState:
    return GpuState(identity(index), GpuSample(values, instances), "", 0.01251, 0, jobs=jobs)


def snapshot(*gpus: GpuState, driver_error: str = "", unreadable: dict[int, Unreadable] | None = None) -> Snapshot:
    shown = len(gpus) + len(unreadable or {})
    return Snapshot("pod-1", driver_error, "550.54.15", gpus, unreadable or {}, shown=shown)


def text(found: Snapshot, options: collect.Options | None = None) -> str:
    rendered = render(collect.families(found, METRICS, options or collect.Options())).decode()
    assert list(text_string_to_metric_families(rendered))
    return rendered


LOST = GpuState(identity(1), None, "GPU is lost for 7 s", 12.5, 3, down_since=1700000000.5, reason="GPU is lost")
UNREADABLE = {2: Unreadable("Unknown Error", 1700000001.0)}


def test_labels_and_values() -> None:
    found = text(snapshot(good(0, DCGM_FI_DEV_GPU_TEMP="41", DCGM_FI_DEV_POWER_USAGE="123.456000"), LOST))
    end = 'Hostname="pod-1",DCGM_FI_DRIVER_VERSION="550.54.15"'
    assert found.startswith(
        "# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).\n"
        "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\n"
        f"DCGM_FI_DEV_GPU_TEMP{{{LABELS},{end}}} 41\n"
        "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).\n"
        "# TYPE DCGM_FI_DEV_POWER_USAGE gauge\n"
        f"DCGM_FI_DEV_POWER_USAGE{{{LABELS},{end}}} 123.456000\n"
        "# HELP gpu_watchdog_gpu_exporter_build_info"
    )
    assert "DCGM_FI_DRIVER_VERSION " not in found


def test_what_is_told_of_a_gpu_that_is_down() -> None:
    found = text(snapshot(good(0), LOST, unreadable=UNREADABLE))
    for line in (
        "gpu_watchdog_gpus 3",
        'gpu_watchdog_gpu_up{gpu="0",UUID="GPU-0"} 1',
        'gpu_watchdog_gpu_up{gpu="1",UUID="GPU-1"} 0',
        'gpu_watchdog_gpu_up{gpu="2"} 0',
        'gpu_watchdog_gpu_error_info{gpu="1",UUID="GPU-1",error="GPU is lost"} 1',
        'gpu_watchdog_gpu_error_info{gpu="2",error="Unknown Error"} 1',
        'gpu_watchdog_gpu_down_since_timestamp_seconds{gpu="1",UUID="GPU-1"} 1700000000.5',
        'gpu_watchdog_gpu_down_since_timestamp_seconds{gpu="2"} 1700000001.0',
        'gpu_watchdog_gpu_sample_age_seconds{gpu="0",UUID="GPU-0"} 0.013',
        'gpu_watchdog_gpu_sample_failures_total{gpu="1",UUID="GPU-1"} 3',
    ):
        assert f"\n{line}\n" in found


def test_reading_that_a_gpu_does_not_support_has_no_series() -> None:
    found = text(snapshot(good(0, DCGM_FI_DEV_GPU_TEMP="41"), good(1)))
    assert "DCGM_FI_DEV_POWER_USAGE" not in found
    assert found.count("\nDCGM_FI_DEV_GPU_TEMP{") == 1


def test_instances_have_their_profile_and_number_before_the_host() -> None:
    instance = Instance("1g.10gb", 7, 0, "MIG-1", {"DCGM_FI_DEV_GPU_TEMP": "42"})
    found = text(snapshot(good(0, instance)), collect.Options(hostname_label="hostname"))
    assert f'DCGM_FI_DEV_GPU_TEMP{{{LABELS},GPU_I_PROFILE="1g.10gb",GPU_I_ID="7",hostname="pod-1",' in found


def test_no_catalogue_may_have_a_label_that_is_written_here() -> None:
    instance = Instance("1g.10gb", 7, 0, "MIG-1", {"DCGM_FI_DEV_GPU_TEMP": "42"})
    state = dataclasses.replace(good(0, instance, jobs=("5",)), xids=XidEvents(79, {79: 1}, {79: 1.0}))
    written = set()
    for hostname in ("Hostname", "hostname"):
        found = text(snapshot(state), collect.Options(hostname, duplicate_jobs=True))
        written |= {name for line in re.findall(r"^DCGM.*", found, re.M) for name in re.findall(r'(\w+)="', line)}
    assert written - {"DCGM_FI_DRIVER_VERSION"} == BUILT_IN_LABELS


def test_xid_has_code_and_meaning_beside_the_job() -> None:
    state = GpuState(identity(0), GpuSample(), "", 0.0, 0, xids=XidEvents(79, {79: 1}, {79: 1.0}), jobs=("5",))
    found = text(snapshot(state), collect.Options(duplicate_jobs=True))
    assert '550.54.15",err_code="79",err_msg="GPU has fallen off the bus",hpc_job="5"} 79\n' in found


def test_a_gpu_whose_events_are_not_heard_has_no_xid() -> None:
    assert "XID_ERRORS" not in text(snapshot(good(0)))


def test_machine_without_a_gpu() -> None:
    found = text(Snapshot("pod-1", NO_DRIVER, "", (), driver_reason=NO_DRIVER))
    assert "gpu_watchdog_nvml_up 0\n" in found
    assert f'gpu_watchdog_nvml_error_info{{error="{NO_DRIVER}"}} 1\n' in found
    assert "gpu_watchdog_gpus 0\n" in found
    assert "DCGM_FI_DEV" not in found
    assert collect.problems(Snapshot("pod-1", NO_DRIVER, "", ())) == []


def test_problems() -> None:
    found = collect.problems(snapshot(good(0), LOST, driver_error="no answer for 9 s", unreadable=UNREADABLE))
    assert found == ["GPU 1 (GPU-1): GPU is lost for 7 s", "GPU 2: Unknown Error", "NVML: no answer for 9 s"]
    assert collect.problems(snapshot(good(0))) == []
    assert collect.problems(Snapshot("pod-1", "Driver/library version mismatch", "", ())) == [
        "NVML: Driver/library version mismatch"
    ]
    assert collect.problems(Snapshot("pod-1", "", "", (), expected=2)) == ["0 of 2 GPUs are seen"]


def test_gpu_never_read_has_no_age() -> None:
    assert "sample_age" not in text(snapshot(GpuState(identity(0), None, "not read yet", None, 0)))


def test_every_page_is_what_it_would_be_alone() -> None:
    """Whatever the snapshot before."""
    collector = collect.Collector(METRICS, collect.Options())
    instance = Instance("1g.10gb", 7, 0, "MIG-7", {"DCGM_FI_DEV_GPU_TEMP": "40"})
    heard = GpuState(identity(0), GpuSample({}), "", 0.1, 0, xids=XidEvents(79, {79: 1}, {79: 1.0}))
    for found in (
        snapshot(good(0, DCGM_FI_DEV_GPU_TEMP="41"), good(1, DCGM_FI_DEV_GPU_TEMP="42")),
        snapshot(good(0, DCGM_FI_DEV_GPU_TEMP="41"), good(1, DCGM_FI_DEV_GPU_TEMP="43")),
        snapshot(good(0, DCGM_FI_DEV_POWER_USAGE="5.000000"), LOST),
        snapshot(good(0, instance, DCGM_FI_DEV_GPU_TEMP="41")),
        snapshot(heard),
        snapshot(),
        snapshot(good(1, DCGM_FI_DEV_GPU_TEMP="43")),
    ):
        assert render(collector.families(found)).decode() == text(found)
