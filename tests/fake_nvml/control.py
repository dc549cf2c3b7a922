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
driver_version nvml_version cuda_version init_error init_latency_ms init_hang error latency_ms latency_us hang
not_supported realistic generation driver_gone
"""
_GPU = """
model name uuid pci_bus_id serial minor brand vbios_version architecture compute_capability cores memory_bus_width
pci_device_id pci_subsystem_id cpu_affinity
missing error latency_ms latency_us hang not_supported xid xid_seq xid_gi xid_ci event_types processes
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
violation_sw_thermal_ns violation_hw_thermal_ns violation_hw_power_brake_ns recovery_action
inforom_image inforom_oem inforom_ecc inforom_power p2p_status
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
mig_mode mig_pending max_mig_devices mig mig_profiles
gpm_supported gpm_streaming gpm_min_interval_ms gpm_too_close
"""
_GPM = """
gpm_graphics_util gpm_sm_util gpm_sm_occupancy gpm_integer_util gpm_any_tensor_util gpm_dfma_tensor_util
gpm_hmma_tensor_util gpm_imma_tensor_util gpm_dram_bw_util gpm_fp64_util gpm_fp32_util gpm_fp16_util
gpm_pcie_tx_per_sec gpm_pcie_rx_per_sec gpm_nvdec_util gpm_nvjpg_util gpm_nvofa_util
gpm_nvlink_total_rx_per_sec gpm_nvlink_total_tx_per_sec gpm_nvlink_rx_per_sec gpm_nvlink_tx_per_sec
"""
GLOBAL_KEYS = frozenset(_MACHINE.split())
GPM_KEYS = frozenset(_GPM.split())
GPU_KEYS = frozenset(_GPU.split()) | GPM_KEYS
_OF_INSTANCE = GPM_KEYS | {"error", "memory_used", "memory_reserved", "processes"}
_OF_ONE_FUNCTION = re.compile(r"(error|latency_ms|latency_us|hang)\.nvml\w+")
_OF_ONE_PROCESS = re.compile(r"process_name\.\d+")
_OF_ONE_FIELD = re.compile(r"field\.\d+(\.type)?|(field_error|field_latency_us|gpm|gpm_error)\.\d+")
_OF_ONE_PART = re.compile(r"(nvlink_\w+|fan_speed|gpm_nv(?:dec|jpg|ofa)_util|gpm_nvlink_[rt]x_per_sec)\.\d+")
_OF_ONE_INSTANCE = re.compile(r"mig\.\d+\.(.+)")
_MIG = re.compile(r"\d+:(\d+c\.)?\d+g\.[^:\s]+:\d+(:\d+)?")

# The library looks at the file on the first call after so long (LOOK_EVERY_US in state.c).
_SEEN_AFTER_S = 0.002


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

    def remove(self) -> None:
        """No file, no GPU."""
        self.path.unlink()
        time.sleep(_SEEN_AFTER_S)

    def raise_xid(self, gpu_index: int, code: int) -> None:
        """One more XID: those that wait for events of this GPU get it, also when the code is the same again."""
        _, gpus = self._load()
        before = gpus[gpu_index]
        codes = [*before.get("xid", "").split(","), str(code)][-32:]
        self.update(gpu_index, xid=",".join(filter(None, codes)), xid_seq=int(before.get("xid_seq", "0")) + 1)

    def reload_driver(self) -> None:
        """All handles go stale: calls return UNINITIALIZED until the process has shut NVML down and initialised it."""
        settings, _ = self._load()
        self.update_machine(generation=int(settings.get("generation", "0")) + 1, driver_gone=None)

    def reorder(self, order: Sequence[int]) -> None:
        """Another index order of the same GPUs: each keeps the identity that came from its place."""
        settings, gpus = self._load()
        for place, gpu in enumerate(gpus):
            gpu.setdefault("uuid", f"GPU-fa4e0000-0000-4000-8000-{place:012x}")
            gpu.setdefault("pci_bus_id", f"00000000:{(0x1A + 0x0B * place) & 0xFF:02X}:00.0")
            gpu.setdefault("serial", str(1650000001 + place))
            gpu.setdefault("minor", str(place))
        self._save(settings, [gpus[index] for index in order])

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
        time.sleep(_SEEN_AFTER_S)  # from here on no call goes by the old file


def _change(section: dict[str, str], values: Changes, known: frozenset[str]) -> None:
    for key, value in values.items():
        section.pop(key, None)
        section.update({} if value is None else _checked({key: value}, known))


def _checked(values: Mapping[str, Value], known: frozenset[str]) -> dict[str, str]:
    texts = {}
    for key, value in values.items():
        if not _is_key(key, known):
            raise ValueError(f"the fake NVML has no key {key!r}")
        text = str(int(value)) if isinstance(value, bool) else str(value)
        if "\n" in text:
            raise ValueError(f"the value of {key!r} has several lines")
        if key == "mig" and not all(_MIG.fullmatch(one) for one in re.split("[,; ]+", text) if one):
            raise ValueError(f"mig={text!r} is no list of slot:profile:instance[:instance]")
        texts[key] = text
    return texts


def _is_key(key: str, known: frozenset[str]) -> bool:
    if key in known or _OF_ONE_FUNCTION.fullmatch(key):
        return True
    if known is GLOBAL_KEYS:
        return bool(_OF_ONE_PROCESS.fullmatch(key))
    instance = _OF_ONE_INSTANCE.fullmatch(key)
    if instance and known is GPU_KEYS:
        return _is_key(instance[1], _OF_INSTANCE)
    part = _OF_ONE_PART.fullmatch(key)
    return bool(part and part[1] in known) or bool(_OF_ONE_FIELD.fullmatch(key))
