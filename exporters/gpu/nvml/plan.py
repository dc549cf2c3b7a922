"""The catalogue's metrics as queries: every distinct call, field value and GPM metric is asked for once per sample."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from exporters.gpu.catalogue import Call, CallPart, CatalogueError, FieldValue, Gpm, Metric, Value
from exporters.gpu.nvml.resolve import constant, resolve_call

FieldKey = tuple[int, int]
"""Field and scope."""

NEW_FIELDS_DRIVER = 580
"""Before it the numbers of the newest fields meant something else (CUDA 12.9's nvml.h against 13's)."""
_NEW_THROTTLE_FIELDS = {
    "sw_thermal": "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN",
    "hw_thermal": "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN",
    "hw_power_brake": "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN",
}
# Time for which the clocks were held, in ns, by the reason's name in nvml.h.
THROTTLE_FIELDS = {
    "power": "NVML_FI_DEV_PERF_POLICY_POWER",
    "thermal": "NVML_FI_DEV_PERF_POLICY_THERMAL",
    "sync_boost": "NVML_FI_DEV_PERF_POLICY_SYNC_BOOST",
    "board_limit": "NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT",
    "low_utilization": "NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION",
    "reliability": "NVML_FI_DEV_PERF_POLICY_RELIABILITY",
    **_NEW_THROTTLE_FIELDS,
}


_BLANK = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
"""All bits set: NVML's way to say that there is no value."""


@dataclass
class Answers:
    """What one sample brought; what the GPU does not have is left out."""

    calls: dict[int, Any] = field(default_factory=dict)
    """By the number that the plan gives a call."""
    fields: dict[FieldKey, float] = field(default_factory=dict)
    gpm: dict[int, float] = field(default_factory=dict)
    time: float = field(default_factory=time.monotonic)


Sum = Callable[[Answers], float | None]
"""Of the terms of a value; None where the GPU lacks one."""

Way = tuple[Value, Sum, Sum]
"""A way to a value: its terms, and those that it is divided by."""


class Plan:
    """What has to be asked for some metrics, and how the answers become their values."""

    def __init__(self, metrics: Sequence[Metric], *, throttling: bool = False) -> None:
        """Raises CatalogueError for a function or constant that nvidia-ml-py does not have."""
        self.calls: list[tuple[int, Callable[..., Any], list[Any]]] = []
        """Number, function and arguments of each."""
        self._numbers: dict[Call, int] = {}
        self.spare: dict[int, list[Sum]] = {}
        """Calls that are no metric's first way, and the first ways of the metrics that may need them."""
        self.fields: list[FieldKey] = []
        self.unsigned: set[FieldKey] = set()
        self.gpm: list[int] = []
        self.metrics: list[tuple[Metric, list[Way], Callable[[Answers], Any] | None]] = []
        """Each metric's ways, and what finds the reading of one that is a single term."""
        self.throttle_fields: dict[str, FieldKey] = {}
        for metric in metrics:
            if metric.type == "label" or metric.heard:
                continue  # read with the inventory, and heard of by events
            try:
                ways = [
                    (value, self._sum(value.terms, metric), self._sum(value.over, metric)) for value in metric.values
                ]
                first = metric.values[0]
                plain = len(first.terms) == 1 and not first.rate and not first.over
                single = self._term(first.terms[0], metric) if plain else None
            except CatalogueError as error:
                raise CatalogueError(f"{metric.where}: {error}") from None
            self.metrics.append((metric, ways, single))
        self._find_spare()
        if throttling:
            for reason, name in THROTTLE_FIELDS.items():
                self.throttle_fields[reason] = self._field((constant(name, "field"), 0))

    def _find_spare(self) -> None:
        first: set[int] = set()
        for metric, ways, _ in self.metrics:
            for way, value in enumerate(metric.values):
                calls = [term.call for term in (*value.terms, *value.over) if isinstance(term, CallPart)]
                for number in {self._numbers[call] for call in calls}:
                    if way:
                        self.spare.setdefault(number, []).append(ways[0][1])
                    else:
                        first.add(number)
        for number in first & set(self.spare):
            del self.spare[number]

    def unneeded(self, answers: Answers) -> set[int]:
        """Calls that are there for what a GPU lacks, and that this one has."""
        return {number for number, others in self.spare.items() if all(other(answers) is not None for other in others)}

    def _sum(self, terms: Sequence[object], metric: Metric) -> Sum:
        parts = [self._term(term, metric) for term in terms]

        def total(answers: Answers) -> float | None:
            found: float = 0
            for part in parts:
                value = part(answers)
                if not isinstance(value, (int, float)) or value in _BLANK:
                    return None
                found += value
            return found

        return total

    def _term(self, term: object, metric: Metric) -> Callable[[Answers], Any]:
        if isinstance(term, CallPart):
            number = self._numbers.setdefault(term.call, len(self._numbers))
            if number == len(self.calls):
                self.calls.append((number, *resolve_call(term.call)))
            return _call_part(number, term.part)
        if isinstance(term, FieldValue):
            key = self._field((constant(term.field, "field"), term.scope))
            if metric.unsigned:
                self.unsigned.add(key)
            return lambda answers: answers.fields.get(key)
        assert isinstance(term, Gpm)
        number = constant(term.metric, "gpm")
        if number not in self.gpm:
            self.gpm.append(number)
        return lambda answers: answers.gpm.get(number)

    def _field(self, key: FieldKey) -> FieldKey:
        if key not in self.fields:
            self.fields.append(key)
        return key


