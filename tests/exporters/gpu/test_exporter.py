"""Faults, seen through the endpoint of a real exporter."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from exporters.gpu import exporter, jobs
from exporters.pages import PageHolder
from tests.exporters.gpu.machine import CALL_DEADLINE_S, DEADLINE_S, Machine, samples

UP = "gpu_watchdog_gpu_up"
TEMPERATURE = "DCGM_FI_DEV_GPU_TEMP"
JOBS_UP = "gpu_watchdog_gpu_jobs_up"
ERROR = "gpu_watchdog_gpu_error_info"
DOWN_SINCE = "gpu_watchdog_gpu_down_since_timestamp_seconds"


def start(machine: Machine, *flags: str, gpus: int = 2, model: str = "h100", **settings: str | int) -> None:
    machine.gpus.write(gpus=[{"model": model} for _ in range(gpus)], **settings)
    machine.start(*flags)
    machine.until("all GPUs are read", lambda: len(samples(machine.text(), TEMPERATURE)) == gpus)


def reason(machine: Machine, gpu: str) -> str:
    return "".join(labels["error"] for labels, _ in samples(machine.text(), ERROR, gpu=gpu))


def inventories(machine: Machine) -> float:
    return machine.value("gpu_watchdog_nvml_calls_total", call="nvmlDeviceGetCount") or 0


def listened_to(machine: Machine, gpu: str) -> None:
    """Events are heard of again; one that comes while the listener begins anew is missed."""

    def heard() -> bool:
        machine.gpus.raise_xid(int(gpu), 13)
        return machine.value("DCGM_FI_DEV_XID_ERRORS", gpu=gpu) == 13

    machine.until(f"XIDs of GPU {gpu} are heard of", heard)


def test_a_gpu_that_hangs_is_alone(machine: Machine) -> None:
    start(machine)
    threads = machine.threads()
    machine.gpus.update(1, **{"hang.nvmlDeviceGetTemperature": 1})
    began = time.monotonic()
    machine.until_value(0, UP, gpu="1")
    assert time.monotonic() - began < CALL_DEADLINE_S + 3
    assert reason(machine, "1") == "no answer from nvmlDeviceGetTemperature"
    assert not [line for line in machine.text().splitlines() if line.startswith("DCGM_") and 'gpu="1"' in line]
    assert machine.value(DOWN_SINCE, gpu="1")
    status, text = machine.get("/health")
    assert status == 503
    assert "no answer from nvmlDeviceGetTemperature for " in text
    for temperature in range(50, 60):
        machine.gpus.update(0, temperature=temperature)
        machine.until_value(temperature, TEMPERATURE, gpu="0")
        assert (machine.value("gpu_watchdog_gpu_sample_age_seconds", gpu="0") or 0) < CALL_DEADLINE_S
    assert machine.threads() == threads
    machine.gpus.update(1, **{"hang.nvmlDeviceGetTemperature": None})
    machine.until_value(1, UP, gpu="1")
    assert machine.value(DOWN_SINCE, gpu="1") is None
    assert machine.get("/health") == (200, "ok\n")
    assert machine.threads() == threads


def test_the_others_are_fresh_while_a_hang_is_not_yet_one(machine: Machine) -> None:
    start(machine)
    machine.gpus.update(1, **{"hang.nvmlDeviceGetTemperature": 1})
    machine.gpus.update(0, temperature=61)
    machine.until_value(61, TEMPERATURE, gpu="0")
    assert machine.value(UP, gpu="1") == 1


def test_a_gpu_that_hangs_from_the_start_does_not_hide_the_others(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "hang": 1}, {"model": "h100"}])
    machine.start()
    machine.until_value(1, UP, gpu="1")
    assert reason(machine, "0") == "no answer from nvmlDeviceGetHandleByIndex"
    assert machine.value("gpu_watchdog_nvml_up") == 1
    assert samples(machine.text(), UP, gpu="0") == [({"gpu": "0"}, "0")]
    since = machine.value(DOWN_SINCE, gpu="0")
    assert since and abs(since - time.time()) < DEADLINE_S
    calls = inventories(machine)
    machine.until("it is asked again", lambda: inventories(machine) > calls + 1)
    assert machine.value(DOWN_SINCE, gpu="0") == since
    threads = machine.threads()
    machine.gpus.update(0, hang=None)
    machine.until_value(1, UP, gpu="0")
    assert machine.value(DOWN_SINCE, gpu="0") is None
    assert machine.threads() == threads + 1


def test_a_gpu_whose_every_call_hangs_is_counted_once(machine: Machine) -> None:
    start(machine)
    machine.gpus.update(0, hang=1)
    machine.until_value(0, UP, gpu="0")
    machine.gpus.update(1, temperature=62)
    machine.until_value(62, TEMPERATURE, gpu="1")
    assert machine.value("gpu_watchdog_gpus") == 2
    assert len(samples(machine.text(), ERROR)) == 1
    machine.gpus.update(0, hang=None)
    machine.until_value(1, UP, gpu="0")


def test_the_driver_may_come_later(bare: Machine) -> None:
    bare.gpus.write(gpus=[{"model": "h100"}])
    bare.start()
    assert bare.value("gpu_watchdog_nvml_up") == 0
    assert "no NVIDIA driver here" in bare.text()
    assert bare.get("/health") == (200, "ok\n")
    bare.install_driver()
    bare.until_value(1, UP, gpu="0")
    assert bare.value("gpu_watchdog_nvml_up") == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [({"init_error": "DRIVER_NOT_LOADED"}, "Driver Not Loaded"), ({"init_hang": 1}, "no answer from nvmlInit")],
)
def test_nvml_that_does_not_start_is_told_and_tried_again(
    machine: Machine, fault: dict[str, str | int], words: str
) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}], **fault)
    machine.start()
    machine.until_value(1, "gpu_watchdog_nvml_error_info", error=words)
    assert machine.value("gpu_watchdog_nvml_up") == 0
    assert words in machine.get("/health")[1]
    machine.gpus.update_machine(**dict.fromkeys(fault))
    machine.until_value(1, UP, gpu="0")


def test_the_list_of_gpus_is_no_older_than_the_interval_makes_it(machine: Machine) -> None:
    """It is asked for in each round, and the round does not wait for it."""
    slow: dict[str, int] = {"latency_ms.nvmlSystemGetDriverVersion": 300}
    machine.gpus.write(gpus=[{"model": "h100"}], **slow)
    machine.start("--collect-interval=2000")
    while inventories(machine) < 3:
        assert machine.value("gpu_watchdog_nvml_up") == 1


def test_a_driver_that_was_reloaded_is_used_again(machine: Machine) -> None:
    start(machine)
    for temperature in (51, 52, 53):
        machine.gpus.update_machine(driver_gone=1)
        machine.until_value(0, UP, gpu="0")
        assert not samples(machine.text(), TEMPERATURE)
        machine.gpus.update(1, temperature=temperature)
        machine.gpus.reload_driver()
        machine.until_value(temperature, TEMPERATURE, gpu="1")
        machine.until_value(1, UP, gpu="0")
    listened_to(machine, "1")


def test_a_reload_between_two_samples_goes_by(machine: Machine) -> None:
    start(machine)
    machine.gpus.reload_driver()
    machine.gpus.update(1, temperature=54)
    machine.until_value(54, TEMPERATURE, gpu="1")
    machine.until_value(1, UP, gpu="0")


@pytest.mark.parametrize(
    ("fault", "words"), [({"error": "GPU_IS_LOST"}, "GPU is lost"), ({"missing": 1}, "the driver does not show it")]
)
def test_a_gpu_that_is_lost_returns(machine: Machine, fault: dict[str, str | int], words: str) -> None:
    start(machine)
    machine.gpus.update(1, **fault)
    machine.until_value(0, UP, gpu="1")
    machine.until("it is told", lambda: words in reason(machine, "1"))
    machine.until_value(2 - len(fault.keys() & {"missing"}), "gpu_watchdog_gpus")
    assert machine.value("gpu_watchdog_gpus_expected") == 2
    assert machine.value(UP, gpu="0") == 1
    assert len(samples(machine.text(), ERROR)) == 1
    listened_to(machine, "0")
    machine.gpus.update(1, **dict.fromkeys(fault))
    machine.until_value(1, UP, gpu="1")
    machine.until_value(2, "gpu_watchdog_gpus")
    listened_to(machine, "1")


def test_series_belong_to_the_uuid_whatever_the_index(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "temperature": 41}, {"model": "a100", "temperature": 42}])
    machine.start()
    machine.until("both are read", lambda: len(samples(machine.text(), TEMPERATURE)) == 2)
    before = {labels["UUID"]: number for labels, number in samples(machine.text(), TEMPERATURE)}
    machine.gpus.reorder([1, 0])
    machine.until_value(42, TEMPERATURE, gpu="0")
    assert {labels["UUID"]: number for labels, number in samples(machine.text(), TEMPERATURE)} == before
    (first, _), (second, _) = samples(machine.text(), TEMPERATURE)
    assert ("A100" in first["modelName"], "H100" in second["modelName"]) == (True, True)


def test_gpus_come(machine: Machine) -> None:
    start(machine, gpus=1)
    machine.gpus.write(gpus=[{"model": "h100"}, {"model": "h100"}])
    machine.until("two", lambda: len(samples(machine.text(), TEMPERATURE)) == 2)


def test_a_gpu_that_refuses_every_call_is_not_up(machine: Machine) -> None:
    start(machine)
    machine.gpus.update(0, error="NO_PERMISSION")
    machine.until_value(0, UP, gpu="0")
    assert "Permission" in reason(machine, "0")


def test_a_counter_that_falls_for_good_begins_anew(machine: Machine) -> None:
    start(machine, gpus=1)
    name = "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"
    for energy in (2000, 500, 600):
        machine.gpus.update(0, energy_mj=energy)
        machine.until_value(energy, name)


def test_xid_events(machine: Machine) -> None:
    start(machine)
    machine.until_value(0, "DCGM_FI_DEV_XID_ERRORS", gpu="1")
    for number in (1, 2):
        machine.gpus.raise_xid(1, 79)
        machine.until_value(number, "gpu_watchdog_gpu_xid_events_total", gpu="1", xid="79")
    ((labels, number_text),) = samples(machine.text(), "DCGM_FI_DEV_XID_ERRORS", gpu="1")
    assert (labels["err_code"], labels["err_msg"], number_text) == ("79", "GPU has fallen off the bus", "79")
    seen = machine.value("gpu_watchdog_gpu_xid_last_timestamp_seconds", gpu="1", xid="79")
    assert seen and abs(seen - time.time()) < DEADLINE_S
    machine.gpus.raise_xid(1, 999)
    machine.until_value(999, "DCGM_FI_DEV_XID_ERRORS", gpu="1", err_msg="Unknown Error")
    assert machine.value("gpu_watchdog_gpu_xid_events_total", gpu="1", xid="79") == 2
    assert machine.value("DCGM_FI_DEV_XID_ERRORS", gpu="0") == 0


def test_a_listener_that_hangs_is_told(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "hang.nvmlDeviceRegisterEvents": 1}, {"model": "h100"}])
    machine.start()
    machine.until_value(0, "gpu_watchdog_xid_events_up")
    assert machine.value(UP, gpu="0") == 1
    machine.gpus.update(0, **{"hang.nvmlDeviceRegisterEvents": None})
    machine.until_value(1, "gpu_watchdog_xid_events_up")


def test_mig_instances_come_and_go(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "mig_mode": 1, "mig": "0:1g.10gb:7 1:2g.20gb:3"}])
    machine.start("--collectors=all")
    name = "DCGM_FI_DEV_FB_USED"

    def profiles() -> dict[str, str]:
        found = samples(machine.text(), name, gpu="0")
        return {labels["GPU_I_ID"]: labels["GPU_I_PROFILE"] for labels, _ in found if "GPU_I_ID" in labels}

    machine.until("both", lambda: profiles() == {"3": "2g.20gb", "7": "1g.10gb"})
    machine.gpus.update(0, mig="0:1g.10gb:7 2:3g.40gb:2", **{"mig.2.memory_used": 5 << 20})
    machine.until("one went, one came", lambda: profiles() == {"2": "3g.40gb", "7": "1g.10gb"})
    machine.until_value(5, name, GPU_I_ID="2")
    machine.until("its GPM", lambda: bool(samples(machine.text(), "DCGM_FI_PROF_SM_ACTIVE", GPU_I_ID="2")))
    machine.gpus.update(0, mig_mode=0, mig="")
    machine.until("none", lambda: profiles() == {})
    assert machine.value(UP, gpu="0") == 1


def test_sixteen_gpus_of_seven_instances(machine: Machine) -> None:
    mig = " ".join(f"{number}:1g.10gb:{number + 7}" for number in range(7))
    machine.gpus.write(gpus=[{"model": "h100", "mig_mode": 1, "mig": mig} for _ in range(16)])
    machine.start()
    machine.until("all", lambda: len(samples(machine.text(), "DCGM_FI_DEV_FB_USED")) == 16 * 8)
    machine.until("profiled", lambda: len(samples(machine.text(), "DCGM_FI_PROF_GR_ENGINE_ACTIVE")) == 16 * 8)
    lines = [line.rpartition(" ")[0] for line in machine.text().splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines))
    assert machine.get("/health") == (200, "ok\n")


def test_why_there_is_no_profiling_is_logged_once(machine: Machine) -> None:
    start(machine)
    for gpu in (0, 1):
        machine.gpus.update(gpu, **{"error.nvmlGpmSampleGet": "NO_PERMISSION"})
    name = "gpu_watchdog_gpu_profiling_unavailable_info"
    for gpu in (0, 1):
        machine.until_value(1, name, gpu=str(gpu), reason="Insufficient Permissions")
    assert not samples(machine.text(), "DCGM_FI_PROF_GR_ENGINE_ACTIVE")
    tried = machine.value("gpu_watchdog_nvml_call_errors_total", call="nvmlGpmSampleGet") or 0

    def again() -> bool:
        return (machine.value("gpu_watchdog_nvml_call_errors_total", call="nvmlGpmSampleGet") or 0) > tried + 1

    machine.until("it is tried again", again)
    assert machine.log.read_text().count("no profiling") == 1
    for gpu in (0, 1):
        machine.gpus.update(gpu, **{"error.nvmlGpmSampleGet": None})
    machine.until("they are back", lambda: len(samples(machine.text(), "DCGM_FI_PROF_GR_ENGINE_ACTIVE")) == 2)
    assert not samples(machine.text(), name)


def test_the_environment_has_dcgm_exporters_names(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}])
    environ = {"DCGM_EXPORTER_COLLECTORS": "extended", "GPU_EXPORTER_HOSTNAME_LABEL": "hostname"}
    text = machine.run("--once", **environ).stdout
    assert samples(text, "DCGM_FI_DEV_FB_TOTAL", hostname="pod")


def test_fewer_gpus_than_expected_are_told(machine: Machine) -> None:
    start(machine, "--gpus-expected=3")
    assert machine.value("gpu_watchdog_gpus") == 2
    assert machine.value("gpu_watchdog_gpus_expected") == 3
    assert machine.get("/health") == (503, "2 of 3 GPUs are seen\n")


def test_processes_are_shown_when_asked_and_while_they_are_there(machine: Machine) -> None:
    machine.gpus.write(
        gpus=[{"model": "h100", "processes": "4242:1048576:C 4243:2048:G"}],
        **{"process_name.4242": "/usr/bin/python3", "process_name.4243": 'a"b'},
    )
    name = "gpu_watchdog_gpu_process_memory_bytes"
    assert name not in machine.once()
    machine.start("--process-metrics")
    machine.until_value(1 << 20, name, pid="4242", process_name="python3", type="compute")
    assert machine.value(name, pid="4243", type="graphics") == 2048
    machine.gpus.update(0, processes="4243:2048:G")
    machine.until_value(None, name, pid="4242")
    assert machine.value(name, pid="4243") == 2048


@pytest.fixture
def mapping(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return folder


def test_jobs_are_an_info_series(machine: Machine, mapping: Path) -> None:
    start(machine, f"--hpc-job-mapping-dir={mapping}")
    name = "gpu_watchdog_gpu_job_info"
    (mapping / "1").write_text("17\n18\n")
    machine.until_value(1, name, gpu="1", hpc_job="18")
    assert machine.value(name, gpu="1", hpc_job="17") == 1
    assert len(samples(machine.text(), TEMPERATURE)) == 2
    (mapping / "1").write_text("18\n")
    machine.until_value(None, name, hpc_job="17")
    (mapping / "1").unlink()
    machine.until_value(None, name)


def test_a_job_folder_that_is_not_there_is_told_once(machine: Machine, mapping: Path) -> None:
    mapping.rmdir()
    start(machine, f"--hpc-job-mapping-dir={mapping}")
    machine.until_value(0, JOBS_UP)
    calls = inventories(machine)
    machine.until("some rounds", lambda: inventories(machine) > calls + 2)
    assert machine.log.read_text().count("jobs: ") == machine.log.read_text().count(f"'{mapping}'") == 1
    mapping.mkdir()
    (mapping / "1").write_text("17\n")
    machine.until_value(1, "gpu_watchdog_gpu_job_info", gpu="1", hpc_job="17")
    assert machine.value(JOBS_UP) == 1


def test_no_jobs_are_asked_for(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}])
    assert JOBS_UP not in machine.once()


def test_a_job_folder_that_hangs_holds_up_nothing(monkeypatch: pytest.MonkeyPatch, mapping: Path) -> None:
    go = threading.Event()
    monkeypatch.setattr(exporter, "CALL_DEADLINE_S", 0.05)
    monkeypatch.setattr(jobs, "read", lambda _: go.wait(DEADLINE_S) and {})
    made = exporter.Exporter(exporter.Setup((), "pod", 0.1, jobs_folder=mapping), PageHolder())
    began = time.monotonic()
    made.look()
    made.sources()
    assert made.snapshot().jobs_up is False
    assert time.monotonic() - began < DEADLINE_S / 2
    go.set()


def test_jobs_duplicate_every_series_as_dcgm_exporter_does(machine: Machine, mapping: Path) -> None:
    (mapping / "0").write_text("17\n18\n")
    (mapping / "0.3").write_text("19\n")
    machine.gpus.write(gpus=[{"model": "h100", "mig_mode": 1, "mig": "0:1g.10gb:7 1:2g.20gb:3"}, {"model": "h100"}])
    text = machine.once(f"--hpc-job-mapping-dir={mapping}", "--hpc-job-labels=duplicate")
    assert [labels.get("hpc_job") for labels, _ in samples(text, TEMPERATURE)] == ["17", "18", None]
    found = [(labels.get("GPU_I_ID"), labels.get("hpc_job")) for labels, _ in samples(text, "DCGM_FI_DEV_FB_FREE")]
    assert found == [(None, "17"), (None, "18"), ("3", "19"), ("7", "17"), ("7", "18"), (None, None)]
    assert len(samples(text, "gpu_watchdog_gpu_job_info")) == 3


def test_job_files(tmp_path: Path) -> None:
    for name, text in {"0": "1\n\n 2 \n1\n", "1": "", "2.5": "7", "x": "8", "3.x": "9", "4": "é"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "5").mkdir()
    os.mkfifo(tmp_path / "6")
    (tmp_path / "7").symlink_to("/dev/zero")
    (tmp_path / "8").symlink_to(tmp_path / "2.5")
    opened = len(list(Path("/proc/self/fd").iterdir()))
    assert jobs.read(tmp_path) == {(0, None): ("1", "2"), (2, 5): ("7",), (4, None): ("é",), (8, None): ("7",)}
    assert len(list(Path("/proc/self/fd").iterdir())) == opened
