"""Reservations, licenses and shares: what changes seldom. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.text import fields, real, records, whole

RESERVATIONS_COMMAND = ("scontrol", "-o", "-a", "show", "reservations")
LICENSES_COMMAND = ("scontrol", "-o", "show", "licenses")
_SHARE_COLUMNS = ("Account", "User", "RawShares", "NormShares", "RawUsage", "EffectvUsage", "FairShare", "LevelFS")
SHARES_COMMAND = ("sshare", "-a", "-n", "-P", "-o", ",".join(_SHARE_COLUMNS))


@dataclass(frozen=True)
class Reservation:
    """One reservation; times in Unix seconds."""

    name: str
    state: str
    flags: str
    partition: str
    start: int | None
    end: int | None
    nodes: int | None
    cores: int | None


@dataclass(frozen=True)
class License:
    """One kind of license."""

    name: str
    total: int | None
    used: int | None
    free: int | None
    reserved: int | None


@dataclass(frozen=True)
class Share:
    """An account (its user is empty) or a user's association with one; None where Slurm shows nothing."""

    account: str
    user: str
    raw_shares: float | None
    norm_shares: float | None
    raw_usage: float | None
    effective_usage: float | None
    fairshare: float | None
    level_fairshare: float | None


def reservations(text: str) -> tuple[Reservation, ...]:
    """Every reservation."""
    found = []
    for line in records(text, "ReservationName", "scontrol show reservations"):
        get = fields(line).get
        found.append(
            Reservation(
                name=get("ReservationName", ""),
                state=get("State", ""),
                flags=get("Flags", ""),
                partition=get("PartitionName", "").replace("(null)", ""),
                start=whole(get("StartTime", "")),
                end=whole(get("EndTime", "")),
                nodes=whole(get("NodeCnt", "")),
                cores=whole(get("CoreCnt", "")),
            )
        )
    return tuple(found)


def licenses(text: str) -> tuple[License, ...]:
    """Every license."""
    found: dict[str, License] = {}
    for line in records(text, "LicenseName", "scontrol show licenses"):
        get = fields(line).get
        name = get("LicenseName", "")
        if name not in found:  # hierarchical ones have a line for each of their layers, the first is the widest
            found[name] = License(name, *(whole(get(key, "")) for key in ("Total", "Used", "Free", "Reserved")))
    return tuple(found.values())


def shares(text: str) -> tuple[Share, ...]:
    """Every association. The numbers come last, so a `|` in an account's name harms nothing."""
    found = []
    for line in text.split("\n"):
        if not line:
            continue
        names, *numbers = line.rsplit("|", len(_SHARE_COLUMNS) - 2)
        account, separator, user = names.rpartition("|")
        if not separator or len(numbers) != len(_SHARE_COLUMNS) - 2:
            raise ParseError(f"sshare: a line has too few columns: {line[:80]!r}")
        found.append(Share(account.strip(), user.strip(), *(real(number) for number in numbers)))
    return tuple(found)
