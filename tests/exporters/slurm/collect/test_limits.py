from __future__ import annotations

import math

from hypothesis import given

from exporters.slurm.collect import limits as collected
from exporters.slurm.collect.bounds import Bounds
from exporters.slurm.collect.memory import Memory
from exporters.slurm.parse.limits import License, Reservation, Share, shares
from exporters.slurm.sources import Snapshot
from tests.exporters.slurm.building import ODD_TEXT, read_back, values

RESERVATION = Reservation("maint", "ACTIVE", "MAINT,SPEC_NODES", "gpu", 5, 9, 2, None)


def share(account: str, user: str = "", factor: float | None = 0.5) -> Share:
    return Share(account, user, 1.0, 0.25, 5e9, 2e-05, factor, math.inf)


def test_sources_that_were_not_read() -> None:
    assert values(collected.families(Snapshot(now=1.0), Bounds(5, Memory()))) == {}


def test_reservations_and_licenses() -> None:
    licenses = (License("a,b@x", 5, 2, 3, None), License("c", 1, 0, 1, 1))
    snapshot = Snapshot(now=1.0, reservations=(RESERVATION,), licenses=licenses)
    assert values(collected.families(snapshot, Bounds(5, Memory()))) == {
        'slurm_reservation_info{reservation="maint",state="ACTIVE",flags="MAINT,SPEC_NODES",partition="gpu"}': "1",
        'slurm_reservation_start_timestamp_seconds{reservation="maint"}': "5",
        'slurm_reservation_end_timestamp_seconds{reservation="maint"}': "9",
        'slurm_reservation_nodes{reservation="maint"}': "2",
        'slurm_licenses{license="a,b@x"}': "5",
        'slurm_licenses{license="c"}': "1",
        'slurm_licenses_used{license="a,b@x"}': "2",
        'slurm_licenses_used{license="c"}': "0",
        'slurm_licenses_free{license="a,b@x"}': "3",
        'slurm_licenses_free{license="c"}': "1",
        'slurm_licenses_reserved{license="c"}': "1",
    }


def test_shares_of_accounts_and_users() -> None:
    snapshot = Snapshot(now=1.0, shares=(share("lab", factor=None), share("lab", "ann"), share("else", factor=0.75)))
    found = values(collected.families(snapshot, Bounds(5, Memory())))
    assert {text: value for text, value in found.items() if "fairshare" in text} == {
        'slurm_account_fairshare{account="else"}': "0.75",
        'slurm_account_level_fairshare{account="lab"}': "+Inf",
        'slurm_account_level_fairshare{account="else"}': "+Inf",
        'slurm_user_fairshare{account="lab",user="ann"}': "0.5",
        'slurm_user_level_fairshare{account="lab",user="ann"}': "+Inf",
    }
    assert found['slurm_account_shares{account="lab"}'] == "1.0"
    assert found['slurm_account_shares_norm{account="lab"}'] == "0.25"
    assert found['slurm_user_usage{account="lab",user="ann"}'] == "5000000000.0"
    assert found['slurm_user_usage_effective{account="lab",user="ann"}'] == "2e-05"


def test_associations_with_single_partitions_are_one_series() -> None:
    snapshot = Snapshot(now=1.0, shares=(share("lab", "ann", 0.1), share("lab", "ann", 0.2), share("lab", "bob", 0.3)))
    found = values(collected.families(snapshot, Bounds(5, Memory())))
    assert found['slurm_user_fairshare{account="lab",user="ann"}'] == "0.1"
    assert found['slurm_user_fairshare{account="lab",user="bob"}'] == "0.3"


def test_more_than_the_limit_is_left_out_and_told() -> None:
    snapshot = Snapshot(
        now=1.0,
        reservations=(RESERVATION,) * 3,
        licenses=tuple(License(name, 1, 0, 1, 0) for name in "abc"),
        shares=tuple(share(account, user) for account in "abcd" for user in ("", "ann")),
    )
    bounds = Bounds(1, Memory())
    found = values(collected.families(snapshot, bounds))
    assert [text for text in found if text.startswith(("slurm_licenses{", "slurm_account_fairshare"))] == [
        'slurm_licenses{license="a"}',
        'slurm_account_fairshare{account="a"}',
    ]
    assert values(bounds.families()) == {
        'slurm_exporter_label_values_folded{label="account"}': "3",
        'slurm_exporter_label_values_folded{label="association"}': "3",
        'slurm_exporter_label_values_folded{label="license"}': "2",
        'slurm_exporter_label_values_folded{label="reservation"}': "2",
        "slurm_exporter_label_values_limit": "1",
    }


@given(ODD_TEXT, ODD_TEXT)
def test_any_names_are_read_back_as_they_were(account: str, user: str) -> None:
    # sshare prints a line for each: no line end can be in a name, and no `|` in a user's.
    account, user = (text.replace("\n", "").strip() or "x" for text in (account, user.replace("|", "")))
    snapshot = Snapshot(now=1.0, shares=shares(f" {account}||1|1|0|1||\n  {account}|{user}|1|0.5|0|0|0.5|inf\n"))
    found = [*read_back(collected.families(snapshot, Bounds(5, Memory())))]
    assert ("slurm_account_shares", {"account": account}, 1) in found
    assert ("slurm_user_fairshare", {"account": account, "user": user}, 0.5) in found
    assert ("slurm_user_level_fairshare", {"account": account, "user": user}, math.inf) in found
