from __future__ import annotations

import pytest

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.controller import Config, Controller, config, ping
from tests.exporters.slurm.samples import CONFIG


def test_config() -> None:
    assert config(CONFIG) == Config("pods", "24.11.5", accounting=True, host="head", address="10.0.0.1")


@pytest.mark.parametrize(
    ("text", "host", "address"),
    [("head", "head", ""), ("head()", "head", ""), ("head(fd00::1)", "head", "fd00::1"), ("", "", "")],
)
def test_the_controllers_address(text: str, host: str, address: str) -> None:
    found = config(CONFIG.replace("head(10.0.0.1)", text))
    assert (found.host, found.address) == (host, address)


@pytest.mark.parametrize("storage", ["accounting_storage/none", "(null)", ""])
def test_without_a_slurmdbd(storage: str) -> None:
    assert not config(CONFIG.replace("accounting_storage/slurmdbd", storage)).accounting


def test_what_is_not_said_is_empty() -> None:
    assert config("SLURM_VERSION = 22.05.8\n") == Config("", "22.05.8", accounting=False, host="", address="")


@pytest.mark.parametrize("text", ["", "slurm_load_ctl_conf error: Unable to contact slurm controller\n"])
def test_output_that_is_no_configuration(text: str) -> None:
    with pytest.raises(ParseError, match="scontrol show config: no line with SLURM_VERSION"):
        config(text)


def test_ping() -> None:
    text = "Slurmctld(primary) at head is UP\nSlurmctld(backup1) at ä.example is DOWN\n"
    assert ping(text) == (Controller("primary", "head", True), Controller("backup1", "ä.example", False))


def test_a_controller_that_is_down_is_no_error() -> None:
    text = "*****\n** RESTORE SLURMCTLD DAEMON TO SERVICE **\n*****\nSlurmctld(primary) at head is DOWN\n"
    assert ping(text) == (Controller("primary", "head", False),)


@pytest.mark.parametrize("text", ["", "scontrol: error\n"])
def test_output_without_a_controller(text: str) -> None:
    with pytest.raises(ParseError, match="scontrol ping: no line is a controller: "):
        ping(text)
