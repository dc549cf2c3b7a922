"""The Slurm exporter on real Slurm while that fails: which series stand, which go, what it says, that it recovers."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from exporters.slurm.sources import KINDS
from tests.system.harness import MUNGE_KEY, SLURM_PORT, Cluster
from tests.system.logs import SLURM_IS_AWAY

CORE = [kind.name for kind in KINDS if kind.core]
OTHER_PORT = 9342
SHIM = """\
#!/bin/sh
# The real squeue, damaged as /tmp/shim/mode says.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
case $(cat /tmp/shim/mode) in
cut) squeue "$@" | head -c 100 ;;
empty) ;;
noise) echo "squeue: warning: something odd" >&2; squeue "$@" ;;
binary)
    squeue "$@"
    token=$(printf '%s' "$*" | sed -n 's/.*\\x1e//p')
    sed "s/\\x1d/&$token/g; s/\\x1e/&$token/g" /tmp/shim/line
    ;;
slow) sleep 3; squeue "$@" ;;
hang) sleep 1000 ;;
gone) echo "squeue: error while loading shared libraries" >&2; exit 127 ;;
*) squeue "$@" ;;
esac
"""
NOT_UTF_8 = "RUNNING|\\377\\376|(null)|gpu|None#N/A|N/A|N/A|N/A|N/A|1#N/A|1|1|1\\036\\n"
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A head alone, whose exporter reads every second."""
    from tests.system.conftest import opened

    with opened(tmp_path_factory.mktemp("faults")) as made:
        made.expect(SLURM_IS_AWAY, r"WARNING slurmctld ended by itself")
        made.add_head({"SLURM_EXPORTER_INTERVAL": "1000"})
        made.until_idle(["head"])
        made.until("it reads all", lambda: sources(made) == dict.fromkeys(sources(made), 1) and sources(made))
        yield made


def sources(cluster: Cluster, port: int = SLURM_PORT) -> dict[str, float]:
    """Source -> whether it is up."""
    _, series = cluster.metrics("head", port)
    found = {}
    for key, value in series.items():
        if match := re.fullmatch(r'slurm_exporter_source_up\{source="(\w+)"\}', key):
            found[match[1]] = value
    return found


def error_class(cluster: Cluster, source: str, port: int = SLURM_PORT) -> str:
    """Of a source that fails now."""
    _, series = cluster.metrics("head", port)
    pattern = rf'slurm_exporter_source_error_info\{{source="{source}",class="(\w+)"\}}'
    return next((match[1] for key in series if (match := re.fullmatch(pattern, key))), "")


def recovers(cluster: Cluster) -> None:
    """Everything is well again, in the same process."""
    cluster.until("it recovers", lambda: set(sources(cluster).values()) == {1.0}, deadline=60)
    cluster.until("it is healthy", lambda: cluster.health("head", SLURM_PORT) == (200, "ok\n"))


def memory_kib(cluster: Cluster) -> int:
    """Resident memory of the exporter."""
    pid = cluster.pids("head")["slurm-exporter"]
    return int(cluster.head.exec("sed", "-n", "s/^VmRSS:[^0-9]*\\([0-9]*\\) kB/\\1/p", f"/proc/{pid}/status"))


def footprint(cluster: Cluster) -> tuple[int, int, int]:
    """Threads, open files and children of the exporter."""
    pid = cluster.pids("head")["slurm-exporter"]
    script = f"ls /proc/{pid}/task | wc -l; ls /proc/{pid}/fd | wc -l; ps -o pid= --ppid {pid} | wc -l"
    threads, files, children = map(int, cluster.head.exec("sh", "-c", script).split())
    return threads, files, children


def down(cluster: Cluster) -> bool:
    """Whether the ping found no controller."""
    _, series = cluster.metrics("head", SLURM_PORT)
    return series.get('slurm_controller_up{host="head",role="primary"}') == 0


