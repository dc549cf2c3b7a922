"""docs/metrics.md: what a metric costs and what is not given, against the catalogue; and the flags."""

from __future__ import annotations

import re

import pytest

from exporters.gpu.__main__ import parser
from exporters.gpu.catalogue import CallPart, FieldValue, Gpm, Xid, load
from tests.exporters.gpu.machine import ROOT
from tests.test_docs import table_after

TEXT = (ROOT / "docs/metrics.md").read_text()
METRICS = load((ROOT / "conf/gpu-metrics.yaml").read_text(), "conf")
TERMS = [term for metric in METRICS for value in metric.values for term in (*value.terms, *value.over)]
FIGURE = re.compile(r"\d+(\.\d+)?( to \d+)? (µs|ms)")


def costs() -> list[list[str]]:
    rows = table_after(TEXT, "| call | one call | figure |")
    return [row.strip("| ").split(" | ") for row in rows]


def test_every_call_has_its_cost() -> None:
    named = [name for row in costs() for name in re.findall(r"`(nvml\w+)`", row[0])]
    assert len(named) == len(set(named))
    assert set(named) == {term.call.function for term in TERMS if isinstance(term, CallPart)}


def test_every_other_source_has_its_cost() -> None:
    first = [row[0] for row in costs()]
    for kind, word in ((FieldValue, "`field(...)`"), (Gpm, "`gpm(...)`"), (Xid, "`xid()`")):
        assert any(isinstance(term, kind) for term in TERMS)
        assert sum(word in text for text in first) == 1, word
    fields = {name for text in first for name in re.findall(r"`(NVML_FI_\w+)`", text)}
    assert fields <= {term.field for term in TERMS if isinstance(term, FieldValue)}


def test_a_cost_is_a_figure_with_its_origin_or_is_not_measured() -> None:
    for _, cost, origin in costs():
        if FIGURE.fullmatch(cost):
            assert origin.startswith("published")
        elif cost == "not measured":
            assert origin == "none published"
        else:
            assert cost == "no call per sample"


def test_what_is_said_not_to_be_used_is_not() -> None:
    (names,) = re.findall(r"Not used for what they cost: (.*?), by the same benchmark", TEXT, re.DOTALL)
    unused = re.findall(r"nvml\w+|NVML_\w+", names)
    assert len(unused) == 2
    conf = (ROOT / "conf/gpu-metrics.yaml").read_text()
    assert [name for name in unused if name in conf] == []


def test_every_metric_of_dcgm_exporters_files_is_given_or_said_why_not() -> None:
    lines = (ROOT / "tests/exporters/gpu/dcgm-metrics.tsv").read_text().splitlines()[1:]
    assert [name for name in {line.split("\t")[0] for line in lines} if f"`{name}`" not in TEXT] == []


def test_what_is_said_not_to_be_given_is_not() -> None:
    rows = table_after(TEXT, "| of dcgm-exporter | why not |")
    given = {metric.name for metric in METRICS}
    assert len(rows) > 3
    for row in rows:
        what, why = row.strip("| ").split(" | ")
        assert len(why) > 10
        assert what.strip("`") not in given


def flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))


def test_the_flags_that_are_said_to_be_accepted_are() -> None:
    (section,) = re.findall(
        r"^### Flags\n(.*?)^These of dcgm-exporter are not accepted", TEXT, re.DOTALL | re.MULTILINE
    )
    accepted = {name for action in parser()._actions for name in action.option_strings} - {"-h", "--help"}
    assert flags(section) == accepted


def test_the_flags_that_are_said_not_to_be_accepted_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    rows = table_after(TEXT, "| flags of dcgm-exporter | instead |")
    refused = {flag for row in rows for flag in flags(row.split(" | ")[0])}
    assert len(refused) > 40
    for flag in refused:
        with pytest.raises(SystemExit) as caught:
            parser().parse_args([flag])
        assert caught.value.code == 2, flag
        assert "unrecognized arguments" in capsys.readouterr().err
