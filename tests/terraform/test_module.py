"""The module holds together, and what it hands to the pods is what the pods understand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootstrap import settings, variables
from tests.terraform.configuration import EXAMPLES, MODULE, environment, load

FOLDERS = [MODULE, *EXAMPLES]
CLUSTER = load(MODULE)
KNOWN = {variable.name for variable in variables.VARIABLES} | {"PUBLIC_KEY"}
DEFAULTS = settings.Settings()
PRIVATE_PORTS = {
    variables.SLURMCTLD_PORT,
    variables.SLURMD_PORT,
    DEFAULTS.gpu_exporter_port,
    DEFAULTS.slurm_exporter_port,
}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_reference_leads_somewhere_and_every_variable_is_used(folder: Path) -> None:
    configuration = load(folder)
    text = configuration.expressions()
    assert set(re.findall(r"\bvar\.(\w+)", text)) == configuration.variables.keys()
    assert set(re.findall(r"\blocal\.(\w+)", text)) == configuration.locals.keys()
    for resource in re.findall(r"\b(runpod_pod|random_password|terraform_data)\.(\w+)", text):
        assert resource in configuration.resources
    for name, key in re.findall(r"\blocal\.(pod|dns_names)\.(\w+)", text):
        assert key in configuration.locals[name] or (name, key) == ("dns_names", "head")


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda folder: folder.name)
def test_examples_call_the_module_as_it_is(folder: Path) -> None:
    configuration = load(folder)
    required = {name for name, variable in CLUSTER.variables.items() if "default" not in variable}
    for body in configuration.modules.values():
        assert (folder / body["source"]).resolve() == MODULE
        assert required <= body.keys() - {"source"} <= CLUSTER.variables.keys()
    for module, output in re.findall(r"\bmodule\.(\w+)\.(\w+)", configuration.expressions()):
        assert module in configuration.modules
        assert output in CLUSTER.outputs


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_everything_says_what_it_is_and_secrets_are_marked(folder: Path) -> None:
    configuration = load(folder)
    for name, body in (configuration.variables | configuration.outputs).items():
        assert body["description"].endswith("."), name
        assert (name == "munge_key") == body.get("sensitive", False), name
    for name, variable in configuration.variables.items():
        assert "type" in variable, name
        # null stands for something wherever it is the default, and is refused everywhere else.
        assert folder != MODULE or (variable.get("nullable") is False) == (variable.get("default", 0) is not None), name


def test_there_is_no_default_for_what_only_the_user_can_choose() -> None:
    assert {name for name, variable in CLUSTER.variables.items() if "default" not in variable} == {
        "image_name",
        "gpu_type_ids",
    }


def test_all_pods_are_alike_but_for_their_part() -> None:
    head, worker = CLUSTER.pods()["head"], CLUSTER.pods()["worker"]
    own = {"name", "env", "lifecycle", "count"}
    assert {key: head[key] for key in head.keys() - own} == {key: worker[key] for key in worker.keys() - own}
    assert head["lifecycle"] == [{"replace_triggered_by": ["${terraform_data.pod}"]}]
    assert worker["lifecycle"] == [{"replace_triggered_by": ["${terraform_data.pod}", "${runpod_pod.head.id}"]}]
    # All that users may change is in the hash, or a change of it would not reach the pods.
    assert CLUSTER.resources["terraform_data", "pod"]["input"] == "${sha256(jsonencode(local.pod))}"
    for pod in (head, worker):
        used = {name for value in pod.values() for name in re.findall(r"\bvar\.(\w+)", str(value))}
        assert used <= {"cluster_name", "worker_count"}
    assert "CLUSTER_NAME = var.cluster_name" in CLUSTER.locals["pod"]["env"]


@pytest.mark.parametrize("folder", [MODULE, MODULE / "examples/pods"], ids=lambda folder: folder.name)
def test_the_pods_understand_their_environment(folder: Path) -> None:
    configuration = load(folder)
    common = environment(configuration.locals["pod"]["env"]) if folder == MODULE else {}
    values = {
        r"\$\{runpod_pod\.\w+\.id\}": "8xk2qlh9a1b2c3",
        r"\$\{count\.index \+ 1\}": "2",
        r".*munge_key.*": "0123456789abcdef" * 4,
        r"var\.cluster_name": configuration.variables.get("cluster_name", {}).get("default", ""),
        r"var\.ssh_public_key": "",
    }
    for role, body in zip(("head", "worker"), configuration.pods().values(), strict=True):
        environ = common | environment(body["env"])
        assert environ.keys() <= KNOWN
        for pattern, value in values.items():
            environ = {name: re.sub(pattern, value, text) for name, text in environ.items()}
        found, problems = settings.read(environ)
        assert (found.role, found.cluster_name, problems) == (role, "gpu-watchdog", [])
        assert found.head_address == (None if role == "head" else "8xk2qlh9a1b2c3.runpod.internal")
        assert found.munge_key == values[r".*munge_key.*"].encode()
        assert found.node_name == (None if folder != MODULE else {"head": "head", "worker": "worker2"}[role])


def test_users_cannot_override_what_the_module_sets() -> None:
    reserved = CLUSTER.locals["reserved_env"]
    aliases = {variable.alias for variable in variables.VARIABLES}
    assert set(reserved) <= KNOWN | aliases
    for env in (CLUSTER.locals["pod"]["env"], *(pod["env"] for pod in CLUSTER.pods().values())):
        assert environment(env).keys() <= set(reserved)
    (validation,) = CLUSTER.variables["env"]["validation"]
    assert "setintersection(keys(var.env), local.reserved_env)" in validation["condition"]


def test_private_ports_are_the_pods_own() -> None:
    assert {CLUSTER.resolve(port) for port in CLUSTER.locals["private_ports"]} == PRIVATE_PORTS
    assert CLUSTER.locals["gpu_exporter_port"] == DEFAULTS.gpu_exporter_port
    assert CLUSTER.locals["slurm_exporter_port"] == DEFAULTS.slurm_exporter_port
    assert any("local.private_ports" in rule["condition"] for rule in CLUSTER.variables["ports"]["validation"])


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_no_private_port_is_exposed(folder: Path) -> None:
    configuration = load(folder)
    exposed = [pod["ports"] for pod in configuration.pods().values()]
    exposed += [module["ports"] for module in configuration.modules.values() if "ports" in module]
    for ports in exposed:
        value = configuration.resolve(ports)
        listed = CLUSTER.variables["ports"]["default"] if value == "${var.ports}" else value
        assert listed == ["22/tcp"]
        assert not {int(port.partition("/")[0]) for port in listed} & PRIVATE_PORTS


def test_outputs_speak_of_every_pod_and_of_a_price_that_is_not_known_yet() -> None:
    values = {name: body["value"] for name, body in CLUSTER.outputs.items()}
    assert values["head_ssh_info"] == "runpodctl ssh info ${runpod_pod.head.id}"
    assert "for index, pod in runpod_pod.worker" in values["worker_ssh_info"]
    assert '"worker${index + 1}" => "runpodctl ssh info ${pod.id}"' in values["worker_ssh_info"]
    # A sum with null in it is an error, and so would be `terraform destroy` after a pod that was not made.
    assert "coalesce(pod.cost_per_hr, 0)" in values["cost_per_hour"]


def test_limits_are_the_pods_own() -> None:
    (workers,) = CLUSTER.variables["worker_count"]["validation"]
    most = int(re.findall(r"<= (\d+)", workers["condition"])[0])
    assert most + 1 == DEFAULTS.max_nodes, "MAX_NODES would have to be set for more"
    # A reference that RunPod did not replace would be a key that anybody can guess.
    reference = CLUSTER.locals["munge_key_secret"].rpartition(' : "')[2]
    assert reference == '{{ RUNPOD_SECRET_${var.munge_key_secret_name} }}"}'
    with pytest.raises(variables.Wrong, match="a reference that was not replaced"):
        variables.munge_secret("{{ RUNPOD_SECRET_the_key_of_this_cluster }}")
    checks = CLUSTER.resources["terraform_data", "pod"]["lifecycle"][0]["precondition"]
    assert f">= {variables.MUNGE_KEY_MIN_BYTES}" in checks[0]["condition"]


@pytest.mark.parametrize("text", ["gpu-watchdog", "a", "A_1", "a" * 63, "a" * 64, "", "-a", "a-", "a b", "ä", "a.b"])
def test_cluster_names_are_the_pods_own(text: str) -> None:
    (rule,) = CLUSTER.variables["cluster_name"]["validation"]
    pattern = re.findall(r'regex\("(.*)", var', rule["condition"])[0]
    try:
        taken = variables.name(text) == text
    except variables.Wrong:
        taken = False
    assert bool(re.search(pattern, text)) == taken


@pytest.mark.parametrize("word", ["default", "all", "localhost", "none", "None"])
def test_words_that_slurm_keeps_are_no_cluster_names(word: str) -> None:
    (rule,) = CLUSTER.variables["cluster_name"]["validation"]
    with pytest.raises(variables.Wrong):
        variables.name(word)
    assert f'"{word.lower()}"' in rule["condition"]
    assert "lower(var.cluster_name)" in rule["condition"]
