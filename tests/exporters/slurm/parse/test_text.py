from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporters.slurm.parse import ParseError, Whole
from exporters.slurm.parse.text import MIB, Tres, fields, gpus, real, records, size, tres, whole
from tests.exporters.slurm.building import NOW, read

GIB = 1024 * MIB


def test_whole() -> None:
    assert (whole("0"), whole("17")) == (0, 17)


@pytest.mark.parametrize("text", ["", "N/A", "(null)", "UNLIMITED", "-1", "1.5", "²", "٣", " 1"])
def test_what_is_no_whole_number(text: str) -> None:
    assert whole(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.10", 0.1), ("17", 17.0), ("2e-05", 2e-05), ("1.8e+19", 1.8e19), ("inf", math.inf), ("-inf", -math.inf)],
)
def test_real(text: str, number: float) -> None:
    assert real(text) == number


@pytest.mark.parametrize("text", ["", "N/A", "n/s", "parent", "(null)", "nan", "-nan", "NaN"])
def test_what_is_no_number(text: str) -> None:
    assert real(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("512", 512 * MIB),
        ("4000M", 4000 * MIB),
        ("1.50G", GIB + GIB // 2),
        ("8G", 8 * GIB),
        ("2T", 2048 * GIB),
        ("1P", GIB * MIB),
        ("10K", 10240),
    ],
)
def test_size(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "N/A", "8g", "8GB", "-1M"])
def test_what_is_no_size(text: str) -> None:
    assert size(text) is None


def test_fields_of_a_line_the_first_of_a_key_counts() -> None:
    assert fields("A=1 B= C=x=y  word D=(null) A=2\n") == {"A": "1", "B": "", "C": "x=y", "D": "(null)"}


@pytest.mark.parametrize("text", ["", "\n", "No reservations in the system\n", "No licenses configured in Slurm.\n"])
def test_no_records(text: str) -> None:
    assert records(text, "Name", "a command") == []


def test_records_are_the_lines_that_begin_one() -> None:
    text = "warning: x\nName=a Comment=first\nsecond Name=b\nName=c\n"
    assert records(text, "Name", "a command") == ["Name=a Comment=first", "Name=c"]


def test_text_without_a_record_is_an_error() -> None:
    with pytest.raises(ParseError, match="a command: no line has Name: 'slurm_load: error'"):
        records("slurm_load: error\n", "Name", "a command")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", Tres()),
        ("N/A", Tres()),
        ("cpu=4,mem=8G,node=1,billing=4", Tres(4, 8 * GIB, 1)),
        ("cpu=4,mem=1.50G,node=2,billing=4,gres/gpu=2", Tres(4, GIB + GIB // 2, 2, {"": 2})),
        ("cpu=1,node=1,gres/gpu=2,gres/gpu:a100=2", Tres(1, 0, 1, {"a100": 2})),
        ("gres/gpu=5,gres/gpu:a100=2,gres/gpu:h100=1", Tres(gpus={"a100": 2, "h100": 1, "": 2})),
        ("gres/gpu:1g.10gb=7,gres/gpu=7", Tres(gpus={"1g.10gb": 7})),
        ("gres/gpu:a100=3", Tres(gpus={"a100": 3})),
        ("gres/gpumem=80G,gres/shard=4,license/x=1,gres/gpu=1", Tres(gpus={"": 1})),
        ("gres/gpu=0,cpu=x", Tres()),
    ],
)
def test_tres(text: str, found: Tres) -> None:
    assert tres(text) == found


def test_all_gpus_are_those_of_all_types() -> None:
    assert tres("gres/gpu=5,gres/gpu:a100=2").all_gpus == 5


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("(null)", {}),
        ("N/A", {}),
        ("gpu", {"": 1}),
        ("gpu:8", {"": 8}),
        ("gpu:0", {"": 0}),
        ("gpu:2K", {"": 2048}),
        ("gpu:h100:8", {"h100": 8}),
        ("gpu:h100", {"h100": 1}),
        ("gpu:h100:8(S:0-1)", {"h100": 8}),
        ("gpu:8(S:0,2-3)", {"": 8}),
        ("gpu:h100:3(IDX:0-1,7)", {"h100": 3}),
        ("gpu:h100:0(IDX:N/A)", {"h100": 0}),
        ("gpu:(null):2(IDX:0-1)", {"": 2}),
        ("gpu:(null):0(IDX:N/A)", {"": 0}),
        ("gpu:a100:4(S:0),gpu:h100:2(S:1)", {"a100": 4, "h100": 2}),
        ("gpu:a100:4(S:0),gpu:a100:2(S:1)", {"a100": 6}),
        ("gpu:1g.10gb:7(S:0)", {"1g.10gb": 7}),
        ("gpu:a100_3g.20gb:2,gpu:a100:1", {"a100_3g.20gb": 2, "a100": 1}),
        ("gpu:1g.5gb", {"1g.5gb": 1}),
        ("shard:a100:32,gpu:a100:4,mps:400", {"a100": 4}),
        ("gpu_mem:80G", {}),
        ("gres/gpu", {"": 1}),
        ("gres/gpu:2", {"": 2}),
        ("gres/gpu:a100:2", {"a100": 2}),
        ("gres/gpu:a100=2", {"a100": 2}),
        ("gres/gpu=2", {"": 2}),
        ("gres:gpu", {"": 1}),
        ("gres:gpu:2", {"": 2}),
        ("gres:gpu:a100:2", {"a100": 2}),
        ("gres/gpu:a100:2,gres/shard:4", {"a100": 2}),
        ("license/matlab:2", {}),
    ],
)
def test_gpus(text: str, found: Mapping[str, int]) -> None:
    assert gpus(text) == found


@given(st.text())
def test_any_text_is_read_somehow(text: str) -> None:
    for count in (*gpus(text).values(), *tres(text).gpus.values()):
        assert count >= 0
    assert (size(text) or 0) >= 0
    number = real(text)
    assert number is None or not math.isnan(number)


def test_whole_output_in_pieces_and_one_after_the_other() -> None:
    parser = Whole(str.split)
    assert read(parser, "ä b\n".encode()) == ["ä", "b"]
    parser.begin(NOW)
    for byte in "c ä\n".encode():
        parser.feed(bytes([byte]))
    assert parser.finish() == ["c", "ä"]


def test_no_output_at_all_is_none() -> None:
    """Where there is nothing to tell, every command says so."""
    with pytest.raises(ParseError, match="there is no output"):
        read(Whole(str.split), b"")


def test_an_output_left_half_read_is_forgotten() -> None:
    parser = Whole(str.split)
    parser.begin(NOW)
    parser.feed(b"half")
    assert read(parser, b"a\n") == ["a"]


def test_bytes_that_are_not_utf_8_are_replaced() -> None:
    assert read(Whole(str), b"a\xff\n") == "a\ufffd\n"


def test_output_cut_in_the_middle_of_a_line_is_an_error() -> None:
    with pytest.raises(ParseError, match="the output is not whole: it ends in 'Jobs submitted: 1'"):
        read(Whole(str), b"Jobs submitted: 1")