def _call_part(call: int, part: str | int | None) -> Callable[[Answers], Any]:
    if part is None:
        return lambda answers: answers.calls.get(call)

    def found(answers: Answers) -> Any:
        answer: Any = answers.calls.get(call)
        try:
            return answer[part] if isinstance(part, int) else getattr(answer, part)
        except (AttributeError, IndexError, TypeError):
            return None  # there is no answer, or this driver's has no such part

    return found


class _Slot:
    """A metric of one GPU, its last reading and what that was printed as."""

    __slots__ = ("alone", "counts", "metric", "raw", "single", "text", "ways")

    def __init__(self, metric: Metric, ways: Sequence[Way], single: Callable[[Answers], Any] | None) -> None:
        self.metric = metric
        self.ways = ways
        self.single = single
        self.alone = len(ways) == 1
        # DCGM types some rates as counters; they may fall.
        self.counts = metric.type == "counter" and not any(value.rate for value, _, _ in ways)
        self.raw: Any = None
        self.text: str | None = None


class Values:
    """Turns the samples of one GPU or instance into printed values; remembers what rates and counters were."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._slots = [_Slot(*entry) for entry in plan.metrics]
        self._rates: dict[tuple[str, int], tuple[float, float]] = {}
        self._counters: dict[str, float] = {}
        self._fallen: dict[str, float] = {}

    def printed(self, answers: Answers) -> Mapping[str, str]:
        """Printed values by metric name."""
        found: dict[str, str] = {}
        for slot in self._slots:
            if slot.single is not None:
                raw = slot.single(answers)
                if raw is None and slot.alone:
                    continue
                # Most readings are what they were a second ago. Without one, another way may have a new one.
                if raw is None or slot.text is None or raw != slot.raw:
                    slot.raw = raw
                    slot.text = self._text(slot, answers)
            else:
                slot.text = self._text(slot, answers)
            if slot.text is not None:
                found[slot.metric.name] = slot.text
        return found

    def _text(self, slot: _Slot, answers: Answers) -> str | None:
        raw = self._first(slot.metric, slot.ways, answers)
        if raw is None or (slot.counts and not self._goes_on(slot.metric.name, raw)):
            return None
        return slot.metric.format(raw)

    def throttled(self, answers: Answers, driver_version: str) -> Mapping[str, int]:
        """Nanoseconds by reason."""
        major = driver_version.partition(".")[0]
        old = not major.isdigit() or int(major) < NEW_FIELDS_DRIVER
        return {
            reason: int(answers.fields[key])
            for reason, key in self._plan.throttle_fields.items()
            if answers.fields.get(key, -1) >= 0
            and not (old and reason in _NEW_THROTTLE_FIELDS)
            and self._goes_on(f"throttled by {reason}", answers.fields[key])
        }

    def _first(self, metric: Metric, ways: Sequence[Way], answers: Answers) -> float | None:
        for number, (value, terms, over) in enumerate(ways):
            total = terms(answers)
            if total is None:
                continue
            if value.rate:
                rate = self._rate((metric.name, number), total, answers.time)
                return None if rate is None else rate * value.scale
            if value.over:
                whole = over(answers)
                return total / whole * value.scale if whole else None
            # Exact where it can be: a count of bytes divided by 2**20 is rounded down, not to the nearest double.
            return total if value.scale == 1.0 else total * value.scale
        return None

    def _rate(self, key: tuple[str, int], total: float, now: float) -> float | None:
        before = self._rates.get(key)
        self._rates[key] = (total, now)
        if before is None or now <= before[1] or total < before[0]:
            return None
        return (total - before[0]) / (now - before[1])

    def _goes_on(self, name: str, raw: float) -> bool:
        """Whether a counter may be shown: one that falls is an error once, and a new beginning the second time."""
        if raw >= self._counters.get(name, 0.0) or (name in self._fallen and raw >= self._fallen[name]):
            self._fallen.pop(name, None)
            self._counters[name] = raw
            return True
        self._fallen[name] = raw
        return False
