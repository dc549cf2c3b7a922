"""The catalogue's metrics as queries: every distinct call, field value and GPM metric is asked for once per sample."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from operator import ne
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

Ways = tuple[Metric, list[Way]]
"""A metric and its ways to a value: the first that the GPU has is taken."""

_CALL, _PART, _FIELD, _GPM, _COMPOUND = range(5)
"""Kinds of first ways: a whole answer, a part of one, a field value, a GPM metric; or more than a single term."""


class Plan:
    """What has to be asked for some metrics, and how the answers become their values."""

    def __init__(self, metrics: Sequence[Metric], *, throttling: bool = False, longest_rate: float = math.inf) -> None:
        """Raises CatalogueError for a function or constant that nvidia-ml-py does not have.

        longest_rate: seconds over which a rate may be taken. A longer one, after a gap, would be no rate of now.
        """
        self.longest_rate = longest_rate
        self.calls: list[tuple[int, Callable[..., Any], list[Any]]] = []
        """Number, function and arguments of each."""
        self._numbers: dict[Call, int] = {}
        self.spare: dict[int, list[Sum]] = {}
        """Calls that are no metric's first way, and the first ways of the metrics that may need them."""
        self.fields: list[FieldKey] = []
        self.unsigned: set[FieldKey] = set()
        self.gpm: list[int] = []
        self.throttle_fields: dict[str, FieldKey] = {}
        self.names: list[str] = []
        """Of all metrics, in the catalogue's order."""
        kinds: list[list[Ways]] = [[] for _ in range(_COMPOUND + 1)]
        self._keys: list[list[Any]] = [[] for _ in kinds]
        for metric in metrics:
            if metric.type == "label" or metric.heard:
                continue  # read with the inventory, and heard of by events
            try:
                ways = [
                    (value, self._sum(value.terms, metric), self._sum(value.over, metric)) for value in metric.values
                ]
                kind, key = self._first_way(metric)
            except CatalogueError as error:
                raise CatalogueError(f"{metric.where}: {error}") from None
            self.names.append(metric.name)
            kinds[kind].append((metric, ways))
            self._keys[kind].append(key)
        self.compound: list[Ways] = kinds.pop()
        """Those whose first way is more than a single term."""
        self.singles: list[Ways] = [entry for of_kind in kinds for entry in of_kind]
        """The others, in the order of `row`."""
        self._find_spare()
        if throttling:
            for reason, name in THROTTLE_FIELDS.items():
                self.throttle_fields[reason] = self._field((constant(name, "field"), 0))

    def _find_spare(self) -> None:
        first: set[int] = set()
        for metric, ways in (*self.singles, *self.compound):
            for way, value in enumerate(metric.values):
                calls = [term.call for term in (*value.terms, *value.over) if isinstance(term, CallPart)]
                for number in {self._numbers[call] for call in calls}:
                    if way:
                        self.spare.setdefault(number, []).append(ways[0][1])
                    else:
                        first.add(number)
        for number in first & set(self.spare):
            del self.spare[number]

    def _first_way(self, metric: Metric) -> tuple[int, Any]:
        """Its kind, and what finds its reading in the answers of that kind."""
        first = metric.values[0]
        term = first.terms[0]
        if len(first.terms) > 1 or first.rate or first.over:
            return _COMPOUND, None
        if isinstance(term, CallPart):
            return (_CALL, self._numbers[term.call]) if term.part is None else (_PART, self._term(term, metric))
        if isinstance(term, FieldValue):
            return _FIELD, (constant(term.field, "field"), term.scope)
        assert isinstance(term, Gpm)
        return _GPM, constant(term.metric, "gpm")

    def row(self, answers: Answers) -> list[Any]:
        """The readings of all singles; None for what the GPU lacks."""
        # One Python function call for each would cost as much as all that is done with them.
        return [
            *map(answers.calls.get, self._keys[_CALL]),
            *[part(answers) for part in self._keys[_PART]],
            *map(answers.fields.get, self._keys[_FIELD]),
            *map(answers.gpm.get, self._keys[_GPM]),
        ]

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
            # nvidia-ml-py's structures have a way of their own to give text, which no number needs and all pay for.
            return answer[part] if isinstance(part, int) else object.__getattribute__(answer, part)
        except (AttributeError, IndexError, TypeError):
            return None  # there is no answer, or this driver's has no such part

    return found


