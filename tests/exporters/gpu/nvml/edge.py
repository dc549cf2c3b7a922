"""A process that reads simulated GPUs through the edge (Driver, Sampler, readers), told line by line what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from tests.fake_nvml.control import FakeNvml

ROOT = Path(__file__).resolve().parents[4]
DEADLINE_S = 30.0
CHILD = """
import dataclasses, json, sys
from exporters.gpu.catalogue import load
from exporters.gpu.nvml import reader
from exporters.gpu.nvml.driver import Driver
assert reader.MIG_LOOK_S and reader.RETRY_S
reader.MIG_LOOK_S = 0.0

class Told:
    def open(self, catalogue, processes, deadline, retry):
        reader.RETRY_S = retry
        metrics = load(catalogue, "test")
        self.driver = Driver(metrics, deadline=deadline)
        self.sampler = reader.Sampler(metrics, processes=processes)
        self.readers = {}

    def inventory(self):
        return dataclasses.asdict(self.driver.inventory())

    def sample(self, uuid):
        if uuid not in self.readers:
            self.readers[uuid] = self.sampler.reader(self.driver, uuid)
        return dataclasses.asdict(self.readers[uuid]())

    def close(self, uuid):
        self.readers.pop(uuid).close()

told = Told()
for line in sys.stdin:
    name, arguments = json.loads(line)
    try:
        answer = {"value": getattr(told, name)(*arguments)}
    except Exception as error:
        answer = {"error": str(error), "type": type(error).__name__}
    print(json.dumps(answer), flush=True)
"""


class Edge:
    """The GPUs (`gpus`) and what is read of them."""

    def __init__(self, library: Path, state: Path) -> None:
        assert library.exists(), "build it: make build/fake_nvml/libnvidia-ml.so.1"
        self.gpus = FakeNvml(state)
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "LD_LIBRARY_PATH": str(library.parent),
                "FAKE_NVML_STATE": str(state),
            },
            text=True,
        )
        self.open()

    def open(
        self,
        *,
        processes: bool = False,
        deadline: float = 10.0,
        retry: float = 60.0,
        kind: str = "gauge",
        **values: str,
    ) -> None:
        """Begin with a catalogue of these metrics: name=value."""
        values = values or {"temperature": "nvmlDeviceGetTemperature(0)"}
        entries: list[dict[str, Any]] = [
            {"name": name, "type": kind, "help": "A.", "value": text} for name, text in values.items()
        ]
        for entry in entries:
            if str(entry["name"]).startswith("mig_"):
                entry["mig"] = True
            if str(entry["name"]).startswith("unsigned_"):
                entry["read"] = "unsigned"
        self._ask("open", yaml.safe_dump({"metrics": entries}), processes, deadline, retry)

    def inventory(self) -> dict[str, Any]:
        """An Inventory."""
        found: dict[str, Any] = self.answer("inventory")
        return found

    def sample(self, gpu: int = 0) -> dict[str, Any]:
        """A GpuSample."""
        found: dict[str, Any] = self.answer("sample", self.uuid(gpu))
        return found

    def values(self, gpu: int = 0) -> dict[str, str]:
        """Of one GPU."""
        found: dict[str, str] = self.sample(gpu)["values"]
        return found

    def uuid(self, gpu: int) -> str:
        """What the fake gives it by default; asks for the inventory the first time."""
        if self.inventories == 0:
            self.inventory()
        return f"GPU-fa4e0000-0000-4000-8000-{gpu:012x}"

    inventories = 0

    def answer(self, name: str, *arguments: Any) -> Any:
        """What it returns."""
        told = self._ask(name, *arguments)
        assert "value" in told, told
        return told["value"]

    def error(self, name: str, *arguments: Any) -> str:
        """The NvmlError that it raises."""
        told = self._ask(name, *arguments)
        assert told.get("type") == "NvmlError", told
        text: str = told["error"]
        return text

    def until(self, what: str, name: str, *arguments: Any, has: Any) -> dict[str, Any]:
        """Ask until has(answer)."""
        end = time.monotonic() + DEADLINE_S
        while True:
            told = self._ask(name, *arguments)
            if "value" in told and has(told["value"]):
                found: dict[str, Any] = told["value"]
                return found
            assert time.monotonic() < end, f"{what}: {told}"

    def end(self) -> None:
        """Also where a call hangs."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        self.inventories += name == "inventory"
        if name == "open":
            self.inventories = 0
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
