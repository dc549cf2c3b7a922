from __future__ import annotations

import pytest

from exporters.gpu.catalogue import CatalogueError, Metric
from exporters.gpu.collectors_csv import is_one, select
from tests.exporters.gpu.machine import ROOT

CATALOGUE = [Metric("A", "all", "gauge", "A.", ()), Metric("L", "all", "label", "L.", ())]


def test_lines() -> None:
    text = "# Format\n\n  # comment\nA, counter, Of A, and more.\nL,label,Label.\nNEW, gauge, New.\nNEW, gauge, New.\n"
    metrics, unknown = select(text, "file", CATALOGUE)
    assert [(metric.name, metric.type, metric.help) for metric in metrics] == [
        ("A", "counter", "Of A, and more."),
        ("L", "label", "Label."),
    ]
    assert unknown == ["NEW"]


@pytest.mark.parametrize(
    ("written", "help"),
    [
        ("Of A, and more.", "Of A, and more."),
        ('"Of A, and more."', "Of A, and more."),
        ('"Of ""A"", and more."', 'Of "A", and more.'),
        ('The "A".', 'The "A".'),
        ("", ""),
    ],
)
def test_help(written: str, help: str) -> None:
    (metric,), _ = select(f"A, gauge, {written}", "file", CATALOGUE)
    assert metric.help == help


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# Format\n\nA, gauge, A.\n", True),
        ("A,counter,A.", True),
        ("A, thing, A.", False),
        ("metrics: [{name: a, type: gauge, help: A.}]", False),
        ("", False),
        ((ROOT / "conf/gpu-metrics.yaml").read_text(), False),
    ],
)
def test_what_looks_like_one(text: str, wanted: bool) -> None:
    assert is_one(text) == wanted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('A, gauge, "A.', "file, line 1: 'A, gauge, \"A.' is not `FIELD, TYPE, HELP`"),
        ("A, gauge, A.\nA gauge\n", "file, line 2: 'A gauge' is not `FIELD, TYPE, HELP`"),
        ("A, thing, A.", "file, line 1: type 'thing' is not gauge, counter, label"),
        ("A, gauge, A.\n\nA, gauge, A.", "file, line 3: A stands there twice"),
        ("# nothing\nNEW, gauge, New.", "file names no metric that this exporter gives"),
    ],
)
def test_bad_lines(text: str, words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        select(text, "file", CATALOGUE)
    assert str(caught.value) == words
