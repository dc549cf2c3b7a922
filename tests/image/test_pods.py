"""What only containers show: health, SSH, Jupyter, hooks, docker stop and restart."""

from __future__ import annotations

import subprocess
from functools import partial
from pathlib import Path

import pytest

from local.pod import PodError
from local.spec import File
from tests.image.build import Image, build
from tests.system.docker import Container, docker
from tests.system.harness import MUNGE_KEY, Cluster, Pod

HEALTH = ("/opt/gpu-watchdog/venv/bin/python", "-I", "-S", "/opt/gpu-watchdog/bootstrap/health.py")
HEALTHY = "every program runs and the controller knows this node\n"
JUPYTER = "jupyterlab==4.6.6 jupyter-server==2.21.1"
HOST_KEY = "/etc/gpu-watchdog/ssh/ssh_host_ed25519_key"


def container(pod: Pod) -> Container:
    assert isinstance(pod, Container)
    return pod


def health(pod: Pod) -> str:
    return pod.exec(*HEALTH, check=False)


def healthy(pod: Pod) -> bool:
    return health(pod) == HEALTHY


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A new SSH key; `.pub` beside it."""
    file = tmp_path / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True)
    return file


def ssh(address: str, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """A real client, with nothing of this machine's own settings and keys."""
    quiet = ("-F", "/dev/null", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
    argv = ["ssh", *quiet, "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", *options, f"root@{address}", *command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, stdin=subprocess.DEVNULL)


def test_health_follows_the_programs_and_the_node(cluster: Cluster) -> None:
    head = cluster.add_head()
    worker = cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    for pod in (head, worker):
        cluster.until("it is healthy", partial(healthy, pod))
    ask = ("container", "inspect", "--format", "{{.State.Health.Status}}", container(worker).container)
    cluster.until("Docker says so", lambda: docker(*ask).stdout.strip() == "healthy", deadline=60)
    worker.exec("supervisorctl", "stop", "gpu-exporter")
    assert health(worker) == "gpu-exporter is STOPPED\n"
    cluster.until("Docker says so", lambda: docker(*ask).stdout.strip() == "unhealthy", deadline=90)
    worker.exec("supervisorctl", "start", "gpu-exporter")
    cluster.until("it is healthy", lambda: health(worker) == HEALTHY)
    head.exec("scontrol", "update", "nodename=worker1", "state=drain", "reason=test")
    assert health(worker) == HEALTHY, "an administrator wants it so"
    head.exec("scontrol", "update", "nodename=worker1", "state=down", "reason=test of health")
    cluster.until(
        "it says why", lambda: "node worker1 is DOWN" in health(worker) and "test of health" in health(worker)
    )
    head.kill()
    assert "controller" in health(worker)


def test_ssh_with_the_key_only(cluster: Cluster, key: Path, tmp_path: Path) -> None:
    public = Path(f"{key}.pub").read_text()
    shown = {
        "RUNPOD_POD_ID": "abc123",
        "ODD": "a \"q\" 'p' $HOME \\ %h ;#",
        "PATH": "/opt/tool/bin:/usr/sbin:/usr/bin:/bin",
    }
    hidden = {"RUNPOD_API_KEY": "rpa_hidden", "HF_TOKEN": "hf_hidden"}
    opted = {"WANDB_API_KEY": "wandb-shown", "SESSION_ENV": "WANDB_API_KEY"}
    head = cluster.add_head({"PUBLIC_KEY": f"# mine\n{public}\n", **shown, **hidden, **opted})
    cluster.until_idle(["head"])
    cluster.until("all programs run", lambda: "sshd" in cluster.pids("head"))
    login = ("-i", str(key), "-o", "IdentitiesOnly=yes")
    seen = ssh(cluster.head_address, "env; sinfo -h -o %D", options=login)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout.endswith("\n1\n")
    interactive = ssh(cluster.head_address, "bash -lc env", options=(*login, "-tt")).stdout.replace("\r", "")
    for name, value in {**shown, "WANDB_API_KEY": "wandb-shown"}.items():
        assert f"\n{name}={value}\n" in f"\n{seen.stdout}"
        assert f"\n{name}={value}\n" in f"\n{interactive}"
    everything = seen.stdout + interactive + head.logs()
    for secret in (*hidden.values(), MUNGE_KEY):
        assert secret not in everything
    assert "MUNGE_KEY" not in seen.stdout

    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    for options in (("-i", str(other), "-o", "IdentitiesOnly=yes"), ("-o", "IdentityFile=none")):
        refused = ssh(cluster.head_address, "true", options=options)
        assert refused.returncode == 255
        assert "Permission denied (publickey)." in refused.stderr


def test_each_pod_has_a_host_key_of_its_own_and_keeps_it(cluster: Cluster, key: Path) -> None:
    public = {"PUBLIC_KEY": Path(f"{key}.pub").read_text()}
    head = cluster.add_head(public)
    worker = cluster.add_worker("worker1", public)
    cluster.until_idle(["head", "worker1"])

    def host_key(pod: Pod) -> str:
        return pod.exec("cat", f"{HOST_KEY}.pub").split()[1]

    cluster.until("both have one", lambda: host_key(head) and host_key(worker))
    before = host_key(worker)
    assert before != host_key(head)
    assert worker.exec("stat", "-c", "%a", HOST_KEY).strip() == "600"
    container(worker).restart()
    cluster.until("sshd runs", lambda: "sshd" in cluster.pids("worker1"))
    assert host_key(worker) == before


def test_without_a_key_there_is_no_sshd(cluster: Cluster) -> None:
    cluster.add_head()
    cluster.until_idle(["head"])
    assert "sshd" not in cluster.until("all programs run", lambda: cluster.pids("head"))
    assert "refused" in ssh(cluster.head_address, "true").stderr


def test_hooks_of_runpods_images(cluster: Cluster) -> None:
    note = "echo {0} says $0, role $NODE_ROLE, key ${{MUNGE_KEY:-none}}; supervisorctl status >/tmp/{0}-saw 2>&1\n"
    background = "sh -c 'until test -e /tmp/go; do :; done; echo from the background' &\n"
    files = {
        "/pre_start.sh": File(text=note.format("pre") + background),
        "/post_start.sh": File(text=note.format("post") + "touch /tmp/go\nexit 3\n"),
    }
    cluster.expect(r"ERROR /post_start\.sh ended with status 3; the programs go on")
    head = cluster.add_head({"OTHER": "x"}, files=files)
    cluster.until("the last one is done", lambda: "/post_start.sh ended with status 3" in head.logs())
    cluster.until("what a hook left behind still writes", lambda: "\nfrom the background\n" in head.logs())
    assert "\npre says /pre_start.sh, role head, key none\n" in head.logs()
    assert "\npost says /post_start.sh, role head, key none\n" in head.logs()
    assert "RUNNING" not in head.read("/tmp/pre-saw")
    assert head.read("/tmp/post-saw").count("RUNNING") == len(cluster.pids("head"))
    cluster.until_idle(["head"])
    assert head.stop() == 0


def test_a_hook_that_fails_before_the_start_ends_the_boot(cluster: Cluster) -> None:
    cluster.expect(r"ERROR /pre_start\.sh ended with status 7; nothing was started")
    head = cluster.add_head(files={"/pre_start.sh": File(text="exit 7\n")})
    assert head.wait(20) == 1


def test_a_pod_stops_while_a_hook_runs(cluster: Cluster) -> None:
    head = cluster.add_head(files={"/pre_start.sh": File(text="echo it waits\nsleep 600\n")})
    cluster.until("it runs", lambda: "it waits" in head.logs())
    assert head.stop() == 143


def test_docker_stop_leaves_time_for_all(cluster: Cluster) -> None:
    """Its default patience of 10 s is enough, also with a job that does not want to end."""
    head = cluster.add_head()
    worker = cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    job = head.exec("sbatch", "--parsable", "--nodes=2", "--wrap=trap '' TERM; srun sh -c \"trap '' TERM; sleep 600\"")
    cluster.until("it runs", lambda: head.exec("squeue", "-h", "-j", job.strip(), "-o", "%T").strip() == "RUNNING")
    cluster.expect(*GOING)
    for pod in (worker, head):
        docker("stop", container(pod).container)
        assert pod.exit_status == 0
        assert pod.logs().rstrip().endswith("munged stopped")


# What Slurm says of pods that stop under its hands, and of a job that dies with them.
GOING = (
    r"error: .*(?:Connection refused|Unable to contact|Communication connection failure|Unexpected message)",
    r"error: (?:Nodes \S+ not responding|slurm_receive_msgs?|Aborting JobId|Error connecting|Unable to complete)",
    r"error: \*\*\* (?:STEP|JOB) .* CANCELLED|error: .*job_complete|error: service_connection|error: .*epilog",
)


def test_docker_restart_keeps_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    volume = tmp_path / "workspace"
    volume.mkdir()
    head = cluster.add_head(volumes={str(volume): "/workspace"})
    worker = cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    cluster.expect(*GOING)
    job = head.exec("sbatch", "--parsable", "--hold", "--wrap=hostname").strip()
    for pod, name in ((worker, "worker1"), (head, "head")):
        container(pod).restart()
        cluster.until(f"{name} runs", partial(cluster.pids, name))
        cluster.until_idle(["head", "worker1"], deadline=90)
    assert head.exec("squeue", "-h", "-o", "%i").split() == [job]
    assert sorted(head.exec("srun", "-N2", "hostname", timeout=60).split()) == ["head", "worker1"]


def test_a_new_head_without_the_old_state(cluster: Cluster) -> None:
    """Running workers come back once their slurmd is restarted, as the documentation says."""
    cluster.add_head()
    worker = cluster.add_worker("worker1")
    cluster.until_idle(["head", "worker1"])
    cluster.expect(*GOING)
    cluster.head.stop()
    cluster.add_head()
    cluster.until_idle(["head"])
    assert "worker1" not in cluster.nodes()
    assert "worker1 is not known to the controller" in cluster.until("it is told", lambda: health(worker))
    worker.exec("supervisorctl", "restart", "slurmd")
    cluster.until_idle(["head", "worker1"])
    assert sorted(cluster.head.exec("srun", "-N2", "hostname", timeout=60).split()) == ["head", "worker1"]


def test_containers_are_as_a_user_makes_them(cluster: Cluster) -> None:
    """No privilege, and cgroups that can only be read."""
    head = cluster.add_head()
    cluster.until_idle(["head"])
    mounts = [line.split() for line in head.read("/proc/mounts").splitlines()]
    cgroups = [fields for fields in mounts if fields[2] in ("cgroup", "cgroup2")]
    assert cgroups and all("ro" in fields[3].split(",") for fields in cgroups)
    with pytest.raises(PodError):
        head.exec("mount", "-t", "tmpfs", "tmpfs", "/mnt")


@pytest.fixture(scope="module")
def with_jupyter(image: Image) -> Image:
    """The image on a base that has JupyterLab."""
    recipe = (
        f"FROM {image.name}\nRUN apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-venv"
        " >/dev/null && python3 -m venv /opt/jupyter && /opt/jupyter/bin/pip install --quiet"
        f" {JUPYTER}"
        " && ln -s /opt/jupyter/bin/jupyter-lab /usr/local/bin/jupyter-lab\n"
    )
    return build(dockerfile=recipe)[0]


@pytest.mark.timeout(900)  # the fixture's build counts
def test_jupyter_with_the_password_only(cluster: Cluster, with_jupyter: Image) -> None:
    password = "jupyter-password-1"
    pod_environment = {"JUPYTER_PASSWORD": password, "RUNPOD_POD_ID": "abc123"}
    cluster.expect(r"\[jupyter\] .* wrote error: 'Forbidden'")
    head = cluster.add_head(pod_environment, image=with_jupyter.name)
    cluster.until_idle(["head"])

    def ask(path: str, *options: str) -> str:
        status = ("curl", "--silent", "--max-time", "5", "--output", "/dev/null", "--write-out", "%{http_code}")
        return head.exec(*status, *options, f"http://localhost:8888{path}", check=False)

    cluster.until("it answers", lambda: ask("/api") == "200", deadline=60)
    assert ask("/api/contents") == "403"
    assert ask("/api/contents", "--header", "Authorization: token wrong") == "403"
    assert ask("/api/contents", "--header", f"Authorization: token {password}") == "200"
    pid = cluster.pids("head")["jupyter"]
    shown = head.exec("sh", "-c", f"tr '\\0' '\\n' </proc/{pid}/environ; tr '\\0' ' ' </proc/{pid}/cmdline")
    assert "RUNPOD_POD_ID=abc123" in shown
    assert password not in shown + head.logs()
    assert MUNGE_KEY not in shown


def test_jupyter_where_the_base_has_none(cluster: Cluster) -> None:
    cluster.expect("JUPYTER_PASSWORD is set, but no jupyter-lab is installed here")
    head = cluster.add_head({"JUPYTER_PASSWORD": "jupyter-password-1"})
    cluster.until_idle(["head"])
    assert "JUPYTER_PASSWORD is set, but no jupyter-lab is installed here: there is no Jupyter" in head.logs()
    assert "jupyter" not in cluster.pids("head")
