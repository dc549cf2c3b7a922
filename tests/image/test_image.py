"""What the image is made of."""

from __future__ import annotations

import base64
import ipaddress
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bootstrap.munge_key import BAKED_KEY, derive
from bootstrap.variables import JUPYTER_PORT, SSH_PORT
from local.pod import REPOSITORY
from tests.image.build import Entry, Image, build
from tests.system.docker import docker

SECRET = "build-secret-that-nobody-may-read-0123456789"
MOST_ADDED_BYTES = 250_000_000

# Whichever comes first builds or unpacks an image, and what a fixture takes counts.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def entries(image: Image) -> list[Entry]:
    """Everything in the layers above the base."""
    return list(image.own_entries())


@pytest.fixture(scope="module")
def with_secret(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The same image, built with the cluster's secret."""
    file = tmp_path_factory.mktemp("secret") / "munge-key"
    file.write_text(f"{SECRET}\n")
    return build(secret=file)[0]


def key_of(image: Image) -> bytes:
    return bytes.fromhex(image.shell(f"od -An -v -tx1 {BAKED_KEY}").replace(" ", "").replace("\n", ""))


def test_what_it_adds_to_its_base_is_small(image: Image) -> None:
    added = image.inspected["Size"] - image.base.inspected["Size"]
    assert 1_000_000 < added < MOST_ADDED_BYTES


def test_nothing_of_the_build_is_left(entries: list[Entry]) -> None:
    left = re.compile(
        r"/(?:usr/)?bin/(?:\w+-linux-gnu-)?(?:gcc|cc|g\+\+|make|ld)(?:-\d+)?$"  # compilers
        r"|\.(?:c|h|o|a|la)$|^/usr/src/.|^/build/|^/slurm/"  # sources and what developers use
        r"|/var/lib/apt/lists/.|/var/cache/apt/archives/.+\.deb$|/root/\.cache/"
        r"|/pip/|/usr/sbin/policy-rc\.d$"
    )
    assert [entry.path for entry in entries if left.search(entry.path)] == []


def test_no_key_was_left_by_a_packages_script(entries: list[Entry]) -> None:
    keys = [entry for entry in entries if re.search(r"munge\.key|munged\.seed|ssh_host_|\.pem$|id_rsa", entry.path)]
    assert [(entry.path, entry.mode & 0o777) for entry in keys] == [(BAKED_KEY, 0o400)]


def test_the_key_is_in_one_file_of_one_layer(image: Image, entries: list[Entry]) -> None:
    key = key_of(image)
    assert len(key) == 128
    assert [entry.path for entry in entries if key in entry.content] == [BAKED_KEY]
    assert key.hex() not in image.history()


def test_a_build_secret_becomes_the_key_and_is_nowhere(with_secret: Image) -> None:
    """The same secret as MUNGE_KEY is the same key; what is made of it is in its file alone."""
    key = derive(SECRET.encode())
    assert key_of(with_secret) == key
    entries = list(with_secret.own_entries())
    assert [entry.path for entry in entries if key in entry.content] == [BAKED_KEY]
    told = with_secret.history() + str(with_secret.inspected)
    for text in (SECRET, key.hex(), base64.b64encode(key).decode()):
        assert text not in told
        assert [entry.path for entry in entries if text.encode() in entry.content] == []


def test_a_build_secret_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("sesame\n")
    _, log = build(secret=tmp_path / "short", check=False)
    assert "The build secret munge_key has 6 bytes, which can be guessed. Write 32 bytes or more" in log
    assert "sesame" not in log


def test_each_build_has_a_key_of_its_own_and_keeps_the_slow_layers(image: Image, tmp_path: Path) -> None:
    copy = tmp_path / "context"
    for name in ("bootstrap", "exporters", "conf", "docker"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Dockerfile", ".dockerignore", "requirements.txt"):
        shutil.copy(REPOSITORY / name, copy / name)
    for name in ("exporters/__init__.py", "docker/build.sh"):
        with (copy / name).open("a") as file:
            file.write("# changed\n")
    other, _ = build(copy)
    assert key_of(other) != key_of(image)
    # Slurm and the distribution's packages, the Python environment, the link to supervisorctl.
    kept = len(image.base.layers) + 3
    assert other.layers[:kept] == image.layers[:kept]
    assert other.layers != image.layers


def test_the_bases_python_is_untouched(image: Image) -> None:
    """Other versions of the packages that the product uses stay what they were."""
    ask = "import yaml, prometheus_client; print(yaml.__version__, yaml.__file__)"
    assert image.shell(f"python3 -c '{ask}'") == image.base.shell(f"python3 -c '{ask}'")
    sums = "find /usr/lib/python3 /usr/local/lib -name '*.py' -o -name '*.so' | sort | xargs sha256sum"
    assert image.shell(sums) == image.base.shell(sums)
    assert image.shell("command -v python3 pip supervisord gpu-exporter; echo $PATH").split() == [
        "/usr/bin/python3",
        image.shell("echo $PATH").strip(),
    ]


def test_labels_say_what_it_is(image: Image) -> None:
    labels = image.inspected["Config"]["Labels"]
    # Empty where git is not there or refuses, as for a tree of another user; docker/build.sh goes on as well.
    ask = "git rev-parse --verify --quiet HEAD 2>/dev/null || true"
    revision = subprocess.run(["sh", "-c", ask], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    prefix = "org.opencontainers.image."
    assert labels[f"{prefix}title"] == "GPU Watchdog"
    assert labels[f"{prefix}version"] == "test"
    assert labels[f"{prefix}revision"].removesuffix("-dirty") == revision.strip()
    assert labels[f"{prefix}source"] == "https://example.com/gpu-watchdog"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", labels[f"{prefix}created"])


def test_how_it_starts_and_stops(image: Image) -> None:
    config = image.inspected["Config"]
    assert config["Entrypoint"] == ["/opt/gpu-watchdog/venv/bin/python", "-I", "-m", "bootstrap"]
    assert not config["Cmd"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"]["Test"][0] == "CMD"
    assert {f"{SSH_PORT}/tcp", f"{JUPYTER_PORT}/tcp", "9341/tcp", "9400/tcp"} == set(config["ExposedPorts"])


def test_another_command_runs_instead(image: Image) -> None:
    assert re.fullmatch(r"slurm\S* \d\d\.\d\d\.\d+\n", image.run("sbatch", "--version")[1])
    assert image.run("bash", "-c", "echo $0 $PPID", "one")[1] == "one 0\n"
    status, said = image.run("no-such-program", check=False)
    assert status == 127
    assert "ERROR no-such-program cannot be run: No such file or directory" in said


def test_a_tarball_that_is_not_the_released_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "slurm.tar.gz").write_bytes(b"not Slurm")
    subnet = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}").stdout.strip()
    address = str(ipaddress.ip_network(subnet)[1])  # the machine's own on the network of builds
    server = subprocess.Popen(
        ["python3", "-m", "http.server", "0", "--bind", address, "--directory", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/local/bin:/usr/bin:/bin"},
    )
    try:
        assert server.stdout is not None
        found = re.search(r"port (\d+)", server.stdout.readline())
        assert found
        place = f"{address}:{found[1]}/slurm.tar.gz"
        arguments = {"SLURM_SOURCE": "tarball", "SLURM_VERSION": "26.05.5", "SLURM_URL": f"http://me:tok3n@{place}"}
        _, log = build(target="slurm-tarball", arguments=arguments, check=False)
    finally:
        server.kill()
        server.communicate()
    assert "The tarball of Slurm 26.05.5 is not the one that was released." in log
    assert "expected sha256 42cc1177e14db84a0f1407ed1e01f7d0e5e12a3cb1a12da3ce00d63e17021bb3" in log
    assert (
        f"got      sha256 f405b9e11b767922f6d2c9ec3f58612ba742417c1e1f12365a698c6202497fd5 from http://***@{place}"
        in log
    )
    assert "tok3n" not in log