class _Slot:
    """A metric of one GPU, and its place in the row."""

    __slots__ = ("counts", "metric", "place", "ways")

    def __init__(self, metric: Metric, ways: Sequence[Way], place: int = 0) -> None:
        self.metric = metric
        self.ways = ways
        self.place = place
        # DCGM types some rates as counters; they may fall.
        self.counts = metric.type == "counter" and not any(value.rate for value, _, _ in ways)


_UNSETTLED = object()
"""In a row: the next reading has to be looked at, also one that is the same."""


class Values:
    """Turns the samples of one GPU or instance into printed values; remembers what rates and counters were."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._singles = [_Slot(*entry, place) for place, entry in enumerate(plan.singles)]
        self._compound = [_Slot(*entry) for entry in plan.compound]
        self._row: list[Any] = [_UNSETTLED] * len(self._singles)
        self._texts: dict[str, str | None] = dict.fromkeys(plan.names)
        self._rates: dict[tuple[str, int], tuple[float, float]] = {}
        self._counters: dict[str, float] = {}
        self._fallen: dict[str, float] = {}
        self._throttle_row: list[Any] = []
        self._throttled: dict[str, int] = {}

    def printed(self, answers: Answers) -> Mapping[str, str]:
        """Printed values by metric name."""
        row = self._plan.row(answers)
        # Most readings are what they were a second ago.
        for slot in compress(self._singles, map(ne, row, self._row)):
            by_first_way = self._print(slot, answers)
            if not by_first_way and (row[slot.place] is not None or len(slot.ways) > 1):
                row[slot.place] = _UNSETTLED  # another way may have a new value; a counter that fell may go on
        for slot in self._compound:
            self._print(slot, answers)
        self._row = row
        return {name: text for name, text in self._texts.items() if text is not None}

    def _print(self, slot: _Slot, answers: Answers) -> bool:
        """Whether there is a value that the first way gave."""
        metric = slot.metric
        way, raw = self._first(metric, slot.ways, answers)
        right = raw is not None and (not slot.counts or self._goes_on(metric.name, raw))
        self._texts[metric.name] = metric.format(raw) if right and raw is not None else None
        return way == 0 and self._texts[metric.name] is not None

    def throttled(self, answers: Answers, driver_version: str) -> Mapping[str, int]:
        """Nanoseconds by reason."""
        row = [driver_version, *map(answers.fields.get, self._plan.throttle_fields.values())]
        if row != self._throttle_row or self._fallen:  # what fell may go on
            self._throttle_row = row
            self._throttled = self._throttled_anew(answers, driver_version)
        return self._throttled

    def _throttled_anew(self, answers: Answers, driver_version: str) -> dict[str, int]:
        major = driver_version.partition(".")[0]
        old = not major.isdigit() or int(major) < NEW_FIELDS_DRIVER
        return {
            reason: int(answers.fields[key])
            for reason, key in self._plan.throttle_fields.items()
            if answers.fields.get(key, -1) >= 0
            and not (old and reason in _NEW_THROTTLE_FIELDS)
            and self._goes_on(f"throttled by {reason}", answers.fields[key])
        }

    def _first(self, metric: Metric, ways: Sequence[Way], answers: Answers) -> tuple[int, float | None]:
        """The number of the first way that the GPU has, and its value."""
        for number, (value, terms, over) in enumerate(ways):
            total = terms(answers)
            if total is None:
                continue
            if value.rate:
                rate = self._rate((metric.name, number), total, answers.time)
                return number, None if rate is None else rate * value.scale
            if value.over:
                whole = over(answers)
                return number, total / whole * value.scale if whole else None
            # Exact where it can be: a count of bytes divided by 2**20 is rounded down, not to the nearest double.
            return number, total if value.scale == 1.0 else total * value.scale
        return len(ways), None

    def _rate(self, key: tuple[str, int], total: float, now: float) -> float | None:
        before = self._rates.get(key)
        self._rates[key] = (total, now)
        if before is None or total < before[0]:
            return None
        seconds = now - before[1]
        return (total - before[0]) / seconds if 0 < seconds <= self._plan.longest_rate else None

    def _goes_on(self, name: str, raw: float) -> bool:
        """Whether a counter may be shown: one that falls is an error once, and a new beginning the second time."""
        if raw >= self._counters.get(name, 0.0) or (name in self._fallen and raw >= self._fallen[name]):
            self._fallen.pop(name, None)
            self._counters[name] = raw
            return True
        self._fallen[name] = raw
        return False
