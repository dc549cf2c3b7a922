from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import render
from exporters.gpu import collect
from exporters.gpu.catalogue import Call, Metric
from exporters.gpu.sample import NO_DRIVER, GpuState, Identity, Snapshot

METRICS = (
    Metric("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", Call("x"), "", 1, "integer", None),
    Metric("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", Call("y"), "", 1000, "double", None),
)


def identity(index: int) -> Identity:
    return Identity(index, f"GPU-{index}", f"00000000:{index + 1}A:00.0", index + 4, "NVIDIA H200")


def good(index: int, **values: str) -> GpuState:
    return GpuState(identity(index), values, "", 0.01251, 0)


def snapshot(*gpus: GpuState, driver_error: str = "", unreadable: dict[int, str] | None = None) -> Snapshot:
    return Snapshot("pod-1", driver_error, "550.54.15", gpus, unreadable or {})


def text(found: Snapshot) -> str:
    rendered = render(collect.families(found, METRICS)).decode()
    assert list(text_string_to_metric_families(rendered))
    return rendered


def test_golden() -> None:
    lost = GpuState(identity(1), None, "GPU is lost", 12.5, 3)
    fine = good(0, DCGM_FI_DEV_GPU_TEMP="41", DCGM_FI_DEV_POWER_USAGE="123.456000")
    found = text(snapshot(fine, lost, unreadable={2: "Unknown Error"}))
    labels = (
        '{gpu="0",UUID="GPU-0",pci_bus_id="00000000:1A:00.0",device="nvidia4",modelName="NVIDIA H200",'
        'Hostname="pod-1",DCGM_FI_DRIVER_VERSION="550.54.15"}'
    )
    assert found == (
        "# HELP DCGM_FI_DEV_GPU_TEMP GPU temperature (in C).\n"
        "# TYPE DCGM_FI_DEV_GPU_TEMP gauge\n"
        f"DCGM_FI_DEV_GPU_TEMP{labels} 41\n"
        "# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).\n"
        "# TYPE DCGM_FI_DEV_POWER_USAGE gauge\n"
        f"DCGM_FI_DEV_POWER_USAGE{labels} 123.456000\n"
        "# HELP gpu_watchdog_nvml_up 1 if NVML answers, 0 if there is no driver or it does not.\n"
        "# TYPE gpu_watchdog_nvml_up gauge\n"
        "gpu_watchdog_nvml_up 1\n"
        "# HELP gpu_watchdog_gpus GPUs the driver shows, working or not.\n"
        "# TYPE gpu_watchdog_gpus gauge\n"
        "gpu_watchdog_gpus 3\n"
        "# HELP gpu_watchdog_gpu_up 1 if the GPU's last sample is good and fresh.\n"
        "# TYPE gpu_watchdog_gpu_up gauge\n"
        'gpu_watchdog_gpu_up{gpu="0",UUID="GPU-0"} 1\n'
        'gpu_watchdog_gpu_up{gpu="1",UUID="GPU-1"} 0\n'
        "# HELP gpu_watchdog_gpu_error_info Why a GPU has no values.\n"
        "# TYPE gpu_watchdog_gpu_error_info gauge\n"
        'gpu_watchdog_gpu_error_info{gpu="1",UUID="GPU-1",error="GPU is lost"} 1\n'
        'gpu_watchdog_gpu_error_info{gpu="2",error="Unknown Error"} 1\n'
        "# HELP gpu_watchdog_gpu_sample_age_seconds Seconds from the GPU's last good sample to this page.\n"
        "# TYPE gpu_watchdog_gpu_sample_age_seconds gauge\n"
        'gpu_watchdog_gpu_sample_age_seconds{gpu="0",UUID="GPU-0"} 0.013\n'
        'gpu_watchdog_gpu_sample_age_seconds{gpu="1",UUID="GPU-1"} 12.5\n'
        "# HELP gpu_watchdog_gpu_sample_failures_total Samples of the GPU that failed or hung.\n"
        "# TYPE gpu_watchdog_gpu_sample_failures_total counter\n"
        'gpu_watchdog_gpu_sample_failures_total{gpu="0",UUID="GPU-0"} 0\n'
        'gpu_watchdog_gpu_sample_failures_total{gpu="1",UUID="GPU-1"} 3\n'
    )


def test_reading_that_a_gpu_does_not_support_has_no_series() -> None:
    found = text(snapshot(good(0, DCGM_FI_DEV_GPU_TEMP="41"), good(1)))
    assert "DCGM_FI_DEV_POWER_USAGE" not in found
    assert found.count("\nDCGM_FI_DEV_GPU_TEMP{") == 1


def test_machine_without_a_gpu() -> None:
    found = text(Snapshot("pod-1", NO_DRIVER, "", ()))
    assert "gpu_watchdog_nvml_up 0\n" in found
    assert f'gpu_watchdog_nvml_error_info{{error="{NO_DRIVER}"}} 1\n' in found
    assert "gpu_watchdog_gpus 0\n" in found
    assert "DCGM_FI_DEV" not in found
    assert collect.problems(Snapshot("pod-1", NO_DRIVER, "", ())) == []


def test_a_driver_that_fails_is_a_problem() -> None:
    assert collect.problems(Snapshot("pod-1", "Driver/library version mismatch", "", ())) == [
        "NVML: Driver/library version mismatch"
    ]


def test_driver_version_that_is_not_known_is_no_label() -> None:
    assert "DCGM_FI_DRIVER_VERSION" not in collect.gpu_labels(identity(0), Snapshot("pod-1", "", "", ()))


def test_gpu_never_read_has_no_age() -> None:
    assert "sample_age" not in text(snapshot(GpuState(identity(0), None, "not read yet", None, 0)))


def test_problems() -> None:
    lost = GpuState(identity(1), None, "GPU is lost", 12.5, 3)
    found = collect.problems(snapshot(good(0), lost, driver_error="no answer for 9 s", unreadable={2: "Unknown Error"}))
    assert found == ["GPU 1 (GPU-1): GPU is lost", "GPU 2: Unknown Error", "NVML: no answer for 9 s"]
    assert collect.problems(snapshot(good(0))) == []
