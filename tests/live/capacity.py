"""What the live tests of capacity and cost share: nodes of their own, and a client that may see them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import msgspec

from devcluster import ControlPlane, nodes
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.core.objects import (
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Pod,
    ReplicaSet,
    Service,
    StatefulSet,
)
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.snapshot import Collection, Snapshot
from tests.adapters.helpers import facts, service_account

RBAC = "/apis/rbac.authorization.k8s.io/v1"
LISTED: dict[str, tuple[str, type[Any]]] = {
    "pods": ("/api/v1", Pod),
    "services": ("/api/v1", Service),
    "deployments": ("/apis/apps/v1", Deployment),
    "stateful_sets": ("/apis/apps/v1", StatefulSet),
    "replica_sets": ("/apis/apps/v1", ReplicaSet),
    "endpoint_slices": ("/apis/discovery.k8s.io/v1", EndpointSlice),
    "autoscalers": ("/apis/autoscaling/v2", HorizontalPodAutoscaler),
}
PLURALS = {"autoscalers": "horizontalpodautoscalers"}


def live(plane: ControlPlane, namespace: str) -> Snapshot:
    """The watched facts of a namespace as they are now."""
    found: dict[str, Any] = {}
    for field, (prefix, type_) in LISTED.items():
        plural = PLURALS.get(field, field.replace("_", ""))
        items = plane.rest.get(f"{prefix}/namespaces/{namespace}/{plural}")["items"]
        found[field] = Collection.of(
            msgspec.json.decode(msgspec.json.encode(item), type=type_) for item in items
        )
    return msgspec.structs.replace(facts(namespace), **found)


@asynccontextmanager
async def client(plane: ControlPlane, namespace: str, rules: Iterable[Rule]) -> AsyncIterator[Client]:
    """A client of a ServiceAccount of its own, with these rules where they say."""
    rules = tuple(rules)
    made = Client(
        service_account(plane, namespace, [each for each in rules if each.scope is Scope.NAMESPACE])
    )
    wide = [
        {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
        for rule in rules
        if rule.scope is Scope.CLUSTER
    ]
    name = f"capacity-{uuid.uuid4().hex[:8]}"
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group"}]
    subjects[0]["name"] = f"system:serviceaccounts:{namespace}"
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    plane.rest.post(f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": wide})
    try:
        plane.rest.post(
            f"{RBAC}/clusterrolebindings", {"metadata": {"name": name}, "subjects": subjects, "roleRef": role}
        )
        yield made
    finally:
        await made.close()
        plane.rest.delete(f"{RBAC}/clusterrolebindings/{name}")
        plane.rest.delete(f"{RBAC}/clusterroles/{name}")


@contextmanager
def own_node(plane: ControlPlane) -> Iterator[str]:
    """A node that takes only pods that name it."""
    name = f"capacity-{uuid.uuid4().hex[:6]}"
    manifest = nodes.manifest(name)
    # Not the label by which a control plane counts its own.
    del manifest["metadata"]["labels"][nodes.LABEL]
    taint = {"key": "capacity", "effect": "PreferNoSchedule"}
    plane.rest.post(nodes.NODES, {**manifest, "spec": {"taints": [taint]}})
    try:
        yield name
    finally:
        plane.rest.delete(f"{nodes.NODES}/{name}")
