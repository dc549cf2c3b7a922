"""That sshd itself takes the configuration is tested where there is one: in the image."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bootstrap import sessions
from bootstrap.variables import VARIABLES
from tests.bootstrap.keys import ED25519, RSA

SECRETS = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "WANDB_API_KEY",
    "RUNPOD_API_KEY",
    "OPENAI_APIKEY",
    "GITHUB_PAT",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AZURE_CLIENT_SECRET",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "JUPYTER_TOKEN",
    "DEPLOY_KEYS",
    "APP_SECRETS",
    "PGPASSWORD",
    "DB_PASSWD",
    "SMTP_PASS",
    "SSHPASS",
    "PGPASS",
    "MYPASS",
    "MYPASS2",
    "SSH_PASSPHRASE",
    "GCP_CREDS",
    "DOCKERCREDS",
    "CRED",
    "COOKIE",
    "SESSION_COOKIES",
    "REGISTRY_AUTH",
    "MY_PRIVATE_THING",
    "MUNGE_KEY_FILE",
    "hf_token",
    "TOKEN",
    "_KEY_",
)
NO_SECRETS = (
    "TOKENIZERS_PARALLELISM",
    "TOKENIZERS",
    "MONKEYPATCH",
    "KEYBOARD",
    "AUTHOR",
    "AUTHORITY_URL",
    "PATH",
    "LD_LIBRARY_PATH",
    "PATTERN",
    "COMPASS",
    "PASSENGER_HOME",
    "BYPASS",
    "PROXY_BYPASS",
    "OVERPASS_URL",
    "SACRED",
    "INCREDIBLE",
    "SECRETARY",
    "RUNPOD_POD_ID",
    "RUNPOD_PUBLIC_IP",
    "CUDA_VERSION",
    "NVIDIA_VISIBLE_DEVICES",
    "NODE_ROLE",
    "A",
    "_",
)
ADDRESSES = (
    "postgres://me:pw@db.internal/x",
    "postgresql+psycopg2://me:p%40ss@db:5432/x?sslmode=require",
    "redis://:pw@cache:6379/0",
    "see https://me:ghp_x@github.com/me/x.git",
    "http://a.example, amqp://me:pw@queue",
)
SECRET_VALUES = (
    "-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3BlbnNzaC1rZXk=\n",
    "here: -----BEGIN RSA PRIVATE " + "KEY-----MIIE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
    "Server=tcp:db,1433;User ID=me;Password=pw;Encrypt=true",
    "host=db user=me password=pw dbname=x",
    "Server=db;Uid=me;Pwd=pw;",
    "Password = 'pw'",
    "jdbc:postgresql://db/x?user=me&password=pw",
    "DefaultEndpointsProtocol=https;AccountName=me;AccountKey=a2V5==;EndpointSuffix=core.windows.net",
    "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=a2V5=",
)
NO_SECRET_VALUES = (
    "",
    "https://pypi.org/simple",
    "https://me@github.com/me/x.git",
    "http://proxy:3128",
    "postgres://db.internal:5432/x",
    "git@github.com:me/x.git",
    "https://example.org/a:b@c",
    "https://example.org:8080/@me:you",
    "10.0.0.5:6817",
    "me:pw@host",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "heyJude",
    "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKeyName=Root",
    "Server=db;Password=;Encrypt=true",
    "PasswordAuthentication=no",
    "--ask-password --user=me",
)
# An environment holds bytes without NUL; Python shows those that are not UTF-8 as lone surrogates.
ANY = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.text(st.sampled_from("'\"\\$`!#;&|<>(){}[]*?~=% \t\n\r\x1b\x7fab\udcff"), max_size=30),
    st.binary().map(lambda data: os.fsdecode(data.replace(b"\0", b""))),
)


@pytest.mark.parametrize("name", SECRETS)
def test_name_of_a_secret(name: str) -> None:
    assert sessions.looks_secret(name, "x")


@pytest.mark.parametrize("name", NO_SECRETS)
def test_name_of_no_secret(name: str) -> None:
    assert not sessions.looks_secret(name, "x")


@pytest.mark.parametrize("value", ADDRESSES)
def test_address_with_a_password(value: str) -> None:
    assert sessions.looks_secret("DATABASE_URL", value)


@pytest.mark.parametrize("value", SECRET_VALUES)
@pytest.mark.parametrize("name", ["A", "CONFIG", "DATABASE_URL"])
def test_value_that_is_a_secret(name: str, value: str) -> None:
    assert sessions.looks_secret(name, value)


@pytest.mark.parametrize("value", NO_SECRET_VALUES)
def test_value_without_a_password(value: str) -> None:
    assert not sessions.looks_secret("DATABASE_URL", value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN2", "x"),
        ("OPENAI_API_KEY2", "x"),
        ("MYSQL_PWD", "x"),
        ("APP_PASSWORDS", "x"),
        ("PIP_INDEX_URL", f"https://ghp_{'0' * 36}@github.com/me/x.git"),
    ],
)
def test_secrets_that_are_well_known(name: str, value: str) -> None:
    assert sessions.looks_secret(name, value)


def test_environment_of_a_session() -> None:
    environ = {
        "PATH": "/usr/bin",
        "HF_TOKEN": "hf_1",
        "WANDB_API_KEY": "wb_1",
        "DATABASE_URL": "postgres://me:pw@db/x",
        "CLUSTER_NAME": "c",
        "EMPTY": "",
        "HOME": "/root",
        "PWD": "/",
        "TERM": "dumb",
        "HOSTNAME": "pod-1",
        "no-name": "x",
        "BASH_FUNC_x%%": "() { :; }",
        "1": "x",
        "": "x",
        "ÜBER": "x",
    }
    seen, hidden = sessions.environment(environ, ("WANDB_API_KEY", "NOT_SET"))
    assert seen == {"CLUSTER_NAME": "c", "EMPTY": "", "PATH": "/usr/bin", "WANDB_API_KEY": "wb_1"}
    assert list(seen) == sorted(seen)
    assert hidden == ["DATABASE_URL", "HF_TOKEN"]


def test_our_secrets_are_never_shown() -> None:
    ours = {variable.name: "x" * 40 for variable in VARIABLES if variable.secret}
    assert set(ours) == {"MUNGE_KEY", "PUBLIC_KEY", "JUPYTER_PASSWORD"}
    assert sessions.environment({**ours, "A": "b"}, tuple(ours)) == ({"A": "b"}, [])


def sourced(folder: Path, seen: dict[str, str]) -> dict[str, str]:
    """The environment of a program that a POSIX shell starts after it has read the file."""
    file = folder / "session.sh"
    file.write_bytes(sessions.environment_file(seen).encode(errors="surrogateescape"))
    command = ["/bin/sh", "-c", '. "$0" && exec env -0', str(file)]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, timeout=30, check=True)
    assert done.stderr == b""
    pairs = (os.fsdecode(pair).partition("=") for pair in done.stdout.split(b"\0") if pair)
    return {name: value for name, _, value in pairs if name not in ("PATH", "PWD", "_", "OLDPWD", "SHLVL")}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ANY, max_size=8))
@example(["it's", 'say "x"', "$HOME `id` $(id)", "a\nexport B=c", "\\", "'", "\n", "\udcff", "", "-n", "!!", "a'\\''b"])
def test_shell_reads_the_same_values_back(tmp_path: Path, values: list[str]) -> None:
    seen = {f"V{number}": value for number, value in enumerate(values)}
    assert sourced(tmp_path, seen) == seen


def test_profile_reads_what_may_be_read(tmp_path: Path) -> None:
    """A login shell of a user who may not, or before the first boot, says nothing of it."""
    file = tmp_path / "session.sh"
    profile = tmp_path / "profile.sh"
    profile.write_text(sessions.PROFILE_TEXT.replace(sessions.ENVIRONMENT, str(file)))

    def login() -> tuple[str, str]:
        command = ["/bin/sh", "-euc", '. "$0"; echo "A=${A:-}"', str(profile)]
        done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=30, check=True)
        return done.stdout, done.stderr

    assert login() == ("A=\n", "")
    file.write_text(sessions.environment_file({"A": "it's"}))
    assert login() == ("A=it's\n", "")


def test_authorized_keys() -> None:
    assert sessions.authorized_keys(()) == ""
    assert sessions.authorized_keys((f"{ED25519} me", RSA)) == f"{ED25519} me\n{RSA}\n"


def keywords(text: str) -> dict[str, str]:
    """Keyword -> its first value, the one that sshd takes."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            keyword, _, value = line.partition(" ")
            found.setdefault(keyword.lower(), value)
    return found


