"""XID events of all GPUs, in a thread of their own: NVML tells of them once, as they happen."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pynvml

from exporters.gpu.nvml.calls import ABSENT, Calls
from exporters.gpu.nvml.driver import Driver
from exporters.gpu.sample import Inventory, XidEvents

WAIT_MS = 2500
"""An event ends a wait at once, a change of GPUs does not. Shorter than HUNG_S: a wait is no hang."""
HUNG_S = 5.0
PAUSE_S = 5.0
LOST_PAUSE_S = 0.5

log = logging.getLogger(__name__)


class Listener:
    """Listens for ever; what it has heard can be asked for at any time."""

    def __init__(self, driver: Driver) -> None:
        self.calls = Calls()
        self._error = "not listening yet"
        self._driver = driver
        self._lock = threading.Lock()
        self._wanted: Inventory = Inventory()
        self._heard: dict[str, XidEvents] = {}

    @property
    def error(self) -> str:
        """Why no events are heard of; empty where they are."""
        return self.calls.hung(HUNG_S) or self._error

    def follow(self, inventory: Inventory) -> None:
        """Listen to these GPUs."""
        self._wanted = inventory

    def heard(self, uuid: str) -> XidEvents | None:
        """The events of one GPU; None where they cannot be listened to."""
        with self._lock:
            return self._heard.get(uuid)

    def run(self) -> None:
        """For ever; should a bug end it, it says so instead of being silent about events for good."""
        try:
            self._run()
        finally:
            self._error = "the listener has ended: its log says why"

    def _run(self) -> None:
        while True:
            inventory, generation = self._wanted, self._driver.generation
            if not inventory.gpus or self._driver.lost:
                self._error = "there is no GPU to listen to"
                time.sleep(PAUSE_S / 5)
                continue
            began = time.monotonic()
            try:
                self._listen(inventory, generation)
            except pynvml.NVMLError as error:
                if str(error) != self._error:
                    log.warning("XID events: %s", error)
                self._error = str(error)
                # A lost GPU ends every wait. Without it the others are listened to again at once, to miss no event.
                lost = error.value == pynvml.NVML_ERROR_GPU_IS_LOST
                if not (lost and time.monotonic() - began > LOST_PAUSE_S):
                    time.sleep(LOST_PAUSE_S if lost else PAUSE_S)

    def _listen(self, inventory: Inventory, generation: int) -> None:
        """Until the GPUs or the driver change; raises NVMLError."""
        events = self.calls(pynvml.nvmlEventSetCreate)
        try:
            names = self._register(events, inventory)
            self._error = "" if names else "no GPU here tells of XID events"
            while inventory is self._wanted and generation == self._driver.generation and not self._driver.lost:
                try:
                    event = self.calls(pynvml.nvmlEventSetWait_v2, events, WAIT_MS)
                except pynvml.NVMLError as error:
                    if error.value != pynvml.NVML_ERROR_TIMEOUT:
                        raise
                    continue
                if event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                    self._note(names, event)
        finally:
            if generation == self._driver.generation and not self._driver.lost:
                self.calls(pynvml.nvmlEventSetFree, events)

    def _register(self, events: Any, inventory: Inventory) -> dict[str, str]:
        """PCI bus id -> UUID of the GPUs that can be listened to."""
        names = {}
        for identity in inventory.gpus:
            try:
                handle = self.calls(pynvml.nvmlDeviceGetHandleByUUID, identity.uuid)
                kind = pynvml.nvmlEventTypeXidCriticalError
                self.calls(pynvml.nvmlDeviceRegisterEvents, handle, kind, events)
            except pynvml.NVMLError as error:
                if error.value not in ABSENT and error.value != pynvml.NVML_ERROR_GPU_IS_LOST:
                    raise
                continue
            names[identity.pci_bus_id] = identity.uuid
            with self._lock:
                self._heard.setdefault(identity.uuid, XidEvents())
        return names

    def _note(self, names: dict[str, str], event: Any) -> None:
        try:
            bus_id = self.calls(pynvml.nvmlDeviceGetPciInfo, event.device).busId
        except pynvml.NVMLError:
            return
        uuid, code = names.get(bus_id), int(event.eventData)
        if uuid is None:
            return
        log.warning("GPU %s (%s): XID %d", bus_id, uuid, code)
        with self._lock:
            before = self._heard[uuid]
            self._heard[uuid] = XidEvents(
                code,
                {**before.counts, code: before.counts.get(code, 0) + 1},
                {**before.times, code: time.time()},
            )
