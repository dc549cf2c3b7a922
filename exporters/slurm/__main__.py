"""EDGE: the Slurm exporter's command line: python -m exporters.slurm, or slurm-exporter."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from exporters import command_line
from exporters.serving import parse_address, serve
from exporters.slurm.exporter import Exporter
from exporters.slurm.sources import KINDS, Options

NAME = "slurm-exporter"
PORT = 9341
GPU_PORT = 9400
INTERVAL_MS = 5000
DEFAULT_CONF = Path("/etc/slurm/slurm.conf")
"""Of most builds. Where it is not, Slurm's commands look elsewhere (configless)."""


def parser() -> argparse.ArgumentParser:
    """All flags."""
    made = command_line.parser(NAME, "Slurm metrics for Prometheus.", PORT, INTERVAL_MS, "SLURM_EXPORTER")
    environ = os.environ.get
    made.add_argument(
        "--job-metrics",
        default=environ("SLURM_EXPORTER_JOB_METRICS") or "0",
        metavar="N",
        help="show running jobs one by one, at most N of them ($SLURM_EXPORTER_JOB_METRICS)",
    )
    made.add_argument(
        "--label-limit",
        default=environ("SLURM_EXPORTER_LABEL_LIMIT") or str(Options.label_limit),
        metavar="N",
        help="most values of a label such as user or account; the rest is summed as `other`"
        f" (default {Options.label_limit}; $SLURM_EXPORTER_LABEL_LIMIT)",
    )
    made.add_argument(
        "--gpu-exporter-port",
        default=environ("GPU_EXPORTER_PORT") or str(GPU_PORT),
        metavar="PORT",
        help=f"where /sd says that the nodes' GPU exporters are (default {GPU_PORT}; $GPU_EXPORTER_PORT)",
    )
    return made


def check_slurm() -> None:
    """Raises ValueError where Slurm is not installed, and OSError where its configuration cannot be read."""
    missing = sorted({kind.command(Options())[0] for kind in KINDS if not shutil.which(kind.command(Options())[0])})
    if missing:
        raise ValueError(
            f"Slurm is not installed here: {', '.join(missing)} not found on PATH. Install Slurm's client commands,"
            " or set PATH to where they are"
        )
    configuration = os.environ.get("SLURM_CONF")
    if configuration or DEFAULT_CONF.exists():
        with Path(configuration or DEFAULT_CONF).open("rb"):
            pass


def main(argv: Sequence[str] | None = None) -> int:
    """Serve Slurm metrics until told to stop."""
    arguments = parser().parse_args(argv)
    command_line.log_to_stderr()

    def prepare() -> tuple[float, Options, int]:
        interval = command_line.interval_seconds(arguments.collect_interval)
        options = Options(
            token=secrets.token_hex(3),
            job_metrics=command_line.whole_number(arguments.job_metrics, "--job-metrics", 0, 100_000),
            label_limit=command_line.whole_number(arguments.label_limit, "--label-limit", 1, 1_000_000),
        )
        gpu_port = command_line.whole_number(arguments.gpu_exporter_port, "--gpu-exporter-port", 1, 65535)
        check_slurm()
        return interval, options, gpu_port

    interval, options, gpu_port = command_line.or_exit(NAME, prepare)
    listener = command_line.listen_or_exit(NAME, arguments.address)
    exporter = Exporter(interval, options, gpu_port, own_port=parse_address(arguments.address)[1])
    command_line.in_background(exporter.run, "rounds")
    serve(NAME, {"/metrics": exporter.metrics, "/sd": exporter.targets}, listener)
    return 0


if __name__ == "__main__":
    sys.exit(main())