def test_sshd_lets_in_by_key_only() -> None:
    found = keywords(sessions.sshd_config({}))
    assert found["port"] == "22"
    assert found["permitrootlogin"] == "prohibit-password"
    for keyword in ("passwordauthentication", "kbdinteractiveauthentication", "permitemptypasswords", "usepam"):
        assert found[keyword] == "no"
    assert found["authorizedkeysfile"].split() == [".ssh/authorized_keys", sessions.AUTHORIZED_KEYS]
    assert found["hostkey"] == sessions.HOST_KEY
    assert "setenv" not in found


def words(value: str) -> list[str]:
    """What sshd makes of the words after a keyword (OpenSSH, misc.c, argv_split), of those in double quotes."""
    found = re.findall(r'([A-Za-z0-9_]+)="((?:[^"\\]|\\["\\])*)"(?: |$)', value)
    assert " ".join(f'{name}="{text}"' for name, text in found) == value
    return [name + "=" + re.sub(r"\\(.)", r"\1", text) for name, text in found]


def test_sshd_gets_the_whole_environment_in_its_only_setenv() -> None:
    """It takes the first line with a keyword only. Read back by the real one (9.2): `sshd -T`."""
    text = sessions.sshd_config({"A": "plain", "B": 'say "hi" \\ \' $x #c ;', "C": "", "D": "é%h"})
    assert text.splitlines()[-1] == 'SetEnv A="plain" B="say \\"hi\\" \\\\ \' $x #c ;" C="" D="é%h"'
    assert text.count("SetEnv") == 1


@given(st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,5}", fullmatch=True), ANY, max_size=5))
@example({"A": "x\nPermitRootLogin yes"})
@example({"A": "\\", "B": '"', "C": '\\" #'})
def test_no_value_changes_what_sshd_does(seen: dict[str, str]) -> None:
    text = sessions.sshd_config(seen)
    text.encode()
    lines = text.split("\n")
    assert lines == [*text.splitlines(), ""]
    plain = sessions.sshd_config({}).split("\n")
    printable = {name: value for name, value in seen.items() if value.isprintable()}
    assert [line for line in lines if not line.startswith("SetEnv ")] == plain
    assert len(lines) == len(plain) + bool(printable)
    assert words(keywords(text).get("setenv", "")) == [f"{name}={value}" for name, value in printable.items()]
