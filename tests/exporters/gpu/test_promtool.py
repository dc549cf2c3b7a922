"""Prometheus' own linter finds nothing in the exporter's pages but what belongs to the names that it must have."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.exporters.gpu.machine import Machine, samples

ROOT = Path(__file__).resolve().parents[3]
PROMTOOL = ROOT / "build/promtool/promtool"
GOLDEN = [*(ROOT / "tests/captures/gpu").glob("*.txt")]

CAMEL_CASE = "label names should be written in 'snake_case' not 'camelCase'"
NOT_TOTAL = 'counter metrics should have "_total" suffix'
TYPE_IN_NAME = "metric name should not include type 'counter'"
GAUGE_TOTAL = 'non-counter metrics should not have "_total" suffix'
# Regular expressions of whole names, and the rule that they break.
ODDITIES = [
    (r"DCGM_(?!EXP_)\w+", CAMEL_CASE),  # modelName
    (r"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", NOT_TOTAL),
    (r"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", NOT_TOTAL),
    (r"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", TYPE_IN_NAME),
    (r"DCGM_FI_DEV_(POWER|THERMAL|SYNC_BOOST|BOARD_LIMIT|LOW_UTIL|RELIABILITY)_VIOLATION", NOT_TOTAL),
    (r"DCGM_FI_DEV_ECC_[SD]BE_(VOL|AGG)_TOTAL", NOT_TOTAL),  # the suffix is told by its case
    (r"DCGM_FI_DEV_RETIRED_([SD]BE|PENDING)", NOT_TOTAL),
    (r"DCGM_FI_DEV_(UN)?CORRECTABLE_REMAPPED_ROWS", NOT_TOTAL),
    (r"DCGM_FI_DEV_NVLINK_(CRC_FLIT|CRC_DATA|REPLAY|RECOVERY)_ERROR_COUNT_(TOTAL|L\d+)", NOT_TOTAL),
    (r"DCGM_FI_DEV_NVLINK_BANDWIDTH_(TOTAL|L\d+)", NOT_TOTAL),
]


def problems(text: str) -> list[tuple[str, str]]:
    """Name and broken rule of each thing that promtool finds."""
    assert PROMTOOL.exists(), "get it: make build/promtool/promtool"
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    # 3: there is something to find; anything else but 0 is a page that cannot be read.
    assert done.returncode in (0, 3), done.stderr
    found = []
    for line in done.stderr.splitlines():
        name, _, rule = line.partition(" ")
        found.append((name, rule))
    assert bool(found) == (done.returncode == 3), done.stderr
    return found


def excused(name: str, rule: str) -> list[tuple[str, str]]:
    return [oddity for oddity in ODDITIES if oddity[1] == rule and re.fullmatch(oddity[0], name)]


def unexcused(text: str) -> list[tuple[str, str]]:
    return [(name, rule) for name, rule in problems(text) if not excused(name, rule)]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_exposition(path: Path) -> None:
    assert unexcused(path.read_text()) == []


def test_a_live_page(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100", "processes": "7:2048:C"}, {"model": "a100", "error": "GPU_IS_LOST"}])
    machine.start("--collectors=all", "--process-metrics")
    machine.until("rates are shown", lambda: bool(samples(machine.text(), "DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL")))
    machine.gpus.raise_xid(0, 31)
    machine.until_value(31, "DCGM_FI_DEV_XID_ERRORS", gpu="0")
    text = machine.text()
    for name in ("gpu_xid_events_total", "gpu_error_info", "gpu_process_memory_bytes", "nvml_call_errors_total"):
        assert f"gpu_watchdog_{name}{{" in text
    assert unexcused(text) == []


def test_no_oddity_is_listed_that_is_none(machine: Machine) -> None:
    machine.gpus.write(gpus=[{"model": "h100"}, {"model": "t4", "retired_sbe": 1, "retired_dbe": 1}])
    pages = [path.read_text() for path in GOLDEN] + [machine.once()]
    occurring = {oddity for page in pages for name, rule in problems(page) for oddity in excused(name, rule)}
    assert [oddity for oddity in ODDITIES if oddity not in occurring] == []


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# HELP a_ratio A.\n# TYPE a_ratio gauge\na_ratio 1\n", []),
        ("# TYPE a_total gauge\na_total 1\n", [("a_total", GAUGE_TOTAL), ("a_total", "no help text")]),
    ],
)
def test_promtool_finds_what_is_wrong(text: str, wanted: list[tuple[str, str]]) -> None:
    assert sorted(problems(text)) == sorted(wanted)


@pytest.mark.parametrize("text", ["# TYPE a gauge\n# TYPE a gauge\na 1\n", 'a{b="c} 1\n', "a 1"])
def test_promtool_refuses_what_cannot_be_read(text: str) -> None:
    with pytest.raises(AssertionError):
        problems(text)


def test_the_join_of_jobs_that_the_documentation_has(tmp_path: Path) -> None:
    """Two jobs share a GPU, one has a MIG instance, and one GPU has none."""
    text = (ROOT / "docs/metrics.md").read_text()
    (query,) = re.findall(r"`(gpu_watchdog_gpu_job_info \* [^`]*)`", text)
    of_jobs = [('gpu="0",UUID="A"', "17"), ('gpu="0",UUID="A"', "18"), ('gpu="1",UUID="B",GPU_I_ID="3"', "19")]
    used = {'gpu="0",UUID="A"': 10, 'gpu="1",UUID="B"': 20, 'gpu="1",UUID="B",GPU_I_ID="3"': 5, 'gpu="2",UUID="C"': 7}
    series = {f'gpu_watchdog_gpu_job_info{{{gpu},hpc_job="{job}"}}': 1 for gpu, job in of_jobs}
    series |= {f'DCGM_FI_DEV_FB_USED{{{gpu},modelName="H100"}}': value for gpu, value in used.items()}
    wanted = [{"labels": f'{{{gpu},hpc_job="{job}"}}', "value": used[gpu]} for gpu, job in of_jobs]
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": str(value)} for name, value in series.items()],
        "promql_expr_test": [{"expr": query, "eval_time": "0m", "exp_samples": wanted}],
    }
    path = tmp_path / "join.yaml"
    path.write_text(yaml.safe_dump({"tests": [case]}))
    done = subprocess.run([PROMTOOL, "test", "rules", path], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
