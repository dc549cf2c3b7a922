"""The command line: sets and files of metrics, --once, --list, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.exporters.gpu.machine import Machine, samples, value
from tests.fake_nvml.control import Value


def names(text: str) -> set[str]:
    found = (line.split()[2] for line in text.splitlines() if line.startswith("# TYPE DCGM_"))
    return set(found)


def refused(machine: Machine, *flags: str, **environ: str) -> str:
    done = machine.run(*flags, **environ)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    return line


def test_sets_grow(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}])
    default, extended, everything = (
        names(machine.run("--once", f"--collectors={name}").stdout) for name in ("default", "extended", "all")
    )
    assert default < extended < everything
    assert "DCGM_FI_DEV_FB_TOTAL" in extended - default


def test_every_line_of_all_metrics_can_be_parsed(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "processes": "7:2048:C"}, {"model": "a100", "error": "GPU_IS_LOST"}])
    text = machine.once("--process-metrics")
    parsed = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(parsed) == len(lines)
    # The parser gives every counter the suffix that DCGM's do not have.
    written = {re.split("[{ ]", line)[0].removesuffix("_total") for line in lines}
    assert {sample.name.removesuffix("_total") for sample in parsed} == written


def test_a_device_has_the_number_of_its_index(machine: Machine) -> None:
    """As dcgm-exporter's, not that of its file in /dev, which a container may begin with any."""
    machine.gpus.write(gpus=[{"model": "h100", "minor": 5}, {"model": "h100", "minor": 4}])
    found = samples(machine.once(), "DCGM_FI_DEV_GPU_TEMP")
    assert [(labels["gpu"], labels["device"]) for labels, _ in found] == [("0", "nvidia0"), ("1", "nvidia1")]


def test_own_file(machine: Machine, tmp_path: Path) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "temperature": 43}])
    path = tmp_path / "own.yaml"
    path.write_text("metrics: [{name: mine, type: gauge, help: M., value: nvmlDeviceGetTemperature(0)}]")
    text = machine.run("--once", "-f", str(path)).stdout
    assert value(text, "mine") == 43
    assert not names(text)


@pytest.mark.parametrize("name", ["counters.csv", "metrics"])
def test_dcgm_exporters_csv(machine: Machine, tmp_path: Path, name: str) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "temperature": 43}])
    path = tmp_path / name
    path.write_text(
        "# Format,,\nDCGM_FI_DEV_GPU_TEMP, gauge, Warmth.\nDCGM_FI_DEV_BRAND, label, Brand.\n"
        "DCGM_EXP_XID_ERRORS_COUNT, gauge, XIDs.\n"
    )
    done = machine.run("--once", "-f", str(path))
    assert names(done.stdout) == {"DCGM_FI_DEV_GPU_TEMP"}
    assert "# HELP DCGM_FI_DEV_GPU_TEMP Warmth.\n" in done.stdout
    ((labels, text),) = samples(done.stdout, "DCGM_FI_DEV_GPU_TEMP")
    assert text == "43"
    assert list(labels)[-1] == "DCGM_FI_DEV_BRAND"
    assert done.stderr.count("does not give them: DCGM_EXP_XID_ERRORS_COUNT\n") == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"DCGM_FI_DEV_GPU_TEMP gauge",
            "counters.csv, line 1: 'DCGM_FI_DEV_GPU_TEMP gauge' is not `FIELD, TYPE, HELP`",
        ),
        (b"\xff", "counters.csv is not UTF-8"),
    ],
)
def test_csv_that_cannot_be_used(machine: Machine, tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "counters.csv"
    path.write_bytes(content)
    assert words in refused(machine, "-f", str(path))


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-c", "0"), "--collect-interval '0' is not a number of milliseconds"),
        (("--gpus-expected=x",), "--gpus-expected 'x' is not a whole number"),
        (("-f", "missing.csv"), "missing.csv"),
        (("--capture=/missing/file",), "/missing/file"),
    ],
)
def test_bad_flags(machine: Machine, flags: tuple[str, ...], words: str) -> None:
    assert words in refused(machine, *flags)


BAD = {
    "GPU_EXPORTER_HOSTNAME_LABEL": "'?' is none of Hostname, hostname",
    "GPU_EXPORTER_HPC_JOB_LABELS": "'?' is none of info, duplicate",
    "GPU_EXPORTER_GPUS_EXPECTED": "'?' is not a whole number",
    "RUNPOD_GPU_COUNT": "'?' is not a whole number",
    "DCGM_EXPORTER_COLLECTORS": "'?'",
    "DCGM_EXPORTER_INTERVAL": "'?' is not a number of milliseconds",
    "DCGM_EXPORTER_LISTEN": "'?' is not an address",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_environment(machine: Machine, name: str) -> None:
    assert BAD[name] in refused(machine, **{name: "?"})


def test_empty_variables_are_unset(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}])
    done = machine.run("--once", **dict.fromkeys([*BAD, "DCGM_HPC_JOB_MAPPING_DIR"], ""))
    assert (done.returncode, done.stderr) == (0, "")
    assert samples(done.stdout, "DCGM_FI_DEV_GPU_TEMP", Hostname="pod")
    assert value(done.stdout, "gpu_watchdog_gpus_expected") == 1


def test_once_without_a_driver(bare: Machine) -> None:
    assert value(bare.once(), "gpu_watchdog_nvml_up") == 0


def test_list(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}, {"model": "a100"}])
    rows = {line.split()[0]: line.split() for line in machine.run("--list").stdout.splitlines()}
    assert (rows["DCGM_FI_DEV_GPU_TEMP"][1], rows["DCGM_FI_DEV_GPU_TEMP"][-1]) == ("default", "all")
    assert "gpm(NVML_GPM_METRIC_SM_UTIL)" in rows["DCGM_FI_PROF_SM_ACTIVE"]
    assert rows["DCGM_FI_PROF_SM_ACTIVE"][-1] == "0"
    assert rows["DCGM_FI_DEV_FAN_SPEED"][-1] == "none"
    assert rows["DCGM_FI_DRIVER_VERSION"][-1] == "all"


def test_list_has_what_only_mig_instances_have(machine: Machine) -> None:
    gpu: dict[str, Value] = {"model": "h100", "error.nvmlGpmSampleGet": "NOT_SUPPORTED"}
    machine.gpus.write(gpus=[{**gpu, "mig_mode": 1, "mig": "0:1g.10gb:7"}, gpu])
    rows = {line.split()[0]: line.split() for line in machine.run("--list").stdout.splitlines()}
    assert rows["DCGM_FI_PROF_SM_ACTIVE"][-1] == "0"