def test_a_killed_slurmctld(head: Cluster) -> None:
    pid = head.pids("head")["slurm-exporter"]
    head.head.exec("kill", "-9", str(head.pids("head")["slurmctld"]))
    recovers(head)
    head.until("it is the same", lambda: head.pids("head")["slurm-exporter"] == pid)
    # A slurmctld that was killed so soon may have forgotten its nodes (docs/how-it-works.md).
    head.head.exec("supervisorctl", "restart", "slurmd")
    head.until_idle(["head"])


def test_munged_that_is_down(head: Cluster) -> None:
    head.expect(r"unge|authentication|credential", r"Zero Bytes|Unable to (contact|register)|error: slurm_")
    head.head.exec("supervisorctl", "stop", "munged")
    head.until("it is told", lambda: error_class(head, "jobs") == "authentication", deadline=60)
    status, series = head.metrics("head", SLURM_PORT)
    assert status == 200 and series["slurm_up"] == 0
    assert not [key for key in series if key.startswith(("slurm_nodes", "slurm_queue", "slurm_cpus", "slurm_user"))]
    assert head.health("head", SLURM_PORT)[0] == 503
    head.head.exec("supervisorctl", "start", "munged")
    recovers(head)
    head.until_idle(["head"])


def test_another_munge_key(head: Cluster) -> None:
    """An exporter whose credentials slurmctld does not take."""
    head.expect(r"unge|authentication|credential", r"error: slurm_")
    script = (
        "mkdir -p /run/other && printf '%s' \"$KEY\" >/run/other/key && chown -R munge:munge /run/other &&"
        " chmod 400 /run/other/key && setpriv --reuid=munge --regid=munge --clear-groups munged --force"
        " --key-file=/run/other/key --socket=/run/other/socket --pid-file=/run/other/pid"
        " --log-file=/run/other/log --seed-file=/run/other/seed && chmod 755 /run/other &&"
        " sed '/^AuthInfo/d' /etc/slurm/slurm.conf >/tmp/other.conf &&"
        " echo AuthInfo=socket=/run/other/socket >>/tmp/other.conf"
    )
    head.head.exec("sh", "-c", script, environment={"KEY": "another-" + MUNGE_KEY})
    with Another(head, {"SLURM_CONF": "/tmp/other.conf"}):
        # An older slurmctld says nothing to whom it does not know: the commands cannot tell it from one that is away.
        told = ("controller", "authentication")
        head.until("it is told", lambda: error_class(head, "nodes", OTHER_PORT) in told, deadline=60)
        assert head.metrics("head", OTHER_PORT)[1]["slurm_up"] == 0
        assert head.health("head", OTHER_PORT)[0] == 503
    head.head.exec("sh", "-c", "kill $(cat /run/other/pid)")
    recovers(head)


class Another:
    """A second exporter in the pod, with other settings."""

    def __init__(self, cluster: Cluster, environment: dict[str, str]) -> None:
        self._cluster = cluster
        self._environment = environment

    def __enter__(self) -> None:
        command = (
            f"setsid /opt/gpu-watchdog/venv/bin/python -I -m exporters.slurm -a :{OTHER_PORT} -c 1000"
            " >/tmp/another.log 2>&1 </dev/null & echo $! >/tmp/another.pid"
        )
        self._cluster.head.exec("sh", "-c", command, environment=self._environment)
        self._cluster.until("it serves", lambda: self._cluster.metrics("head", OTHER_PORT)[0] == 200)

    def __exit__(self, *_: object) -> None:
        self._cluster.head.exec("sh", "-c", "kill $(cat /tmp/another.pid)")


