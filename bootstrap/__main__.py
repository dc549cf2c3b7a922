"""EDGE: read, plan, write, become supervisord.

`--print-only` shows the plan and touches nothing. Any other words are a command that is run instead.
"""

from __future__ import annotations

import argparse
import datetime
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bootstrap import apply, check, hardware, hooks, munge_key, plan, settings, supervisord_conf, variables
from bootstrap.munge_key import MungeKey
from bootstrap.settings import Problem

EXIT_USAGE = 2
EXIT_FAILED = 1
EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
"""As a shell has them."""
_CODE = Path(__file__).resolve().parents[1]


def run() -> None:
    """The entry point: boot this pod or exit with the status that says why not."""
    # PID 1 gets no signal that it does not ask for: a stop during the boot would have to wait for SIGKILL.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    sys.exit(main(sys.argv[1:], os.environ))


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Boot this pod. Returns an exit status; on success it does not return, as supervisord takes its place."""
    parser = argparse.ArgumentParser(prog="python -m bootstrap", description=__doc__)
    parser.add_argument("--print-only", action="store_true", help="show every file, secrets masked, and touch nothing")
    if argv and not argv[0].startswith("-"):
        return run_instead(argv)
    arguments = parser.parse_args(argv)
    conf = conf_folder()
    catalogue = supervisord_conf.load((conf / "supervisord/programs.yaml").read_text())
    wanted, problems = settings.read(environ)
    hints = settings.near_misses(environ)
    found = hardware.probe(() if arguments.print_only else tuple(settings.ports(wanted)), check.users(catalogue))
    state = hardware.inspect_state_folder(plan.state_folder(wanted, found))
    key = munge_key.find(wanted)
    named = {problem.subject.partition("=")[0] for problem in problems}
    if isinstance(key, Problem) and "MUNGE_KEY" not in named:
        problems.append(key)
    problems += check.check(wanted, found, state)
    if problems or not isinstance(key, MungeKey):
        complain(problems, hints)
        return EXIT_USAGE
    made = plan.build(
        wanted,
        found,
        key,
        catalogue,
        (conf / "supervisord/supervisord.conf").read_bytes(),
        plan.Paths(python=sys.executable, code=str(_CODE), conf=str(conf)),
        environ,
    )
    if arguments.print_only:
        sys.stdout.write(plan.show(made))
        return 0
    for hint in hints:
        log("WARNING", hint)
    for warning in made.warnings:
        log("WARNING", warning)
    try:
        apply.apply(made)
    except apply.ApplyError as error:
        log("ERROR", f"{error}; nothing was started")
        return EXIT_FAILED
    Path(plan.RUN_FOLDER, "joined").unlink(missing_ok=True)
    for notice in made.notices:
        log("INFO", notice)
    sys.stdout.flush()
    os.chdir("/")
    others = variables.without_secrets(environ)
    if status := hooks.run_before(others, log):
        return status
    hooks.start_after(others, sys.executable)
    return os.execve(made.command[0], made.command, dict(made.environment))  # noqa: S606


def run_instead(command: Sequence[str]) -> int:
    """Become another program, as in `docker run IMAGE sbatch --version`; returns only where it cannot be started."""
    if not Path(plan.SLURM_CONF).exists():
        os.environ.setdefault("SLURM_CONF", str(conf_folder() / "no-cluster.conf"))
    try:
        return os.execvp(command[0], list(command))  # noqa: S606
    except (OSError, ValueError) as error:  # ValueError: an empty word
        log("ERROR", f"{command[0]} cannot be run: {getattr(error, 'strerror', error)}")
        return EXIT_NOT_EXECUTABLE if isinstance(error, PermissionError) else EXIT_NOT_FOUND


def conf_folder() -> Path:
    """The conf files: beside the code in a checkout and in the image, else where an installed package puts them."""
    beside = _CODE / "conf"
    return beside if beside.is_dir() else Path(sys.prefix) / "share/gpu-watchdog/conf"


def complain(problems: Sequence[Problem], hints: Sequence[str]) -> None:
    """All problems at once, for people."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    log("ERROR", f"{count}; nothing was written, nothing was started:")
    for problem in problems:
        log("ERROR", f"  {problem}")
    for hint in hints:
        log("ERROR", f"  {hint}")


def log(level: str, message: str) -> None:
    """One line to the pod's log."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(f"[bootstrap] {now} {level} {message}", flush=True)


if __name__ == "__main__":
    run()
