"""The kwok nodes of a control plane: nodes without machines, whose pods kwok plays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from devcluster.rest import Rest, on_each

Object = dict[str, Any]

NODES = "/api/v1/nodes"
LABEL = "devcluster.kiro.dev/node"
# What one node claims to have; the scheduler refuses what does not fit.
CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "250"}
# What a node itself uses, by metric: 0.1 cores and 256 MiB, in kwok's CEL. kwok counts only pods, and
# metrics-server takes no node into its figures that uses nothing.
OWN_USAGE = {
    "node_cpu_usage_seconds_total": "0.1 * node.SinceSecond()",
    "node_memory_working_set_bytes": "268435456.0",
}


def manifest(name: str) -> Object:
    """A node as its kubelet would register it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {
                "node.alpha.kubernetes.io/ttl": "0",
                # Where metrics-server scrapes it: kwok serves all nodes on one port.
                "metrics.k8s.io/resource-metrics-path": f"/metrics/nodes/{name}/metrics/resource",
            },
            "labels": {
                LABEL: "true",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "topology.kubernetes.io/zone": "local",
            },
        },
        "status": {"allocatable": CAPACITY, "capacity": CAPACITY},
    }


def with_own_usage(each: Object) -> Object:
    """A Metric of kwok with the nodes' own usage added; any other object as it is."""
    for metric in each["spec"].get("metrics", ()):
        if own := OWN_USAGE.get(metric["name"]):
            metric["value"] = f"{metric['value']} + {own}"
    return each


def add(rest: Rest, count: int, *, first: int = 0) -> list[str]:
    """Create `count` nodes called node-N, counting from `first`, and return their names."""
    names = [f"node-{number}" for number in range(first, first + count)]
    on_each(lambda name: rest.post(NODES, manifest(name)), names)
    return names


def all_ready(rest: Rest, count: int) -> bool:
    """Whether at least `count` of our nodes are Ready."""
    items = rest.get(f"{NODES}?labelSelector={LABEL}")["items"]
    return sum(map(is_ready, items)) >= count


def is_ready(node: Object) -> bool:
    """Whether the node's condition Ready is True."""
    return "True" in ready_statuses(node.get("status", {}).get("conditions", ()))


def ready_statuses(conditions: Iterable[Object]) -> set[str]:
    """The statuses of the conditions called Ready: at most one."""
    return {each["status"] for each in conditions if each["type"] == "Ready"}
