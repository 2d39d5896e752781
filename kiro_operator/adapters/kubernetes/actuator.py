"""The writes that change a workload, each under a fence.

A fence is the object's UID and resource version as they were when the action was decided: the API
server refuses the write when anything has changed since. Resource versions churn while things
fail, so a refusal is looked into: whoever finds the very same generation, without a trace of the
action, may try again at the new version.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.exec import Executed, execute
from kiro_operator.api.v1alpha1.types import API_VERSION
from kiro_operator.core import objects
from kiro_operator.core.patches import is_strategic
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.remedies.restart import RESTARTED_BY

PLURALS: Mapping[str, tuple[str, type[objects.Workload]]] = {
    "Deployment": ("deployments", objects.Deployment),
    "StatefulSet": ("statefulsets", objects.StatefulSet),
    "DaemonSet": ("daemonsets", objects.DaemonSet),
}
COMMAND_TIMEOUT = 30.0
"""Seconds a command may take."""
OUTPUT = 16_384
"""Bytes of each of its outputs: a few words of it are told."""
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
OBJECTS: Mapping[str, str] = {
    "ConfigMap": "/api/v1/namespaces/{namespace}/configmaps",
    "ClusterRole": f"{_RBAC}/clusterroles",
    "ClusterRoleBinding": f"{_RBAC}/clusterrolebindings",
    "Deployment": "/apis/apps/v1/namespaces/{namespace}/deployments",
    "ReplicaSet": "/apis/apps/v1/namespaces/{namespace}/replicasets",
    "StatefulSet": "/apis/apps/v1/namespaces/{namespace}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{namespace}/daemonsets",
    "KiroSafetyPolicy": f"/apis/{API_VERSION}/namespaces/{{namespace}}/kirosafetypolicies",
    "KiroHealthCheck": f"/apis/{API_VERSION}/namespaces/{{namespace}}/kirohealthchecks",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
}
"""Where the kinds are that a change can be written to, or taken from."""
BY_NAME = frozenset({"ClusterRole", "ClusterRoleBinding"})
"""Kinds that may be made under one name only, which RBAC can see where they are applied and not posted."""

_READ_AGAIN = "after a refused or interrupted change it is read again, to know whether it was done"
RULES = (
    Rule("", ("pods",), ("get",), _READ_AGAIN, grant=Grant.RESTART),
    Rule("apps", tuple(plural for plural, _ in PLURALS.values()), ("get",), _READ_AGAIN, grant=Grant.RESTART),
    Rule("apps", ("deployments", "statefulsets"), ("get",), _READ_AGAIN, grant=Grant.SCALE),
)


class _Pods(msgspec.Struct):
    items: list[objects.Pod]


class Actuator:
    """Evicts, restarts, scales, and writes what was decided."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def pod(self, namespace: str, name: str) -> objects.Pod | None:
        """The pod as it is now; None when it is gone."""
        try:
            body = await self._client.get(f"/api/v1/namespaces/{namespace}/pods/{name}")
        except ports.NotFound:
            return None
        return msgspec.json.decode(body, type=objects.Pod)

    async def chosen(self, namespace: str, name: str) -> objects.Pod | None:
        """The pod as it is now, by what may be done anyway: pods are listed. None when it is gone."""
        body = await self._client.get(
            f"/api/v1/namespaces/{namespace}/pods", fieldSelector=f"metadata.name={name}"
        )
        return next(iter(msgspec.json.decode(body, type=_Pods).items), None)

    async def workload(self, namespace: str, kind: str, name: str) -> objects.Workload | None:
        """The workload as it is now; None when it is gone."""
        plural, projection = PLURALS[kind]
        try:
            body = await self._client.get(f"/apis/apps/v1/namespaces/{namespace}/{plural}/{name}")
        except ports.NotFound:
            return None
        return msgspec.json.decode(body, type=projection)

    async def evict(self, namespace: str, name: str, *, uid: str, resource_version: str) -> None:
        """Evict this very pod in this very state; PodDisruptionBudgets are the API server's to respect.

        Raises:
            ports.Conflict: it is another pod, or it has changed.
            ports.EvictionRefused: a PodDisruptionBudget refuses.
        """
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        await self._client.create(
            f"/api/v1/namespaces/{namespace}/pods/{name}/eviction",
            {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": name, "namespace": namespace},
                "deleteOptions": {"preconditions": preconditions},
            },
        )

    async def restart(
        self, namespace: str, kind: str, name: str, *, uid: str, resource_version: str, intent: str
    ) -> None:
        """Roll a workload out anew by an annotation on its pod template that names the remediation.

        Raises:
            ports.Conflict: it is another object, or it has changed.
        """
        await self._client.merge_patch(
            f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[kind][0]}/{name}",
            {
                "metadata": {"uid": uid, "resourceVersion": resource_version},
                "spec": {"template": {"metadata": {"annotations": {RESTARTED_BY: intent}}}},
            },
        )

    async def scale(
        self, namespace: str, kind: str, name: str, *, uid: str, resource_version: str, replicas: int
    ) -> None:
        """Set the replicas of a workload through its scale subresource.

        Raises:
            ports.Conflict: it is another object, or it has changed.
        """
        await self._client.merge_patch(
            f"/apis/apps/v1/namespaces/{namespace}/{PLURALS[kind][0]}/{name}/scale",
            {"metadata": {"uid": uid, "resourceVersion": resource_version}, "spec": {"replicas": replicas}},
        )

    async def run(
        self,
        namespace: str,
        pod: str,
        container: str,
        argv: Sequence[str],
        *,
        opening: float,
        on_turn: Callable[[], None],
    ) -> Executed:
        """Run a command in a container, bounded in time and output; see ``execute``.

        Raises:
            TimeoutError: the connection was not there within ``opening`` seconds, or the command did not
                end in time: then it may go on in the pod.
            ports.Unreachable: it may have been run, or not.
        """
        return await execute(
            self._client,
            namespace,
            pod,
            container,
            argv,
            within=COMMAND_TIMEOUT,
            limit=OUTPUT,
            opening=opening,
            on_turn=on_turn,
        )

    async def found(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        """An object as it is now, whole; None when it is not there."""
        try:
            body = await self._client.get(f"{OBJECTS[kind].format(namespace=namespace)}/{name}")
        except ports.NotFound:
            return None
        found: dict[str, Any] = msgspec.json.decode(body)
        return found

    async def seen(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        """The same by a list of one: what is watched may be listed anyway, and needs no right to get it."""
        path = OBJECTS[kind].format(namespace=namespace)
        items = msgspec.json.decode(await self._client.get(path, fieldSelector=f"metadata.name={name}"))
        found: list[dict[str, Any]] = items["items"] or []
        return found[0] if found else None

    async def create(self, namespace: str, kind: str, manifest: Mapping[str, Any]) -> None:
        """Make an object.

        Raises:
            ports.AlreadyExists, ports.Conflict: somebody else has made it.
        """
        path = OBJECTS[kind].format(namespace=namespace)
        if kind in BY_NAME:
            await self._client.apply(f"{path}/{manifest['metadata']['name']}", manifest)
        else:
            await self._client.create(path, manifest)

    async def patch(
        self,
        namespace: str,
        kind: str,
        name: str,
        change: Mapping[str, Any],
        *,
        uid: str,
        resource_version: str,
    ) -> None:
        """Merge a change into this very object in this very state.

        Raises:
            ports.Conflict: it is another object, or it has changed.
        """
        send = self._client.strategic_patch if is_strategic(kind) else self._client.merge_patch
        await send(
            f"{OBJECTS[kind].format(namespace=namespace)}/{name}",
            {**change, "metadata": {"uid": uid, "resourceVersion": resource_version}},
        )
