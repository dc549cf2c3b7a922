"""The flags that a pod gives the exporters are theirs, and say what the pod's variables say."""

from __future__ import annotations

import argparse

import pytest

from bootstrap import plan
from bootstrap.settings import Settings
from bootstrap.variables import INTERVAL_MAX_MS, INTERVAL_MIN_MS
from exporters import command_line
from exporters.gpu.__main__ import parser as gpu_parser
from exporters.slurm.__main__ import parser as slurm_parser
from tests.bootstrap import supervisord
from tests.bootstrap.samples import HEAD, PATHS, build, files

GPU = {
    "GPU_METRICS": "all",
    "DCGM_EXPORTER_INTERVAL": "30000",
    "GPU_EXPORTER_HOSTNAME_LABEL": "hostname",
    "GPU_EXPORTER_HPC_JOB_LABELS": "duplicate",
    "DCGM_HPC_JOB_MAPPING_DIR": "/run/jobs",
    "GPU_PROCESS_METRICS": "on",
    "GPU_EXPORTER_PORT": "9500",
}
SLURM = {"SLURM_EXPORTER_INTERVAL": "10000", "SLURM_EXPORTER_JOB_METRICS": "500", "SLURM_EXPORTER_PORT": "9501"}


def given(program: str, parser: argparse.ArgumentParser, environ: dict[str, str]) -> dict[str, str | bool]:
    """Each flag that an exporter has got and its value, as its own parser reads them."""
    text = files(build({**HEAD, "NODE_NAME": "n1", **environ}))[f"{plan.PROGRAMS_FOLDER}/{program}.conf"]
    argv = supervisord.argv(supervisord.sections(text)[f"program:{program}"]["command"])
    assert argv[:3] == [PATHS.python, "-I", "-m"]
    flags = argv[4:]
    read = vars(parser.parse_args(flags))
    return {name: read[name[2:].replace("-", "_")] for name in (flag.partition("=")[0] for flag in flags)}


def test_gpu_exporter_by_default() -> None:
    assert given("gpu-exporter", gpu_parser(), {}) == {
        "--address": ":9400",
        "--hostname": "n1",
        "--collectors": "extended",
        "--gpus-expected": "0",
        "--collect-interval": "1000",
        "--hostname-label": "Hostname",
        "--hpc-job-labels": "info",
        "--hpc-job-mapping-dir": "",
    }


def test_gpu_exporter_with_everything_set() -> None:
    assert given("gpu-exporter", gpu_parser(), {**GPU, "RUNPOD_GPU_COUNT": "8"}) == {
        "--address": ":9500",
        "--hostname": "n1",
        "--collectors": "all",
        "--gpus-expected": "8",
        "--collect-interval": "30000",
        "--hostname-label": "hostname",
        "--hpc-job-labels": "duplicate",
        "--hpc-job-mapping-dir": "/run/jobs",
        "--process-metrics": True,
    }


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, ("9341", "5000", "0", "9400")), ({**GPU, **SLURM}, ("9501", "10000", "500", "9500"))],
)
def test_slurm_exporter(environ: dict[str, str], expected: tuple[str, ...]) -> None:
    port, interval, jobs, gpu_port = expected
    assert given("slurm-exporter", slurm_parser(), environ) == {
        "--address": f":{port}",
        "--collect-interval": interval,
        "--job-metrics": jobs,
        "--gpu-exporter-port": gpu_port,
    }


def test_a_pods_defaults_are_the_exporters() -> None:
    usual = Settings()
    gpu, slurm = gpu_parser(), slurm_parser()
    assert gpu.get_default("collect_interval") == str(usual.gpu_interval_ms)
    assert gpu.get_default("hostname_label") == usual.gpu_hostname_label
    assert gpu.get_default("hpc_job_labels") == usual.gpu_job_labels
    assert slurm.get_default("collect_interval") == str(usual.slurm_interval_ms)
    assert slurm.get_default("job_metrics") == str(usual.slurm_job_metrics)


def test_an_interval_that_a_pod_takes_the_exporters_take() -> None:
    for milliseconds in (INTERVAL_MIN_MS, INTERVAL_MAX_MS):
        assert command_line.interval_seconds(str(milliseconds)) == milliseconds / 1000
    for milliseconds in (INTERVAL_MIN_MS - 1, INTERVAL_MAX_MS + 1):
        with pytest.raises(ValueError, match="--collect-interval"):
            command_line.interval_seconds(str(milliseconds))
