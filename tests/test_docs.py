"""What the documentation says of the code is what the code says."""

from __future__ import annotations

import re
from pathlib import Path

from bootstrap.plan import PASSED_ON
from bootstrap.settings import Settings, ports
from bootstrap.slurm_conf import version_text
from bootstrap.variables import GPU_METRIC_SETS, VARIABLES
from exporters.gpu.catalogue import SETS, load

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "terraform/README.md")),
    *DOCS.glob("*.md"),
]


def table_after(text: str, header: str) -> list[str]:
    """The rows of the table with this header."""
    rows = text.partition(header)[2].splitlines()[2:]
    return rows[: next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))]


def test_every_variable_is_documented_as_it_is() -> None:
    rows = table_after((DOCS / "configuration.md").read_text(), "| variable | default | meaning |")
    assert rows == [f"| {variable.name} | {variable.default} | {variable.meaning} |" for variable in VARIABLES]


def test_the_defaults_named_are_the_defaults() -> None:
    defaults = Settings()
    for variable in VARIABLES:
        default = getattr(defaults, variable.field)
        if isinstance(default, (str, int)):
            assert variable.default == str(default)


def test_the_environment_that_programs_see_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text()
    assert f"see little of the pod's environment**: {', '.join(PASSED_ON)}." in " ".join(text.split())


def test_every_port_is_documented() -> None:
    text = (DOCS / "configuration.md").read_text()
    rows = table_after(text, "| port | what | who may reach it |")
    everything = Settings(role="head", public_keys=("a key",), jupyter_password="a password")
    assert {int(row.split()[1]) for row in rows} == set(ports(everything))
    public = [row.split()[1] for row in rows if "the internet" in row]
    assert f"Never expose any but {' and '.join(public)} to the internet." in " ".join(text.split())


def test_every_gpu_metric_is_documented_as_it_is() -> None:
    catalogue = REPOSITORY / "conf/gpu-metrics.yaml"
    rows = table_after((DOCS / "metrics.md").read_text(), "| metric | set | type | help | NVML |")
    expected = []
    for metric in load(catalogue.read_text(), str(catalogue)):
        if re.search(r"_L[1-9]\d*$", metric.name):
            continue  # the first link stands for all
        source = ", else ".join(f"`{value.text}`" for value in metric.values)
        expected.append(f"| `{metric.name}` | {metric.set} | {metric.type} | {metric.help} | {source} |")
    assert rows == expected


def test_the_gpu_metric_sets_are_the_exporters() -> None:
    assert GPU_METRIC_SETS == SETS


def test_every_metric_of_our_own_is_documented() -> None:
    text = (DOCS / "metrics.md").read_text()
    for name in re.findall(r'"(gpu_watchdog_[a-z_]+)"', (REPOSITORY / "exporters/gpu/own.py").read_text()):
        assert f"`{name}" in text, name


def test_the_images_defaults_named_are_the_defaults() -> None:
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE))
    rows = table_after((DOCS / "runpod.md").read_text(), "| setting | default | meaning |")
    defaults = {name: default for _, name, default, *_ in (re.split(r" ?\| ?", row) for row in rows)}
    for name in ("BASE_IMAGE", "SLURM_SOURCE", "SLURM_VERSION"):
        assert defaults[name] == arguments[name]
    assert f"Slurm {arguments['SLURM_VERSION']} from its release" in (DOCS / "runpod.md").read_text()


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_make_targets_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
            assert target in targets, f"{page.name}: make {target}"


def test_versions_print_as_slurm_prints_them() -> None:
    assert version_text((22, 5, 8)) == "22.05.8"
