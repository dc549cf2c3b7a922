"""EDGE: what both exporters' command lines share: flags that may come from the environment, one clear error each."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn, TypeVar

from exporters import serving

T = TypeVar("T")

EXIT_USAGE = 2


class _Parser(argparse.ArgumentParser):
    """A mistake is one line."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        _exit(f"{self.prog}: {message}; {self.prog} --help lists all flags")


def parser(prog: str, description: str, port: int, interval_ms: int, prefix: str) -> argparse.ArgumentParser:
    """A parser with the flags of both; `prefix` begins the names of the environment variables that stand in."""
    made = _Parser(prog=prog, description=description, allow_abbrev=False)
    made.add_argument(
        "-a",
        "--address",
        default=os.environ.get(f"{prefix}_LISTEN") or f":{port}",
        help=f"address to listen on (default :{port}; ${prefix}_LISTEN)",
    )
    made.add_argument(
        "-c",
        "--collect-interval",
        default=os.environ.get(f"{prefix}_INTERVAL") or str(interval_ms),
        help=f"milliseconds between samples (default {interval_ms}; ${prefix}_INTERVAL)",
    )
    return made


def interval_seconds(text: str) -> float:
    """Seconds from a text of milliseconds; raises ValueError."""
    if not text.isdigit() or not 100 <= int(text) <= 3_600_000:
        raise ValueError(f"--collect-interval {text!r} is not a number of milliseconds from 100 to 3600000")
    return int(text) / 1000


def whole_number(text: str, flag: str, least: int, most: int) -> int:
    """A flag's number; raises ValueError."""
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise ValueError(f"{flag} {text!r} is not a whole number from {least} to {most}")
    return int(text)


def or_exit(prog: str, attempt: Callable[[], T]) -> T:
    """The result of an attempt; ValueError and OSError become one line on stderr and exit status 2."""
    try:
        return attempt()
    except (ValueError, OSError) as error:
        _exit(f"{prog}: {error}")


def listen_or_exit(prog: str, address: str) -> socket.socket:
    """A listening socket, or one line that says why not."""
    host, port = or_exit(prog, lambda: serving.parse_address(address))
    try:
        return serving.listen(host, port)
    except OSError as error:
        _exit(f"{prog}: cannot listen on {address}: {os.strerror(error.errno) if error.errno else error}")


def _exit(message: str) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(EXIT_USAGE)


def log_to_stderr() -> None:
    """One line each: time in UTC, level, what happened."""
    logging.Formatter.converter = time.gmtime
    logging.basicConfig(
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%SZ",
        stream=sys.stderr,
    )


def in_background(work: Callable[[], None], name: str) -> None:
    """Run for ever in a thread that does not keep the process alive."""
    threading.Thread(target=work, name=name, daemon=True).start()
