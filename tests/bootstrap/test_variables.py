from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.variables import VARIABLES, Variable, Worker, Wrong, without_secrets
from tests.bootstrap import keys
from tests.bootstrap.keys import ED25519, RSA, SK_ED25519

BY_NAME = {variable.name: variable for variable in VARIABLES}

GOOD: list[tuple[str, str, Any]] = [
    ("NODE_ROLE", "head", "head"),
    ("NODE_ROLE", "worker", "worker"),
    ("HEAD_NODE_IP", "10.0.0.5", "10.0.0.5"),
    ("HEAD_NODE_IP", "fd00:0:0::5", "fd00::5"),
    ("HEAD_NODE_IP", "[fd00::5]", "fd00::5"),
    ("HEAD_NODE_IP", "abc123.runpod.internal", "abc123.runpod.internal"),
    ("HEAD_NODE_IP", "abc123.runpod.internal.", "abc123.runpod.internal"),
    ("HEAD_NODE_IP", "head", "head"),
    ("HEAD_NODE_IP", "a" * 63 + "." + "b" * 63, "a" * 63 + "." + "b" * 63),
    ("CLUSTER_NAME", "team-7_b", "team-7_b"),
    ("CLUSTER_NAME", "x", "x"),
    ("CLUSTER_NAME", "a" * 63, "a" * 63),
    ("WORKER_NODES", "w1:10.0.0.6", (Worker("w1", "10.0.0.6"),)),
    ("WORKER_NODES", " w1:10.0.0.6 , w2:[fd00::7],", (Worker("w1", "10.0.0.6"), Worker("w2", "fd00::7"))),
    ("WORKER_NODES", ",", ()),
    ("MAX_NODES", "1", 1),
    ("MAX_NODES", "65000", 65000),
    ("MAX_NODES", "007", 7),
    ("PARTITION_NAME", "h100", "h100"),
    ("NODE_IP", "192.168.1.9", "192.168.1.9"),
    ("NODE_IP", "FD00::9", "fd00::9"),
    ("NODE_NAME", "pod-1", "pod-1"),
    ("MUNGE_KEY", "k" * 32, b"k" * 32),
    ("MUNGE_KEY", "  " + "k" * 40 + "\n", b"k" * 40),
    ("MUNGE_KEY", "ü" * 16, "ü".encode() * 16),
    ("MUNGE_KEY", "\udcff" * 32, b"\xff" * 32),
    ("MUNGE_KEY_FILE", "/run/secrets/munge.key", "/run/secrets/munge.key"),
    ("STATE_DIR", "/data/slurm_state+1@x", "/data/slurm_state+1@x"),
    ("STATE_DIR", "/data/", "/data"),
    ("STATE_DIR", "/.hidden/..x", "/.hidden/..x"),
    ("GPU_METRICS", "default", "default"),
    ("GPU_METRICS", "all", "all"),
    ("GPU_METRICS", "/workspace/my-counters.csv", "/workspace/my-counters.csv"),
    ("DCGM_EXPORTER_INTERVAL", "100", 100),
    ("DCGM_EXPORTER_INTERVAL", "30000", 30000),
    ("GPU_EXPORTER_HOSTNAME_LABEL", "Hostname", "Hostname"),
    ("GPU_EXPORTER_HOSTNAME_LABEL", "hostname", "hostname"),
    ("GPU_EXPORTER_HPC_JOB_LABELS", "info", "info"),
    ("GPU_EXPORTER_HPC_JOB_LABELS", "duplicate", "duplicate"),
    ("DCGM_HPC_JOB_MAPPING_DIR", "/run/dcgm/jobs/", "/run/dcgm/jobs"),
    ("GPU_PROCESS_METRICS", "on", "on"),
    ("GPU_PROCESS_METRICS", "off", "off"),
    ("SLURM_EXPORTER_INTERVAL", "3600000", 3_600_000),
    ("SLURM_EXPORTER_JOB_METRICS", "0", 0),
    ("SLURM_EXPORTER_JOB_METRICS", "100000", 100_000),
    ("GPU_EXPORTER_PORT", "1", 1),
    ("GPU_EXPORTER_PORT", "65535", 65535),
    ("SLURM_EXPORTER_PORT", "9999", 9999),
    *(("PUBLIC_KEY", key, (key,)) for key in keys.ALL.values()),
    ("PUBLIC_KEY", f"{ED25519} me@laptop of mine, ünïcode", (f"{ED25519} me@laptop of mine, ünïcode",)),
    ("PUBLIC_KEY", f"  {ED25519} me \r\n", (f"{ED25519} me",)),
    ("PUBLIC_KEY", f"{ED25519} a\n# of the team\n\n{RSA} b\n{SK_ED25519}", (f"{ED25519} a", f"{RSA} b", SK_ED25519)),
    ("PUBLIC_KEY", f'from="10.0.0.0/8",no-pty {ED25519} a', (f'from="10.0.0.0/8",no-pty {ED25519} a',)),
    ("PUBLIC_KEY", f'command="echo \\"hi\\" ssh-rsa" {ED25519}', (f'command="echo \\"hi\\" ssh-rsa" {ED25519}',)),
    ("PUBLIC_KEY", f"cert-authority {RSA}", (f"cert-authority {RSA}",)),
    ("PUBLIC_KEY", "# none yet\n", ()),
    ("JUPYTER_PASSWORD", "abcdefgh", "abcdefgh"),
    ("JUPYTER_PASSWORD", "%$'\"\\#;`!{}", "%$'\"\\#;`!{}"),
    ("JUPYTER_PASSWORD", "pässwörd", "pässwörd"),
    ("SESSION_ENV", "HF_TOKEN", ("HF_TOKEN",)),
    ("SESSION_ENV", " HF_TOKEN , WANDB_API_KEY,_x1,", ("HF_TOKEN", "WANDB_API_KEY", "_x1")),
    ("SESSION_ENV", ",", ()),
]

