"""A process that loads the fake NVML as its users do: nvidia-ml-py through the dynamic loader."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# Evaluates the expressions that come line by line with nvidia-ml-py's names; spawn() does so in another thread.
DRIVER = """
import json, sys, threading, time
import pynvml

names = dict(vars(pynvml))

def evaluate(expression):
    started = time.monotonic()
    try:
        answer = {"value": eval(expression, names)}
    except pynvml.NVMLError as error:
        answer = {"error": type(error).__name__, "text": str(error)}
    return {**answer, "seconds": time.monotonic() - started}

finished = {}

def spawn(name, expression):
    threading.Thread(target=lambda: finished.update({name: evaluate(expression)}), daemon=True).start()

names.update(spawn=spawn, finished=finished)
for line in sys.stdin:
    print(json.dumps(evaluate(line.strip())), flush=True)
"""


class Client:
    """A process that uses nvidia-ml-py."""

    def __init__(self, library: Path, state: Path) -> None:
        self.library = library
        self._process = subprocess.Popen(
            [sys.executable, "-c", DRIVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML_STATE": str(state)},
            text=True,
        )

    def ask(self, expression: str) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def value(self, expression: str) -> Any:
        answer = self.ask(expression)
        assert "value" in answer, answer
        return answer["value"]

    def error(self, expression: str) -> str:
        answer = self.ask(expression)
        assert "error" in answer, answer
        name: str = answer["error"]
        return name

    def finished(self, name: str, within_s: float) -> dict[str, Any] | None:
        """What a spawned expression gave, None when it goes on for longer."""
        deadline = time.monotonic() + within_s
        while True:
            answer: dict[str, Any] | None = self.value(f"finished.get({name!r})")
            if answer or time.monotonic() > deadline:
                return answer
            time.sleep(0.01)

    def start(self, gpus: int) -> None:
        """Initialise and name the handles gpu0, gpu1 ..."""
        self.value("nvmlInit()")
        for index in range(gpus):
            self.value(f"bool(gpu{index} := nvmlDeviceGetHandleByIndex({index}))")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()
