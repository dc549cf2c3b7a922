from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from exporters.exposition import CONTENT_TYPE, Family, Renderer, labels, number, render, single


def test_golden() -> None:
    families = [
        Family("a_total", "counter", 'Help with \\ and "quotes"\nand a line.', [("", "1"), ('{x="y"}', "2.500000")]),
        Family("empty", "gauge", "Left out."),
        single("b", "", 0.25),
        Family("c", "gauge", "C.", [(labels({"one": "1", "two": 'a"b\\c\nd'}), number(math.inf))]),
    ]
    assert render(families) == (
        b'# HELP a_total Help with \\\\ and "quotes"\\nand a line.\n'
        b"# TYPE a_total counter\n"
        b"a_total 1\n"
        b'a_total{x="y"} 2.500000\n'
        b"# HELP b \n"
        b"# TYPE b gauge\n"
        b"b 0.25\n"
        b"# HELP c C.\n"
        b"# TYPE c gauge\n"
        b'c{one="1",two="a\\"b\\\\c\\nd"} +Inf\n'
    )
    assert render([]) == b""


@given(st.text(), st.text())
def test_any_label_value_comes_back(one: str, other: str) -> None:
    text = render([Family("a", "gauge", "A.", [(labels({"one": one, "other": other}), "1")])]).decode()
    (family,) = text_string_to_metric_families(text)
    (sample,) = family.samples
    assert sample.labels == {"one": one, "other": other}


@given(st.text(st.characters(codec="utf-8")))
def test_any_help_comes_back(help: str) -> None:
    text = render([Family("a", "gauge", f"x{help}x", [("", "1")])]).decode()
    (family,) = text_string_to_metric_families(text)
    assert family.documentation == f"x{help}x"


def test_what_is_not_utf_8_is_replaced() -> None:
    assert render([Family("a", "gauge", "A.", [(labels({"x": "\ud800"}), "1")])]).decode().endswith('a{x="?"} 1\n')


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-3, "-3"),
        (2**63, "9223372036854775808"),
        (0.1, "0.1"),
        (1.0, "1.0"),
        (1e300, "1e+300"),
        (5e-324, "5e-324"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats(allow_nan=False))
def test_any_number_comes_back(value: float) -> None:
    (family,) = text_string_to_metric_families(render([single("a", "A.", value)]).decode())
    assert family.samples[0].value == value


def test_no_labels() -> None:
    assert labels({}) == ""


def test_content_type() -> None:
    assert CONTENT_TYPE == "text/plain; version=0.0.4; charset=utf-8"


def test_every_page_is_what_it_would_be_alone() -> None:
    """Whatever was on the page before."""
    renderer = Renderer()
    pages: tuple[list[Family], ...] = (
        [single("a", "A.", 1), single("b", "B.", 2)],
        [single("a", "A.", 1), single("b", "B.", 3)],
        [single("b", "B.", 3), single("c", "C.", 4)],
        [single("a", "Another A.", 1), Family("b", "gauge", "B."), single("c", "C.", 4, "counter")],
        [],
        [Family("b", "gauge", "B.", [('{x="1"}', "3")]), single("a", "A.", 1)],
        [Family("b", "gauge", "B.", [('{x="2"}', "3")]), single("a", "A.", 1)],
    )
    for page in pages:
        assert renderer.render(page) == render(page)
