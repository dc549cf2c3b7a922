from __future__ import annotations

import math

import pytest
from hypothesis import given

from exporters.slurm.parse import ParseError, Whole
from exporters.slurm.parse.limits import License, Reservation, Share, licenses, reservations, shares
from tests.exporters.slurm.building import ODD_TEXT, read
from tests.exporters.slurm.samples import RESERVATION, SHARES


def test_reservations() -> None:
    text = RESERVATION.format(name="maint", partition="gpu", rest="")
    text += RESERVATION.format(name="ann_1", partition="(null)", rest=" Comment=State=INACTIVE NodeCnt=9")
    common = ("ACTIVE", "MAINT,SPEC_NODES")
    assert reservations(text) == (
        Reservation("maint", *common, "gpu", 1669000000, 1669003600, 2, 16),
        Reservation("ann_1", *common, "", 1669000000, 1669003600, 2, 16),
    )


def test_licenses() -> None:
    text = "LicenseName=matlab Total=5 Used=2 Free=3 Reserved=1 Remote=no\n"
    text += "LicenseName=a@server Total=1 Used=0 Free=1 Remote=yes LastConsumed=0\n"
    assert licenses(text) == (License("matlab", 5, 2, 3, 1), License("a@server", 1, 0, 1, None))


@pytest.mark.parametrize("text", ["", "No reservations in the system\n", "No licenses configured in Slurm.\n"])
def test_there_are_none(text: str) -> None:
    assert reservations(text) == ()
    assert licenses(text) == ()


def test_text_that_is_none_of_both() -> None:
    with pytest.raises(ParseError, match="scontrol show reservations: no line has ReservationName"):
        reservations("error\n")
    with pytest.raises(ParseError, match="scontrol show licenses: no line has LicenseName"):
        licenses("error\n")


def test_shares() -> None:
    assert shares(SHARES) == (
        Share("root", "", None, 1.0, 5000.0, 1.0, None, None),
        Share("root", "root", 1.0, 0.333333, 0.0, 0.0, 1.0, math.inf),
        Share("lab", "", 1.0, 0.333333, 4100.0, 0.82, None, 0.406504),
        Share("lab", "ann", None, 0.333333, 1e-05, 2e-05, 0.5, None),
        Share("lab", "ä,b 'c'", 1.0, 0.333333, None, None, 0.25, 1.844674e19),
    )


def test_no_shares() -> None:
    assert shares("") == ()


@pytest.mark.parametrize("text", ["sshare: error: no\n", "lab|ann|1|2|3|4|5\n"])
def test_a_line_with_too_few_columns_fails_all(text: str) -> None:
    with pytest.raises(ParseError, match="sshare: a line has too few columns"):
        shares(SHARES + text)


def test_output_cut_anywhere_fails_or_holds_whole_lines_only() -> None:
    whole, output = shares(SHARES), SHARES.encode()
    for length in range(1, len(output)):
        if output[length - 1] == ord("\n"):
            found = read(Whole(shares), output[:length])
            assert found == whole[: len(found)]
        else:
            with pytest.raises(ParseError):
                read(Whole(shares), output[:length])


@given(ODD_TEXT, ODD_TEXT)
def test_names_of_any_characters(account: str, user: str) -> None:
    # No line end can be in a name, and no `|` in a user's; what is blank around a name shows its level.
    account, user = (text.replace("\n", "").strip() or "x" for text in (account, user.replace("|", "")))
    (found,) = shares(f"  {account}|{user}|1|0.5|0|0|0.5|0.5\n")
    assert (found.account, found.user) == (account, user)


def test_a_license_with_a_line_for_each_of_its_layers_is_one() -> None:
    line = "LicenseName=flat Total={} Used=1 Free=3 Reserved=0 Remote=no Nodes=n[1-2] Mode=3\n"
    (found,) = licenses(line.format(9) + line.format(4))
    assert found.total == 9