def test_an_squeue_that_is_damaged(head: Cluster) -> None:
    """By a shim before the real one: its output is cut, empty, mixed with warnings, not UTF-8, late or not there."""
    job = head.head.exec("sbatch", "--parsable", "--hold", "--array=0-9", "--wrap=true").strip()
    head.head.exec("sh", "-c", "mkdir -p /tmp/shim && cat >/tmp/shim/squeue && chmod -R 755 /tmp/shim", input=SHIM)
    line = NOT_UTF_8.replace("|", "\\037").replace("#", "\\035")
    head.head.exec("sh", "-c", f"printf '{line}' >/tmp/shim/line")
    # By renaming, so that it is never read half written.
    mode = "printf '%s' {} >/tmp/shim/new && mv /tmp/shim/new /tmp/shim/mode"
    head.head.exec("sh", "-c", mode.format("well"))

    def pending() -> float | None:
        return head.metrics("head", OTHER_PORT)[1].get("slurm_queue_pending")

    def becomes(name: str, ready: object) -> None:
        assert callable(ready)
        head.head.exec("sh", "-c", mode.format(name))
        head.until(name, ready, deadline=60)
        assert all(up for source, up in sources(head, OTHER_PORT).items() if source != "jobs")
        head.head.exec("sh", "-c", mode.format("well"))
        head.until(f"well after {name}", lambda: pending() == 10, deadline=60)

    path = "/tmp/shim:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    with Another(head, {"PATH": path}):
        head.until("well", lambda: pending() == 10)
        becomes("cut", lambda: error_class(head, "jobs", OTHER_PORT) == "parse" and pending() is None)
        becomes("empty", lambda: pending() == 0)
        becomes("noise", lambda: head.metrics("head", OTHER_PORT)[1]["slurm_queue_pending"] == 10)
        replaced = 'slurm_user_jobs_running{user="\ufffd\ufffd"}'
        becomes("binary", lambda: head.metrics("head", OTHER_PORT)[1].get(replaced) == 1)
        interval = 'slurm_exporter_source_interval_seconds{source="jobs"}'
        becomes("slow", lambda: head.metrics("head", OTHER_PORT)[1][interval] > 20)
        becomes("gone", lambda: error_class(head, "jobs", OTHER_PORT) == "exit" and pending() is None)
        becomes("hang", lambda: error_class(head, "jobs", OTHER_PORT) == "timeout" and pending() is None)
        assert int(head.head.exec("sh", "-c", "ps -eo args= | grep -c '[s]leep 1000' || true")) == 0
    head.head.exec("scancel", job)


def test_nothing_grows_while_slurmctld_is_frozen(head: Cluster) -> None:
    head.expect(r"\[slurmctld\] .*error: slurm_\w+.*: (Unexpected missing socket error|Zero Bytes were transmitted)")
    before, memory = footprint(head), memory_kib(head)
    pid = str(head.pids("head")["slurmctld"])
    head.head.exec("kill", "-STOP", pid)
    failures = 'slurm_exporter_source_failures_total{source="jobs"}'
    start = head.metrics("head", SLURM_PORT)[1][failures]
    head.until("it fails again", lambda: head.metrics("head", SLURM_PORT)[1][failures] >= start + 2, deadline=90)
    threads, _, children = footprint(head)
    assert threads == before[0] and children <= len(KINDS)
    status, series = head.metrics("head", SLURM_PORT)
    assert (status, series["slurm_up"]) == (200, 0)
    assert series['slurm_exporter_source_interval_seconds{source="jobs"}'] >= 20
    assert not [key for key in series if key.startswith(("slurm_nodes", "slurm_queue", "slurm_cpus", "slurm_user"))]
    assert head.health("head", SLURM_PORT)[0] == 503
    head.until("the ping says so", lambda: down(head), deadline=60)
    head.head.exec("kill", "-CONT", pid)
    recovers(head)
    head.until("all is closed", lambda: footprint(head)[1] <= before[1] + len(KINDS), deadline=30)
    assert memory_kib(head) < memory + 4096


def test_a_node_that_is_deleted(head: Cluster) -> None:
    head.add_worker("short")
    head.until_idle(["short"])
    head.until("it is seen", lambda: 'slurm_node_cpus{node="short"}' in head.metrics("head", SLURM_PORT)[1])
    head.pods["short"].stop()
    head.head.exec("scontrol", "delete", "nodename=short")
    head.until("it is gone", lambda: 'slurm_node_cpus{node="short"}' not in head.metrics("head", SLURM_PORT)[1])
    recovers(head)
