"""A real Prometheus in the head pod, which knows nothing but the configuration that ships."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from local.pod import PodError
from local.spec import CODE_IN_POD
from tests.dashboards.queries import ROOT, Query, label_values, load, queries
from tests.system.harness import SLURM_PORT, Cluster, Pod

PROGRAM = ROOT / "build/prometheus/prometheus"
PROGRAM_IN_POD = "/opt/prometheus"
PORT = 9090
# The dashboard's queries that find nothing here, by a part of theirs, and why.
NO_DATA = {
    "slurm_gpus_by_type": "GPUs are no resource of Slurm in a pod yet",
    "slurm_gpus_alloc_by_type": "GPUs are no resource of Slurm in a pod yet",
}

pytestmark = pytest.mark.timeout(400)


class Prometheus:
    """One Prometheus in a pod; it ends with the pod."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        conf = pod.read(f"/{CODE_IN_POD}/conf/prometheus/prometheus.yml")
        # The tests wait for it: it is to look more often than it ships.
        for key in ("scrape_interval", "scrape_timeout", "refresh_interval"):
            conf, found = re.subn(rf"\b{key}: \d+s$", f"{key}: 1s", conf, flags=re.MULTILINE)
            assert found == 1, key
        pod.exec("sh", "-c", "cat >/tmp/prometheus.yml", input=conf)
        pod.exec("install", "--directory", "--owner=nobody", "/tmp/prometheus")
        behind = 'setsid setpriv --reuid=nobody --clear-groups -- "$@" </dev/null >/tmp/prometheus.log 2>&1 &'
        flags = ("--storage.tsdb.path=/tmp/prometheus", f"--web.listen-address=127.0.0.1:{PORT}")
        pod.exec("sh", "-c", behind, "sh", PROGRAM_IN_POD, "--config.file=/tmp/prometheus.yml", *flags)

    def get(self, path: str, parameters: Mapping[str, str] | None = None) -> Any:
        """The data of an answer of its HTTP API; raises PodError without one."""
        given = []
        for name, value in (parameters or {}).items():
            given += ["--data-urlencode", f"{name}={value}"]
        url = f"http://localhost:{PORT}/api/v1/{path}"
        body = self._pod.exec("curl", "--silent", "--max-time", "10", "--get", *given, url, check=False)
        try:
            answer = json.loads(body)
        except ValueError:
            log = self._pod.exec("tail", "-n", "20", "/tmp/prometheus.log", check=False)
            raise PodError(f"Prometheus gives no answer: {body!r}\n{log}") from None
        if answer["status"] != "success":
            raise PodError(f"Prometheus: {parameters}: {answer['error']}")
        return answer["data"]

    def now(self, expr: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series of an expression."""
        return [(one["metric"], float(one["value"][1])) for one in self.get("query", {"query": expr})["result"]]

    def has_data(self, query: Query) -> bool:
        """Whether there is a number in the answer, asked as Grafana asks."""
        if query.instant:
            return any(not math.isnan(value) for _, value in self.now(query.expr))
        end = time.time()
        span = {"start": str(end - 30), "end": str(end), "step": "5"}
        answer = self.get("query_range", {"query": query.expr, **span})
        return any(not math.isnan(float(value)) for one in answer["result"] for _, value in one["values"])


def with_prometheus(cluster: Cluster, workers: list[str]) -> Prometheus:
    """A head with a Prometheus, and workers, all idle."""
    assert PROGRAM.exists(), "get it: make build/prometheus/prometheus"
    head = cluster.add_head(volumes={str(PROGRAM.resolve()): PROGRAM_IN_POD})
    for name in workers:
        cluster.add_worker(name)
    cluster.until_idle(["head", *workers])
    return Prometheus(head)


def scraped(prometheus: Prometheus) -> set[tuple[str, ...]]:
    """job, node, role and cluster of each target that answers; raises PodError where one does not."""
    found = prometheus.now("up")
    if down := [labels for labels, value in found if value != 1]:
        raise PodError(f"not scraped: {down}")
    return {tuple(labels.get(name, "") for name in ("job", "node", "role", "cluster")) for labels, _ in found}


def listed(cluster: Cluster) -> set[tuple[str, ...]]:
    """The same of what the head's /sd says."""
    groups = json.loads(cluster.head.exec("curl", "--silent", "--fail", f"http://localhost:{SLURM_PORT}/sd"))
    wanted = ("job", "node", "role", "cluster")
    return {tuple(group["labels"].get(name, "") for name in wanted) for group in groups for _ in group["targets"]}


def targets(*workers: str) -> set[tuple[str, ...]]:
    """What a cluster of a head and some workers should have."""
    own = {("slurm-exporter", "", "", "gpu-watchdog"), ("gpu-exporter", "head", "head", "gpu-watchdog")}
    return own | {("gpu-exporter", name, "worker", "gpu-watchdog") for name in workers}


def test_every_pod_of_a_cluster_that_grows_and_shrinks_is_scraped(cluster: Cluster) -> None:
    prometheus = with_prometheus(cluster, ["worker1"])

    def follows(wanted: set[tuple[str, ...]]) -> bool:
        if (found := scraped(prometheus)) != wanted:
            raise PodError(f"scraped are {sorted(found)}")
        return listed(cluster) == wanted

    cluster.until("both pods are scraped", partial(follows, targets("worker1")))
    for name in ("worker2", "worker3"):
        cluster.add_worker(name)
    cluster.until("new pods are scraped", partial(follows, targets("worker1", "worker2", "worker3")))
    # The pod's place in the cluster stands on its series, too.
    (gpus,) = prometheus.now('gpu_watchdog_nvml_up{node="worker3",role="worker",cluster="gpu-watchdog"}')
    assert gpus[0]["partition"] == "gpu" and gpus[0]["job"] == "gpu-exporter"

    cluster.pods["worker3"].stop()
    cluster.head.exec("scontrol", "delete", "nodename=worker3")
    cluster.until("a node that is deleted is forgotten", partial(follows, targets("worker1", "worker2")))
    # Of one that is just gone Slurm finds out by itself: SlurmdTimeout is 60 s.
    cluster.expect(
        r"\[slurmctld\] .*error: Nodes worker2 not responding",
        r"\[slurmctld\] .*error: .*(Connection refused|No route to host|Connection timed out)",
    )
    cluster.pods["worker2"].kill()
    cluster.until("a pod that is gone is forgotten", partial(follows, targets("worker1")), deadline=180)


def test_every_query_of_the_dashboard_has_data(cluster: Cluster) -> None:
    prometheus = with_prometheus(cluster, ["worker1"])
    head = cluster.head
    dashboard = load()

    def submit(*options: str) -> None:
        head.exec("sbatch", "--output=/dev/null", *options)

    submit("--nodelist=worker1", "--exclusive", "--wrap=sleep 600")
    submit("--nodelist=worker1", "--exclusive", "--wrap=hostname")
    submit("--array=0-9%2", "--hold", "--wrap=hostname")
    submit("--nodelist=head", "--wrap=false")
    # A rate needs a figure before and one after; the first start is the first figure.
    cluster.until("the first start is counted", lambda: prometheus.now("slurm_job_wait_seconds_count > 0"), deadline=60)
    submit("--nodelist=head", "--wrap=true")
    cluster.until("all has run on the head", lambda: prometheus.now("slurm_queue_completed == 1"))
    head.exec("scontrol", "update", "nodename=head", "state=drain", "reason=its fan, they say")

    everything = queries(dashboard, rate_interval="10s")
    without = [query for query in everything if query.expr in NO_DATA]
    assert {query.expr for query in without} == NO_DATA.keys()
    missing = [query for query in everything if query not in without]

    def all_found() -> bool:
        missing[:] = [query for query in missing if not prometheus.has_data(query)]
        if missing:
            raise PodError("no data:\n" + "\n".join(f"  {query.panel}: {query.expr}" for query in missing))
        return True

    cluster.until("every query has data", all_found, deadline=120)
    for metric, label in label_values(dashboard):
        assert prometheus.get(f"label/{label}/values", {"match[]": metric}), metric
    # Who gives them data takes them from the list.
    assert not [query for query in without if prometheus.has_data(query)]

    assert_truth(prometheus)


def assert_truth(prometheus: Prometheus) -> None:
    """What Prometheus stored is what the exporter said, by the exporter's own labels."""
    assert not [name for name in prometheus.get("labels") if name.startswith("exported_")]
    states = " + ".join(f"slurm_nodes_{one}" for one in ("alloc", "down", "drain", "idle", "mix", "comp", "maint"))
    assert [value for _, value in prometheus.now(states)] == [2]
    assert [value for _, value in prometheus.now('slurm_partition_jobs_pending{partition="gpu"}')] == [11]
    ((user, pending),) = prometheus.now("slurm_user_jobs_pending")
    assert (user["user"], pending) == ("root", 11)
    # It is not all of one partition.
    assert "partition" not in user
    reasons = {labels["reason"]: value for labels, value in prometheus.now("slurm_queue_pending_by_reason")}
    assert reasons == {"Resources": 1, "JobHeldUser": 10}
    ((drained, _),) = prometheus.now("slurm_node_reason_info")
    assert (drained["node"], drained["reason"]) == ("head", "its fan, they say")
    assert {labels["node"] for labels, _ in prometheus.now("slurm_node_state")} == {"head", "worker1"}
