"""The tables of docs/metrics.md against what the exporter makes; UPDATE_CAPTURES=1 writes the one of all metrics."""

from __future__ import annotations

import os
import re
from pathlib import Path

from exporters.slurm.sources import KINDS, Options
from tests.exporters.slurm.test_promtool import whole_page

PAGE = Path(__file__).resolve().parents[3] / "docs/metrics.md"
HEAD = "| metric | type | labels | meaning |\n|---|---|---|---|\n"


def table() -> str:
    """One row a metric, in the order of the page."""
    rows = []
    for family in whole_page():
        text = family.samples[0][0]
        names = [name for name in re.findall(r'(\w+)="', text) if name != "le"]
        labels = ", ".join(f"`{name}`" for name in names)
        rows.append(f"| `{family.name}` | {family.type} | {labels} | {family.help.replace('|', ' ')} |\n")
    return HEAD + "".join(rows)


def test_every_metric_is_in_the_table_and_nothing_else() -> None:
    text = PAGE.read_text()
    before, _, rest = text.partition(HEAD)
    found = re.match(r"(?:\|.*\n)*", rest)
    assert found, "the table of Slurm's metrics is not in docs/metrics.md"
    if os.environ.get("UPDATE_CAPTURES"):
        PAGE.write_text(before + table() + rest[found.end() :])
        return
    assert HEAD + found[0] == table()


def test_the_sources_named_are_the_sources() -> None:
    text = PAGE.read_text()
    for kind in KINDS:
        command = " ".join(kind.command(Options())).partition(" -S ")[0]
        assert f"| {kind.name} | `{command}" in text, command
