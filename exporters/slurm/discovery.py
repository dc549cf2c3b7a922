"""Slurm's nodes -> Prometheus' HTTP service discovery (http_sd): each one's GPU exporter, and this exporter. Pure.

Format: prometheus/docs, http_sd. `job` is a label like any other here: it wins over the scrape configuration's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from exporters.slurm.parse.controller import Config
from exporters.slurm.parse.nodes import Node

CONTENT_TYPE = "application/json; charset=utf-8"


def targets(nodes: Sequence[Node], config: Config | None, gpu_port: int, own_port: int) -> bytes:
    """JSON: a group for each node that responds and has registered once, and one for this exporter."""
    host = config.host if config else ""
    common = {"cluster": config.cluster} if config and config.cluster else {}
    groups = [
        {
            "targets": [_target(node.address or node.name, gpu_port)],
            "labels": {
                **common,
                "job": "gpu-exporter",
                "node": node.name,
                "partition": ",".join(node.partitions),
                "role": "head" if node.name == host else "worker",
            },
        }
        for node in nodes
        if node.state.there and node.version
    ]
    if config and host:
        own = next((node.address for node in nodes if node.name == host), "")
        # Its series have nodes, partitions and roles of their own: a target's would only be in their way.
        labels = {**common, "job": "slurm-exporter"}
        groups.append({"targets": [_target(config.address or own or host, own_port)], "labels": labels})
    return (json.dumps(groups, indent=1) + "\n").encode()


def _target(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
