"""EDGE: the GPU exporter's command line: python -m exporters.gpu, or gpu-exporter.

Flags and variables have dcgm-exporter's names where it has the same.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from exporters import command_line, exposition
from exporters.gpu import collect, collectors_csv, show
from exporters.gpu.catalogue import SETS, CatalogueError, Metric, load, of_set
from exporters.gpu.exporter import Exporter, Setup, read_once
from exporters.pages import PageHolder
from exporters.serving import serve

NAME = "gpu-exporter"
PORT = 9400
INTERVAL_MS = 1000
_BESIDE = Path(__file__).resolve().parents[2] / "conf/gpu-metrics.yaml"
_INSTALLED = Path(sys.prefix) / "share/gpu-watchdog/conf/gpu-metrics.yaml"

log = logging.getLogger(__name__)


def parser() -> argparse.ArgumentParser:
    """All flags."""
    made = command_line.parser(NAME, "GPU metrics of this machine for Prometheus.", PORT, INTERVAL_MS, "DCGM_EXPORTER")
    environ = os.environ.get
    made.add_argument(
        "-f",
        "--collectors",
        default=environ("DCGM_EXPORTER_COLLECTORS") or "default",
        metavar="SET|FILE",
        help=f"{', '.join(SETS)}; a catalogue of your own (YAML); or dcgm-exporter's CSV ($DCGM_EXPORTER_COLLECTORS)",
    )
    made.add_argument("--hostname", default=socket.gethostname(), help="value of the label Hostname")
    made.add_argument(
        "--hostname-label",
        default=environ("GPU_EXPORTER_HOSTNAME_LABEL") or "Hostname",
        type=one_of("Hostname", "hostname"),
        metavar="NAME",
        help="its name: Hostname; or hostname, as dcgm-exporter 4.8.3 and later ($GPU_EXPORTER_HOSTNAME_LABEL)",
    )
    made.add_argument(
        "--hpc-job-mapping-dir",
        default=environ("DCGM_HPC_JOB_MAPPING_DIR") or "",
        metavar="DIR",
        help="files named by GPU index with one job ID a line ($DCGM_HPC_JOB_MAPPING_DIR)",
    )
    made.add_argument(
        "--hpc-job-labels",
        default=environ("GPU_EXPORTER_HPC_JOB_LABELS") or "info",
        type=one_of("info", "duplicate"),
        metavar="HOW",
        help="info: jobs on gpu_watchdog_gpu_job_info; duplicate: as dcgm-exporter, every series once per job"
        " ($GPU_EXPORTER_HPC_JOB_LABELS)",
    )
    made.add_argument(
        "--gpus-expected",
        default=environ("GPU_EXPORTER_GPUS_EXPECTED") or environ("RUNPOD_GPU_COUNT") or "0",
        metavar="N",
        help="GPUs there should be; 0: the most that were seen ($GPU_EXPORTER_GPUS_EXPECTED, $RUNPOD_GPU_COUNT)",
    )
    made.add_argument("--process-metrics", action="store_true", help="memory of every process on a GPU")
    made.add_argument("--once", action="store_true", help="print one exposition and exit")
    made.add_argument("--list", action="store_true", help="show every metric, its source and which GPUs have it")
    made.add_argument("--capture", metavar="FILE", help="write a masked capture of this machine's GPUs for a fixture")
    return made


def choose(wanted: str) -> tuple[Metric, ...]:
    """The metrics of a set or file; raises CatalogueError and OSError."""
    shipped = _BESIDE if _BESIDE.exists() else _INSTALLED
    if wanted in SETS:
        return of_set(load(_text(shipped), str(shipped)), wanted)
    text = _text(Path(wanted))
    if not (wanted.endswith(".csv") or collectors_csv.is_one(text)):
        return load(text, wanted)
    metrics, unknown = collectors_csv.select(text, wanted, load(_text(shipped), str(shipped)))
    if unknown:
        log.warning("%s: left out, as this exporter does not give them: %s", wanted, ", ".join(unknown))
    return metrics


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path} is not UTF-8: {error}") from None


def one_of(*allowed: str) -> Callable[[str], str]:
    """A type of argparse. Unlike `choices` it is asked of defaults, too, which the environment may have set."""

    def checked(text: str) -> str:
        if text not in allowed:
            raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(allowed)}")
        return text

    return checked


def main(argv: Sequence[str] | None = None) -> int:
    """Serve GPU metrics until told to stop, or show them once."""
    arguments = parser().parse_args(argv)
    command_line.log_to_stderr()
    pages = PageHolder()

    def prepare() -> tuple[Setup, Exporter]:
        metrics = choose("all" if arguments.list else arguments.collectors)
        setup = Setup(
            metrics=metrics,
            hostname=arguments.hostname,
            interval=command_line.interval_seconds(arguments.collect_interval),
            options=collect.Options(arguments.hostname_label, arguments.hpc_job_labels == "duplicate"),
            processes=arguments.process_metrics,
            expected=command_line.whole_number(arguments.gpus_expected, "--gpus-expected", 0, 1024),
            jobs_folder=Path(arguments.hpc_job_mapping_dir) if arguments.hpc_job_mapping_dir else None,
        )
        return setup, Exporter(setup, pages)

    setup, exporter = command_line.or_exit(NAME, prepare)
    if arguments.once or arguments.list or arguments.capture:
        snapshot = read_once(exporter, setup.metrics)
        if arguments.list:
            sys.stdout.write(show.table(snapshot, setup.metrics))
        elif arguments.capture:
            text = show.capture(snapshot)
            command_line.or_exit(NAME, lambda: Path(arguments.capture).write_text(text))
        else:
            sys.stdout.write(exposition.render(collect.families(snapshot, setup.metrics, setup.options)).decode())
        sys.stdout.flush()
        os._exit(0)  # a thread that hangs in NVML would keep the process
    listener = command_line.listen_or_exit(NAME, arguments.address)
    command_line.in_background(exporter.run, "rounds")
    serve(NAME, {"/metrics": pages}, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
