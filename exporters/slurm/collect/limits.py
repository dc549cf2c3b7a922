"""Reservations, licenses and shares -> families. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from exporters.exposition import Family, labels, number
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import label_text
from exporters.slurm.parse.limits import License, Reservation, Share
from exporters.slurm.sources import Snapshot

_Values = Sequence[tuple[str, str, Callable[..., float | None]]]


def families(snapshot: Snapshot, bounds: Bounds) -> Iterable[Family]:
    """Of the sources that were read."""
    if snapshot.reservations is not None:
        yield from _reservations(snapshot.reservations[: bounds.limit])
        bounds.folded("reservation", max(0, len(snapshot.reservations) - bounds.limit))
    if snapshot.licenses is not None:
        yield from _licenses(snapshot.licenses[: bounds.limit])
        bounds.folded("license", max(0, len(snapshot.licenses) - bounds.limit))
    if snapshot.shares is not None:
        yield from _shares(snapshot.shares, bounds)


def _each(prefix: str, rows: Sequence[tuple[str, object]], values: _Values) -> Iterable[Family]:
    for name, help, value in values:
        samples = [(text, number(found)) for text, row in rows if (found := value(row)) is not None]
        yield Family(f"{prefix}_{name}" if name else prefix, "gauge", help, samples)


def _reservations(reservations: Sequence[Reservation]) -> Iterable[Family]:
    info = [
        (labels({"reservation": one.name, "state": one.state, "flags": one.flags, "partition": one.partition}), "1")
        for one in reservations
    ]
    yield Family("slurm_reservation_info", "gauge", "A reservation, its state and flags.", info)
    values: _Values = (
        ("start_timestamp_seconds", "Unix time at which the reservation begins.", lambda one: one.start),
        ("end_timestamp_seconds", "Unix time at which the reservation ends.", lambda one: one.end),
        ("nodes", "Nodes of the reservation.", lambda one: one.nodes),
        ("cores", "Cores of the reservation.", lambda one: one.cores),
    )
    rows = [(label_text(("reservation", one.name)), one) for one in reservations]
    yield from _each("slurm_reservation", rows, values)


def _licenses(licenses: Sequence[License]) -> Iterable[Family]:
    rows = [(label_text(("license", one.name)), one) for one in licenses]
    values: _Values = (
        ("", "Licenses there are.", lambda one: one.total),
        ("used", "Licenses in use.", lambda one: one.used),
        ("free", "Licenses that are free.", lambda one: one.free),
        ("reserved", "Licenses that are reserved.", lambda one: one.reserved),
    )
    yield from _each("slurm_licenses", rows, values)


_SHARE_VALUES: Mapping[str, tuple[str, Callable[[Share], float | None]]] = {
    # vpenso's for accounts. Under Fair Tree Slurm gives accounts none, only levels.
    "fairshare": ("Fair-share factor (0 to 1).", lambda one: one.fairshare),
    "level_fairshare": ("Fair-share within its level: over 1 is under-served.", lambda one: one.level_fairshare),
    "shares": ("Shares as set.", lambda one: one.raw_shares),
    "shares_norm": ("Shares, of all (0 to 1).", lambda one: one.norm_shares),
    "usage": ("Usage that counts against its shares, decayed, in TRES seconds.", lambda one: one.raw_usage),
    "usage_effective": ("Usage, of all (0 to 1).", lambda one: one.effective_usage),
}


def _shares(shares: Sequence[Share], bounds: Bounds) -> Iterable[Family]:
    accounts = [one for one in shares if not one.user]
    users = [one for one in shares if one.user]
    for label, scope, found in (("account", "account", accounts), ("association", "user", users)):
        # A user's associations with single partitions have all the same names: the first counts.
        unique = {_share_text(one): one for one in reversed(found)}
        rows = list(reversed(unique.items()))[: bounds.limit]
        bounds.folded(label, max(0, len(unique) - bounds.limit))
        for name, (help, value) in _SHARE_VALUES.items():
            samples = [(line, number(value_found)) for line, one in rows if (value_found := value(one)) is not None]
            yield Family(f"slurm_{scope}_{name}", "gauge", f"{help[:-1]} by {scope}.", samples)


def _share_text(share: Share) -> str:
    account = ("account", share.account)
    return label_text(account, ("user", share.user)) if share.user else label_text(account)
