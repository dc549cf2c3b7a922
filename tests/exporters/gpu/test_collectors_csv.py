from __future__ import annotations

import pytest

from exporters.gpu.catalogue import CatalogueError, Metric
from exporters.gpu.collectors_csv import select

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
    ("text", "words"),
    [
        ("A, gauge, A.\nA gauge\n", "file, line 2: 'A gauge' is not `FIELD, TYPE, HELP`"),
        ("A, thing, A.", "file, line 1: type 'thing' is not gauge, counter, label"),
        ("A, gauge, A.\n\nA, gauge, A.", "file, line 3: A stands there twice"),
        ("# nothing\nNEW, gauge, New.", "file names no metric that NVML gives"),
    ],
)
def test_bad_lines(text: str, words: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        select(text, "file", CATALOGUE)
    assert str(caught.value) == words