PRIVATE = "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAA\n" * 5
NO_KEY = "has no SSH public key in line 1. Write the content of a .pub file, one key a line"


def blob(kind: str) -> str:
    """The base64 of a key that calls itself so."""
    return base64.b64encode(len(kind).to_bytes(4, "big") + kind.encode() + bytes(36)).decode()


BAD: list[tuple[str, str, str]] = [
    ("NODE_ROLE", "HEAD", "did you mean head?"),
    ("NODE_ROLE", "Worker", "did you mean worker?"),
    ("NODE_ROLE", "foo", "is not a role."),
    ("NODE_ROLE", " head", "is not a role."),
    ("NODE_ROLE", "head\n", "is not a role."),
    ("HEAD_NODE_IP", "10.0.0.5:6817", "Write it without one: '10.0.0.5' ("),
    ("HEAD_NODE_IP", "head.internal:7000", "Write it without one: 'head.internal' ("),
    ("HEAD_NODE_IP", "[fd00::5]:6817", "Write it without one: '[fd00::5]' ("),
    ("HEAD_NODE_IP", "10.0.0.5 10.0.0.6", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", " 10.0.0.5", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", "head.internal\n", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", "localhost", "is this pod itself"),
    ("HEAD_NODE_IP", "LocalHost.", "is this pod itself"),
    ("HEAD_NODE_IP", "127.0.0.1", "no other pod can reach"),
    ("HEAD_NODE_IP", "::1", "no other pod can reach"),
    ("HEAD_NODE_IP", "0.0.0.0", "no other pod can reach"),
    ("HEAD_NODE_IP", "224.0.0.1", "no other pod can reach"),
    ("HEAD_NODE_IP", "10.0.0.256", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", "10.0.5", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", "a..b", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", "http://head", "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", "a" * 64, "neither an IP address nor a DNS name"),
    ("HEAD_NODE_IP", ".".join(["a" * 60] * 5), "neither an IP address nor a DNS name"),
    ("CLUSTER_NAME", "two words", "is not a name Slurm can take"),
    ("CLUSTER_NAME", "-x", "is not a name Slurm can take"),
    ("CLUSTER_NAME", "x-", "is not a name Slurm can take"),
    ("CLUSTER_NAME", "a" * 64, "is not a name Slurm can take"),
    ("CLUSTER_NAME", "naïve", "is not a name Slurm can take"),
    ("PARTITION_NAME", "ALL", "keeps for itself"),
    ("PARTITION_NAME", "default", "keeps for itself"),
    ("NODE_NAME", "node[1-3]", "is not a name Slurm can take"),
    ("NODE_NAME", "localhost", "keeps for itself"),
    ("NODE_NAME", "pod.example", "is not a name Slurm can take"),
    ("WORKER_NODES", "w1", "'w1' without an address"),
    ("WORKER_NODES", "w1:10.0.0.6,w2:", "'w2:' without an address"),
    ("WORKER_NODES", "w1:10.0.0.6,w1:10.0.0.7", "in it already"),
    ("WORKER_NODES", "w1:10.0.0.6,w2:10.0.0.6", "in it already"),
    ("WORKER_NODES", "w1:[fd00::6],w2:[fd00:0::6]", "in it already"),
    ("WORKER_NODES", "w1:fd00::6", "bare IPv6 address"),
    ("WORKER_NODES", "w1:10.0.0.6:6818", "with a port"),
    ("WORKER_NODES", "w1:pod.internal", "is not an IP address"),
    ("WORKER_NODES", "w 1:10.0.0.6", "is not a name Slurm can take"),
    ("WORKER_NODES", "w1:127.0.0.1", "no other pod can reach"),
    ("WORKER_NODES", "w" * 90 + ":x", "..."),
    ("MAX_NODES", "0", "from 1 to 65000"),
    ("MAX_NODES", "65001", "from 1 to 65000"),
    ("MAX_NODES", "-1", "from 1 to 65000"),
    ("MAX_NODES", "1e3", "from 1 to 65000"),
    ("MAX_NODES", "٣", "from 1 to 65000"),
    ("MAX_NODES", "9" * 5000, "from 1 to 65000"),
    ("NODE_IP", "pod.internal", "is not an IP address"),
    ("NODE_IP", "10.0.0.5/24", "is not an IP address"),
    ("NODE_IP", "::", "no other pod can reach"),
    ("MUNGE_KEY", "abc", "has 3 bytes"),
    ("MUNGE_KEY", "k" * 31 + "\n", "has 31 bytes"),
    ("MUNGE_KEY_FILE", "munge.key", "is not a path"),
    ("STATE_DIR", "state", "is not a path"),
    ("STATE_DIR", "/", "is not a path"),
    ("STATE_DIR", "/my state", "is not a path"),
    ("STATE_DIR", "/data/../etc", "is not a path"),
    ("STATE_DIR", "/data/.", "is not a path"),
    ("STATE_DIR", "//data", "is not a path"),
    ("STATE_DIR", "/data%h", "is not a path"),
    ("STATE_DIR", "/data\n", "is not a path"),
    ("GPU_METRICS", "most", "is neither a set of metrics nor a path. Write default, extended, all or an absolute"),
    ("GPU_METRICS", "counters.csv", "is neither a set of metrics nor a path"),
    ("GPU_METRICS", "/my counters.csv", "is neither a set of metrics nor a path"),
    ("DCGM_EXPORTER_INTERVAL", "99", "is not a whole number from 100 to 3600000. Write milliseconds, digits only"),
    ("DCGM_EXPORTER_INTERVAL", "3600001", "is not a whole number from 100 to 3600000"),
    ("DCGM_EXPORTER_INTERVAL", "1s", "is not a whole number from 100 to 3600000"),
    ("GPU_EXPORTER_HOSTNAME_LABEL", "host", "is none of Hostname, hostname. Write one of them"),
    ("GPU_EXPORTER_HOSTNAME_LABEL", "HOSTNAME", "is none of Hostname, hostname"),
    ("GPU_EXPORTER_HPC_JOB_LABELS", "all", "is none of info, duplicate"),
    ("DCGM_HPC_JOB_MAPPING_DIR", "jobs", "is not a path that can be used here"),
    ("DCGM_HPC_JOB_MAPPING_DIR", "/my jobs", "is not a path that can be used here"),
    ("GPU_PROCESS_METRICS", "true", "is none of on, off. Write one of them"),
    ("GPU_PROCESS_METRICS", "1", "is none of on, off"),
    ("SLURM_EXPORTER_INTERVAL", "5", "is not a whole number from 100 to 3600000. Write milliseconds, digits only"),
    ("SLURM_EXPORTER_JOB_METRICS", "100001", "is not a whole number from 0 to 100000"),
    ("SLURM_EXPORTER_JOB_METRICS", "all", "is not a whole number from 0 to 100000"),
    ("GPU_EXPORTER_PORT", "0", "from 1 to 65535"),
    ("GPU_EXPORTER_PORT", "70000", "from 1 to 65535"),
    ("SLURM_EXPORTER_PORT", "http", "from 1 to 65535"),
    ("PUBLIC_KEY", "ssh-ed25519", NO_KEY),
    ("PUBLIC_KEY", "github:me", NO_KEY),
    ("PUBLIC_KEY", "/root/.ssh/id_ed25519.pub", NO_KEY),
    ("PUBLIC_KEY", "SHA256:f18I2rZvATmvyTKImMd95ObGfFk5kk/3HGgz5UAAAnY", NO_KEY),
    ("PUBLIC_KEY", ED25519.split()[1], NO_KEY),
    ("PUBLIC_KEY", f'"{ED25519}"', NO_KEY),
    ("PUBLIC_KEY", ED25519.replace(" ", ""), NO_KEY),
    ("PUBLIC_KEY", ED25519.replace(" ", "\n"), NO_KEY),
    ("PUBLIC_KEY", "ssh-ed25519 " + RSA.split()[1], NO_KEY),
    ("PUBLIC_KEY", "ssh-rsa " + ED25519.split()[1], NO_KEY),
    ("PUBLIC_KEY", "ssh-ed25519 " + blob("ssh-ed25518"), NO_KEY),
    ("PUBLIC_KEY", "ssh-ed25519 " + ED25519.split()[1][:-1], NO_KEY),
    ("PUBLIC_KEY", "ssh-ed25519 not/base64=at+all====", NO_KEY),
    ("PUBLIC_KEY", f"{ED25519} me\x1b[31m", NO_KEY),
    ("PUBLIC_KEY", f"{ED25519} \udcff", NO_KEY),
    ("PUBLIC_KEY", f"{ED25519}\n\n# here it is:\nssh-rsa AAAA\n{RSA}", "has no SSH public key in line 4."),
    ("PUBLIC_KEY", PRIVATE, "holds a private key. Make a new key pair, as this one is known now"),
    ("PUBLIC_KEY", PRIVATE.replace("\n", " "), "holds a private key."),
    ("PUBLIC_KEY", f"{ED25519}\n{PRIVATE}", "holds a private key."),
    ("JUPYTER_PASSWORD", "sesame7", "has 7 characters, which can be guessed. Write 8 or more"),
    ("JUPYTER_PASSWORD", "correct horse", "has white space or control characters. Write letters, digits and signs"),
    ("JUPYTER_PASSWORD", "abcdefgh\n", "has white space or control characters"),
    ("JUPYTER_PASSWORD", "abcdefgh\u00a0", "has white space or control characters"),
    ("JUPYTER_PASSWORD", "abcdefgh\x7f", "has white space or control characters"),
    ("JUPYTER_PASSWORD", "abcdefgh\udcff", "has white space or control characters"),
    (
        "SESSION_ENV",
        "HF_TOKEN WANDB_API_KEY",
        "has 'HF_TOKEN WANDB_API_KEY', which is not a variable's name. Write names",
    ),
    ("SESSION_ENV", "HF_TOKEN,HF-TOKEN", "has 'HF-TOKEN', which is not a variable's name"),
    ("SESSION_ENV", "1X", "has '1X', which is not a variable's name"),
    ("SESSION_ENV", "Ü", "has 'Ü', which is not a variable's name"),
    ("SESSION_ENV", "A\x1b[31m", r"has 'A\x1b[31m', which is not a variable's name"),
]


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_good_value(name: str, text: str, value: object) -> None:
    assert BY_NAME[name].parse(text) == value


@pytest.mark.parametrize(("name", "text", "words"), BAD)
def test_bad_value_says_what_is_wrong(name: str, text: str, words: str) -> None:
    with pytest.raises(Wrong) as caught:
        BY_NAME[name].parse(text)
    assert words in str(caught.value)
    assert caught.value.write


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_every_row_has_good_and_bad_values_above(variable: Variable) -> None:
    assert variable.name in {name for name, _, _ in GOOD}
    assert variable.name in {name for name, _, _ in BAD}
    assert variable.meaning
    assert variable.default


def test_ten_thousand_workers_are_read() -> None:
    text = ",".join(f"w{number}:10.{number >> 8}.{number & 255}.1" for number in range(10_000))
    found = BY_NAME["WORKER_NODES"].parse(text)
    assert len(found) == 10_000
    assert found[9_999] == Worker("w9999", "10.39.15.1")


def test_secrets_are_marked() -> None:
    assert [variable.name for variable in VARIABLES if variable.secret] == [
        "MUNGE_KEY",
        "PUBLIC_KEY",
        "JUPYTER_PASSWORD",
    ]


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, text, _ in BAD if BY_NAME[name].secret])
def test_secret_is_never_in_its_complaint(name: str, text: str) -> None:
    with pytest.raises(Wrong) as caught:
        BY_NAME[name].parse(text)
    words = {word for word in text.split() if len(word) > 2} - {"of", "the", "here", "private", "key", "ssh-rsa"}
    assert not [word for word in words if word in str(caught.value)]


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()))
def test_public_key_is_as_it_calls_itself_or_refused(text: str) -> None:
    for kind in ("ssh-ed25519", "ecdsa-sha2-nistp256"):
        with pytest.raises(Wrong):
            BY_NAME["PUBLIC_KEY"].parse(f"{kind} {text}")


@given(st.lists(st.sampled_from(sorted(keys.ALL.values())), min_size=1), st.text(max_size=20))
def test_each_line_of_public_keys_has_one(texts: list[str], comment: str) -> None:
    try:
        found = BY_NAME["PUBLIC_KEY"].parse("\n".join(f"{text} {comment}" for text in texts))
    except Wrong:
        return
    assert all("\n" not in line and any(text in line for text in texts) for line in found)
    assert len(found) >= len(texts)


def test_long_garbage_is_refused_at_once() -> None:
    """Patterns that look back and forth would take for ever here; pytest's timeout is the limit."""
    for garbage in ("ssh-" * 50_000, "ssh-rsa " * 25_000, "ssh-rsa " + "A" * 200_000 + "!", " " * 200_000):
        with pytest.raises(Wrong):
            BY_NAME["PUBLIC_KEY"].parse(garbage + "x")


def test_environment_without_our_secrets() -> None:
    environ = {"MUNGE_KEY": "a", "PUBLIC_KEY": "b", "JUPYTER_PASSWORD": "c", "MUNGE_KEY_FILE": "/d", "HF_TOKEN": "e"}
    assert without_secrets(environ) == {"MUNGE_KEY_FILE": "/d", "HF_TOKEN": "e"}
