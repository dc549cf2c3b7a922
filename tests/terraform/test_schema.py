"""The pods are written in the schema that the provider documents.

runpod_pod.schema.json is that of decentralized-infrastructure/terraform-provider-runpod v1.0.1 (commit cff7577, of
2025-11-14), from docs/resources/pod.md and internal/provider/pod_resource.go, which agree. No attribute is required.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bootstrap.variables import VARIABLES
from tests.terraform.configuration import EXAMPLES, MODULE, REPOSITORY, Configuration, environment, load

SCHEMA = json.loads((Path(__file__).parent / "runpod_pod.schema.json").read_text())
KNOWN = {variable.name for variable in VARIABLES}
META = {"count", "lifecycle"}
PROVIDER = {"source": "decentralized-infrastructure/runpod", "version": "~> 1.0.1"}
FOLDERS = [MODULE, *(folder for folder in EXAMPLES if load(folder).pods())]
REQUIRED = {name for name, attribute in SCHEMA.items() if "required" in attribute["modes"]}
# The provider has defaults for these or takes them as optional, but without them there is no cluster.
NEEDED = {"name", "image_name", "gpu_type_ids", "global_networking", "ports", "env"}


def provider(configuration: Configuration) -> Any:
    """What is asked for as runpod."""
    (terraform,) = [block for block in configuration.other if "required_providers" in block]
    (providers,) = terraform["required_providers"]
    return providers["runpod"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_what_is_set_is_documented_and_of_its_type(folder: Path) -> None:
    configuration = load(folder)
    assert len(configuration.pods()) == 2
    for pod, body in configuration.pods().items():
        for name, value in body.items():
            if name not in META:
                assert name in SCHEMA, f"{pod}: the provider knows no {name}"
                assert SCHEMA[name]["modes"] != ["computed"], f"{pod}: {name} is the provider's to set"
                assert configuration.type_of(value) == SCHEMA[name]["type"], f"{pod}.{name}"
        assert body.keys() >= REQUIRED | NEEDED
        assert body["global_networking"] is True, f"{pod}: pods without it do not reach each other"


def test_the_readmes_example_is_documented(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```hcl\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    (tmp_path / "main.tf").write_text(example)
    configuration = load(tmp_path)
    # It works as it is pasted.
    assert set(re.findall(r"\bvar\.(\w+)", configuration.expressions())) == configuration.variables.keys()
    assert configuration.variables["munge_key"]["sensitive"] is True
    assert provider(configuration) == PROVIDER
    assert any("runpod" in block for block in configuration.other)
    pods = configuration.pods()
    assert set(pods) == {"head", "worker"}
    for body in pods.values():
        assert body.keys() - META <= SCHEMA.keys()
        assert body.keys() >= REQUIRED | NEEDED
        assert {"NODE_ROLE", "CLUSTER_NAME"} <= environment(body["env"]).keys() <= KNOWN
    assert "HEAD_NODE_IP" in environment(pods["worker"]["env"])


@pytest.mark.parametrize("folder", [MODULE, *EXAMPLES], ids=lambda folder: folder.name)
def test_what_is_read_is_documented(folder: Path) -> None:
    text = load(folder).expressions()
    read = re.findall(r"\brunpod_pod\.\w+(?:\[[^]]*\])?\.(\w+)", text) + re.findall(r"(?<![\w.])pod\.(\w+)", text)
    assert set(read) <= SCHEMA.keys()


def test_the_schema_has_types_and_modes_that_the_tests_know() -> None:
    for attribute in SCHEMA.values():
        assert attribute["type"] in ("string", "number", "bool", "list(string)", "map(string)")
        assert set(attribute["modes"]) <= {"required", "optional", "computed"}
        assert attribute["modes"]


def test_every_folder_asks_for_the_release_whose_schema_this_is() -> None:
    for folder in (MODULE, *EXAMPLES):
        assert provider(load(folder)) == PROVIDER
