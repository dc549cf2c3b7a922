"""XID events of all GPUs, in a thread of their own: NVML tells of them once, as they happen."""

from __future__ import annotations

import ctypes
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import pynvml

from exporters.gpu.nvml.calls import DRIVER_GONE, UNSUPPORTED, Calls
from exporters.gpu.nvml.driver import Driver
from exporters.gpu.sample import Identity, Inventory, XidEvents

WAIT_MS = 2500
"""An event ends a wait at once, a change of GPUs does not. Shorter than HUNG_S: a wait is no hang."""
HUNG_S = 5.0
PAUSE_S = 5.0
LOST_PAUSE_S = 0.5

Known = dict[int | str | None, Identity]
"""The GPUs that are listened to, by the address of their handle and by their PCI bus id."""

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
        self._unattributed: dict[int, int] = {}

    @property
    def error(self) -> str:
        """Why events of a GPU, or of all, are not heard of; empty where they are."""
        return self.calls.hung(HUNG_S) or self._error

    def follow(self, inventory: Inventory) -> None:
        """Listen to these GPUs."""
        self._wanted = inventory

    def heard(self, uuid: str) -> XidEvents | None:
        """The events of one GPU; None where they cannot be listened to."""
        with self._lock:
            return self._heard.get(uuid)

    def unattributed(self) -> dict[int, int]:
        """Events by code of which it could not be told whose they were."""
        with self._lock:
            return dict(self._unattributed)

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
                self._tell(str(error))
                # A lost GPU ends every wait. Without it the others are listened to again at once, to miss no event.
                lost = error.value == pynvml.NVML_ERROR_GPU_IS_LOST
                if not (lost and time.monotonic() - began > LOST_PAUSE_S):
                    time.sleep(LOST_PAUSE_S if lost else PAUSE_S)

    def _listen(self, inventory: Inventory, generation: int) -> None:
        """Until the GPUs or the driver change; raises NVMLError."""
        events = self.calls(pynvml.nvmlEventSetCreate)
        known: Known = {}
        left: Iterable[Identity] = inventory.gpus
        due = 0.0
        try:
            while inventory is self._wanted and generation == self._driver.generation and not self._driver.lost:
                if left and time.monotonic() >= due:
                    left = self._register(events, left, known)
                    due = time.monotonic() + PAUSE_S
                try:
                    event = self.calls(pynvml.nvmlEventSetWait_v2, events, WAIT_MS)
                except pynvml.NVMLError as error:
                    if error.value != pynvml.NVML_ERROR_TIMEOUT:
                        raise
                    continue
                if event.eventType == pynvml.nvmlEventTypeXidCriticalError:
                    self._note(known, event)
        finally:
            if generation == self._driver.generation and not self._driver.lost:
                self.calls(pynvml.nvmlEventSetFree, events)

    def _register(self, events: Any, gpus: Iterable[Identity], known: Known) -> list[Identity]:
        """Listen to these GPUs, too, and enter them in known; those that refuse now, and may not later."""
        refusals: dict[Identity, str] = {}
        for identity in gpus:
            try:
                handle = self.calls(pynvml.nvmlDeviceGetHandleByUUID, identity.uuid)
                kind = pynvml.nvmlEventTypeXidCriticalError
                self.calls(pynvml.nvmlDeviceRegisterEvents, handle, kind, events)
            except pynvml.NVMLError as error:
                if error.value in DRIVER_GONE:
                    raise
                if error.value not in UNSUPPORTED:
                    refusals[identity] = f"GPU {identity.index} {identity.uuid}: {error}"
                continue
            known[_address(handle)] = known[identity.pci_bus_id] = identity
            with self._lock:
                self._heard.setdefault(identity.uuid, XidEvents())
        self._tell("; ".join(refusals.values()) or ("" if known else "no GPU here tells of XID events"))
        return list(refusals)

    def _tell(self, error: str) -> None:
        if error and error != self._error:
            log.warning("XID events: %s", error)
        self._error = error

    def _note(self, known: Known, event: Any) -> None:
        code, gpu = int(event.eventData), self._whose(known, event.device)
        if gpu is None:
            log.warning("XID %d: the driver does not tell of which GPU", code)
            with self._lock:
                self._unattributed[code] = self._unattributed.get(code, 0) + 1
            return
        log.warning("GPU %s (%s): XID %d", gpu.pci_bus_id, gpu.uuid, code)
        with self._lock:
            before = self._heard[gpu.uuid]
            self._heard[gpu.uuid] = XidEvents(
                code,
                {**before.counts, code: before.counts.get(code, 0) + 1},
                {**before.times, code: time.time()},
            )

    def _whose(self, known: Known, handle: Any) -> Identity | None:
        """By its handle alone, where it is a known one: a GPU that fell off the bus does not answer any more."""
        if found := known.get(_address(handle)):
            return found
        try:
            return known.get(self.calls(pynvml.nvmlDeviceGetPciInfo, handle).busId)
        except pynvml.NVMLError:
            return None


def _address(handle: Any) -> int | None:
    """What tells a handle from another: the driver gives the same for the same GPU."""
    return ctypes.cast(handle, ctypes.c_void_p).value
