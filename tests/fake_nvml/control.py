"""Write the state file of the fake NVML: atomically, and only keys that the library knows."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float
Changes = Mapping[str, Value | None]

_MACHINE = """
driver_version nvml_version cuda_version init_error init_latency_ms init_hang error latency_ms hang not_supported
"""
_GPU = """
model name uuid pci_bus_id serial minor brand vbios_version architecture compute_capability cores memory_bus_width
pci_device_id pci_subsystem_id cpu_affinity
missing error latency_ms hang not_supported xid xid_seq event_types processes
temperature memory_temperature margin_temperature
shutdown_temperature slowdown_temperature gpu_max_temperature memory_max_temperature
tlimit_shutdown tlimit_slowdown tlimit_memory_max tlimit_gpu_max
power_mw power_average_mw power_instant_mw power_limit_mw enforced_power_limit_mw requested_power_limit_mw
power_default_limit_mw power_min_limit_mw power_max_limit_mw power_management_mode energy_mj
graphics_clock sm_clock mem_clock video_clock max_graphics_clock max_sm_clock max_mem_clock max_video_clock
app_graphics_clock app_sm_clock app_mem_clock app_video_clock min_graphics_clock supported_memory_clocks
clocks_event_reasons supported_clocks_event_reasons pstate compute_mode persistence_mode fan_speed fans
violation_power_ns violation_thermal_ns violation_sync_boost_ns violation_board_limit_ns
violation_low_utilization_ns violation_reliability_ns violation_app_clocks_ns violation_base_clocks_ns
utilization_gpu utilization_memory utilization_encoder utilization_decoder utilization_jpg utilization_ofa
memory_total memory_used memory_free memory_reserved bar1_total bar1_used bar1_free
pcie_link_gen pcie_link_gen_max pcie_link_width pcie_link_width_max pcie_replay_counter pcie_replay_rollover
pcie_tx_kbps pcie_rx_kbps pcie_tx_bytes pcie_rx_bytes pcie_l0_to_recovery pcie_correctable_errors
pcie_naks_received pcie_receiver_errors pcie_bad_tlp pcie_naks_sent pcie_bad_dllp pcie_non_fatal_errors
pcie_fatal_errors pcie_unsupported_requests pcie_lcrc_errors
ecc_mode ecc_pending ecc_volatile_sbe ecc_volatile_dbe ecc_aggregate_sbe ecc_aggregate_dbe
ecc_volatile_sbe_sram ecc_volatile_dbe_sram ecc_aggregate_sbe_sram ecc_aggregate_dbe_sram
retired_sbe retired_dbe retired_pending
remapped_correctable remapped_uncorrectable remap_pending remap_failure remap_banks
nvlink_count nvlink_state nvlink_version nvlink_speed_mbps nvlink_switch nvlink_remote_pci_bus_id
nvlink_crc_flit_errors nvlink_crc_data_errors nvlink_replay_errors nvlink_recovery_errors nvlink_ecc_errors
nvlink_data_tx_kib nvlink_data_rx_kib nvlink_raw_tx_kib nvlink_raw_rx_kib
mig_mode mig_pending max_mig_devices
"""
GLOBAL_KEYS = frozenset(_MACHINE.split())
GPU_KEYS = frozenset(_GPU.split())
_OF_ONE_FUNCTION = re.compile(r"(error|latency_ms|hang)\.nvml\w+")
_OF_ONE_PART = re.compile(r"(nvlink_\w+|fan_speed)\.\d+")


class FakeNvml:
    """The GPUs that processes see which load the fake library with FAKE_NVML_STATE set to this path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, gpus: Sequence[Mapping[str, Value]] = (), **settings: Value) -> None:
        """Describe the whole machine anew: each GPU as a mapping of keys, all else by name."""
        self._save(_checked(settings, GLOBAL_KEYS), [_checked(gpu, GPU_KEYS) for gpu in gpus])

    def update(self, gpu_index: int, **values: Value | None) -> None:
        """Change some keys of one GPU (counted as in the file); None goes back to what its model says."""
        settings, gpus = self._load()
        _change(gpus[gpu_index], values, GPU_KEYS)
        self._save(settings, gpus)

    def update_machine(self, **values: Value | None) -> None:
        """Change some keys that belong to no GPU; None goes back to the default."""
        settings, gpus = self._load()
        _change(settings, values, GLOBAL_KEYS)
        self._save(settings, gpus)

    def _load(self) -> tuple[dict[str, str], list[dict[str, str]]]:
        settings: dict[str, str] = {}
        gpus: list[dict[str, str]] = []
        section = settings
        for line in self.path.read_text().splitlines():
            if line.strip() == "[gpu]":
                section = {}
                gpus.append(section)
            elif "=" in line and not line.lstrip().startswith(("#", ";")):
                key, value = line.split("=", 1)
                section[key.strip()] = value.strip()
        return settings, gpus

    def _save(self, settings: Mapping[str, str], gpus: Sequence[Mapping[str, str]]) -> None:
        lines = [f"{key}={value}" for key, value in settings.items()]
        for gpu in gpus:
            lines += ["", "[gpu]", *(f"{key}={value}" for key, value in gpu.items())]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with open(handle, "w") as file:
                file.write("\n".join(lines) + "\n")
            Path(temporary).chmod(0o644)
            # The kernel's own stamp is coarse: two changes in one tick could look the same to the library.
            now = time.time_ns()
            os.utime(temporary, ns=(now, now))
            Path(temporary).replace(self.path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _change(section: dict[str, str], values: Changes, known: frozenset[str]) -> None:
    for key, value in values.items():
        section.pop(key, None)
        section.update({} if value is None else _checked({key: value}, known))


def _checked(values: Mapping[str, Value], known: frozenset[str]) -> dict[str, str]:
    texts = {}
    for key, value in values.items():
        if key not in known and not _OF_ONE_FUNCTION.fullmatch(key):
            part = _OF_ONE_PART.fullmatch(key)
            if not part or part[1] not in known:
                raise ValueError(f"the fake NVML has no key {key!r}")
        text = str(int(value)) if isinstance(value, bool) else str(value)
        if "\n" in text:
            raise ValueError(f"the value of {key!r} has several lines")
        texts[key] = text
    return texts
