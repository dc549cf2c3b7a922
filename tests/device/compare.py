"""nvidia-smi's readings against the exporter's pages of just before and just after. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass

NONE = re.compile(r"\[?(N/A|Not Supported|Not Found|Unknown Error|Requested functionality has been deprecated)\]?|")
LINE = re.compile(r'(\w+)\{[^}]*\bUUID="([^"]*)"([^}]*)\} (\S+)')

Readings = Mapping[str, Mapping[str, float | None]]
"""UUID -> name -> value; None where there is none."""


@dataclass(frozen=True)
class Field:
    """One reading that both give."""

    query: str
    """Of nvidia-smi --query-gpu."""
    metric: str
    slack: float = 0.0
    """That it may differ beyond the two pages' range."""
    part: float = 0.0
    """The same, as a part of the value."""


FIELDS = (
    Field("temperature.gpu", "DCGM_FI_DEV_GPU_TEMP", slack=2),
    Field("temperature.memory", "DCGM_FI_DEV_MEMORY_TEMP", slack=2),
    Field("power.draw", "DCGM_FI_DEV_POWER_USAGE", slack=10, part=0.15),
    Field("enforced.power.limit", "DCGM_FI_DEV_ENFORCED_POWER_LIMIT", slack=0.01),
    Field("power.limit", "DCGM_FI_DEV_POWER_MGMT_LIMIT", slack=0.01),
    Field("power.max_limit", "DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX", slack=0.01),
    Field("clocks.sm", "DCGM_FI_DEV_SM_CLOCK", slack=60, part=0.05),
    Field("clocks.mem", "DCGM_FI_DEV_MEM_CLOCK", slack=30),
    Field("clocks.max.sm", "DCGM_FI_DEV_MAX_SM_CLOCK"),
    Field("clocks.max.mem", "DCGM_FI_DEV_MAX_MEM_CLOCK"),
    Field("utilization.gpu", "DCGM_FI_DEV_GPU_UTIL", slack=15),
    Field("utilization.memory", "DCGM_FI_DEV_MEM_COPY_UTIL", slack=15),
    Field("memory.total", "DCGM_FI_DEV_FB_TOTAL", slack=1),
    Field("memory.reserved", "DCGM_FI_DEV_FB_RESERVED", slack=8),
    Field("memory.used", "DCGM_FI_DEV_FB_USED", slack=64),
    Field("memory.free", "DCGM_FI_DEV_FB_FREE", slack=64),
    Field("fan.speed", "DCGM_FI_DEV_FAN_SPEED", slack=5),
    Field("pstate", "DCGM_FI_DEV_PSTATE"),
    Field("pcie.link.gen.current", "DCGM_FI_DEV_PCIE_LINK_GEN"),
    Field("pcie.link.width.current", "DCGM_FI_DEV_PCIE_LINK_WIDTH"),
    Field("pcie.link.width.max", "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH"),
    Field("ecc.errors.corrected.volatile.total", "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"),
    Field("ecc.errors.uncorrected.volatile.total", "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL"),
)
QUERY = ",".join(("uuid", *(field.query for field in FIELDS)))


def of_nvidia_smi(text: str) -> Readings:
    """Of `nvidia-smi --query-gpu=QUERY --format=csv,noheader,nounits`; raises ValueError."""
    found: dict[str, dict[str, float | None]] = {}
    for row in csv.reader(text.splitlines(), skipinitialspace=True):
        if len(row) != len(FIELDS) + 1:
            raise ValueError(f"nvidia-smi says {row}")
        uuid, *values = row
        found[uuid] = {field.query: _number(value) for field, value in zip(FIELDS, values, strict=True)}
    return found


def of_page(text: str) -> Readings:
    """Whole GPUs' DCGM metrics of an exposition."""
    found: dict[str, dict[str, float | None]] = {}
    for line in text.splitlines():
        matched = LINE.fullmatch(line)
        if matched and line.startswith("DCGM_") and "GPU_I_ID=" not in matched[3]:
            found.setdefault(matched[2], {})[matched[1]] = float(matched[4])
    return found


def differences(before: Readings, smi: Readings, after: Readings) -> dict[str, str]:
    """What is wrong, by `UUID metric`. A reading must lie between the two pages', give or take its slack."""
    found = {}
    for uuid in sorted({*before, *smi, *after}):
        if uuid not in smi or uuid not in before or uuid not in after:
            found[uuid] = "the exporter does not show it" if uuid in smi else "nvidia-smi does not show it"
            continue
        for field in FIELDS:
            wanted = smi[uuid][field.query]
            shown = [one for one in (page[uuid].get(field.metric) for page in (before, after)) if one is not None]
            if wanted is None and not shown:
                continue
            name = f"{uuid} {field.metric}"
            if wanted is None:
                found[name] = f"shown as {shown[-1]:g}, nvidia-smi has no {field.query}"
            elif not shown:
                found[name] = f"absent, nvidia-smi's {field.query} is {wanted:g}"
            else:
                slack = field.slack + field.part * abs(wanted)
                # The exporter rounds down to whole numbers.
                if not min(shown) - slack <= wanted < max(shown) + slack + 1:
                    found[name] = f"{shown[0]:g} before and {shown[-1]:g} after, nvidia-smi says {wanted:g}"
    return found


def _number(text: str) -> float | None:
    return None if NONE.fullmatch(text) else float(text.removeprefix("P"))
