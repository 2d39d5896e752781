"""The rights that deploy/ grants, one resource at a time, and ways to grant all but some of them."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from devcluster import ControlPlane, faults
from devcluster.errors import ApiError
from devcluster.wait import until
from tests.deploy.rendered import of_kind
from tests.harness.world import World

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT = "operator"
WIDE = {
    "kiro-operator": "cluster",
    "kiro-operator-cluster-facts": "cluster-facts",
    "kiro-operator-cluster-restore": "cluster-restore",
}
"""What the ClusterRoles are called here."""
Object = dict[str, Any]


@dataclass(frozen=True, order=True)
class Right:
    """What one Role allows to do with one resource."""

    role: str
    group: str
    resource: str
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    @property
    def cluster(self) -> bool:
        """Whether a ClusterRole holds it."""
        return self.role in WIDE.values()

    def rule(self) -> Object:
        """The rule as a Role has it."""
        names = {"resourceNames": list(self.names)} if self.names else {}
        return {
            "apiGroups": [self.group],
            "resources": [self.resource],
            "verbs": list(self.verbs),
        } | names


@cache
def granted(part: str = "overlays/kiro-system") -> tuple[Right, ...]:
    """Everything that a part of deploy/ lets the operator do."""
    found: set[Right] = set()
    for role in of_kind(part, "ClusterRole", "Role"):
        if any("aggregate-to" in label for label in role["metadata"]["labels"]):
            continue
        name = role["metadata"]["name"]
        where = WIDE[name] if role["kind"] == "ClusterRole" else name
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    names = tuple(rule.get("resourceNames", ()))
                    found.add(Right(where, group, resource, tuple(rule["verbs"]), names))
    return tuple(sorted(found))


def own(right: Right) -> bool:
    """Whether the right is about the operator's own namespace."""
    return right.role == "kiro-operator"


def allow(
    plane: ControlPlane, account: str, namespace: str | None, name: str, rights: Iterable[Right]
) -> None:
    """Make a Role, or without a namespace a ClusterRole, of rights and bind it to an account (`ns:name`)."""
    kind = "Role" if namespace else "ClusterRole"
    where = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    owner, _, subject = account.partition(":")
    plane.rest.post(
        f"{where}/{kind.lower()}s",
        {"kind": kind, "metadata": {"name": name}, "rules": [right.rule() for right in rights]},
    )
    plane.rest.post(
        f"{where}/{kind.lower()}bindings",
        {
            "kind": f"{kind}Binding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": owner}],
        },
    )


class Installed(World):
    """A namespace whose operator has the rights of an installation, or those that a test picks."""

    tag = ""
    """Value of the label by which the operator knows the KiroHealthChecks of this test."""
    parts: tuple[str, ...] = ("overlays/kiro-system",)
    """Of deploy/, that are granted."""
    pick: Callable[[Right], bool] = staticmethod(lambda _: True)

    @property
    def folder(self) -> Path:
        """Where the operators' logs are."""
        return self._folder

    def _create(self, kind: str, plural: str, name: str, spec: Object) -> Object:
        metadata = {
            "name": name,
            "namespace": self.namespace,
            "labels": {"test": self.tag or self.namespace},
        }
        body = {"apiVersion": "kiro.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        return self.plane.rest.post(self.path(plural), body)

    def _grant(self) -> None:
        accounts = self.path("serviceaccounts", api="/api/v1")
        self.plane.rest.post(accounts, {"metadata": {"name": ACCOUNT}})
        account = f"{self.namespace}:{ACCOUNT}"
        rights = [right for part in self.parts for right in granted(part) if self.pick(right)]
        name = f"operator-{self.namespace}"
        allow(self.plane, account, None, name, [right for right in rights if right.cluster])
        for role in sorted({right.role for right in rights if not right.cluster}):
            held = [right for right in rights if right.role == role]
            allow(self.plane, account, self.namespace, role, held)

    def close(self) -> None:
        """End all operators and take their rights away."""
        super().close()
        try:
            self.plane.rest.delete(f"{RBAC}/clusterroles/operator-{self.namespace}")
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:  # a test may have granted others itself
                raise

    def steering(self, text: str = "# Product\nPrefer small steps.\n") -> None:
        """Make a ConfigMap of steering documents, or change the one that is there."""
        name, data = "steering", {"product.md": text}
        if any(item["metadata"]["name"] == name for item in self.items("configmaps", api="/api/v1")):
            self.plane.rest.patch(self.path("configmaps", name, api="/api/v1"), {"data": data})
        else:
            body = {"metadata": {"name": name}, "data": data}
            self.plane.rest.post(self.path("configmaps", api="/api/v1"), body)

    def workload(
        self,
        kind: str,
        name: str,
        replicas: int = 2,
        labels: Mapping[str, str] | None = None,
        limits: Mapping[str, str] | None = None,
    ) -> None:
        """Make a workload with that many pods (a DaemonSet: one a node)."""
        labels = {"app": name} | dict(labels or {})
        container = {"name": "app", "image": "app:1", "resources": {"limits": dict(limits or {})}}
        pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
        spec: Object = {"selector": {"matchLabels": {"app": name}}, "template": pod}
        if kind != "DaemonSet":
            spec["replicas"] = replicas
        if kind == "StatefulSet":
            spec |= {"serviceName": name, "podManagementPolicy": "Parallel"}
        metadata = {"name": name, "namespace": self.namespace, "labels": labels}
        body = {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": spec}
        self.plane.rest.post(self.path(f"{kind.lower()}s", api="/apis/apps/v1"), body)

    def settled(self, kind: str, name: str) -> list[Object]:
        """Wait until all pods of a workload are there and ready, and its rollout is over; returns them.

        A Deployment whose pod is broken before its controller has seen it whole is rolling out from then on.
        """
        least = 1 if kind == "DaemonSet" else 0

        def ready() -> list[Object] | None:
            found = self.get(f"{kind.lower()}s", name, api="/apis/apps/v1")
            wanted = found["spec"].get("replicas") or found["status"].get("desiredNumberScheduled", least)
            pods = [pod for pod in self.pods(name) if _is_ready(pod)]
            return pods if len(pods) == wanted and (kind != "Deployment" or _is_rolled_out(found)) else None

        return until(ready, f"the pods of {kind} {name}", 60)

    def afflict(self, name: str, fault: str, count: int | None = None, *, restarts: int = 0) -> None:
        """Break so many pods of a workload, by default all, and wait until they show it."""
        chosen = {pod["metadata"]["name"] for pod in self.pods(name)[:count]}
        pods = [(self.namespace, pod) for pod in chosen]
        faults.inject_many(self.plane, pods, fault, restart_every="300ms" if restarts else None)

        def shown() -> bool:
            found = [pod for pod in self.pods(name) if pod["metadata"]["name"] in chosen]
            return all(not _is_ready(pod) and _restarts(pod) >= restarts for pod in found)

        until(shown, f"{fault} of {name}", 20)

    def relieve(self, name: str) -> None:
        """Mend the pods of a workload, which keep the trace of how their containers ended."""
        faults.clear_many(self.plane, [(self.namespace, pod["metadata"]["name"]) for pod in self.pods(name)])
        until(lambda: all(_is_ready(pod) for pod in self.pods(name)), f"{name} to be well", 20)

    def record(self, name: str, state: str, target: Object, asker: Object, **spec: Any) -> None:
        """Make a KiroRemediation in a state, as an operator that crashed leaves it."""
        made = self.plane.rest.post(
            self.path("kiroremediations"),
            {
                "apiVersion": "kiro.dev/v1alpha1",
                "kind": "KiroRemediation",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {
                    "action": "Restart",
                    "method": "RolloutRestart",
                    "target": _reference(target),
                    "fence": {
                        "uid": target["metadata"]["uid"],
                        "resourceVersion": target["metadata"]["resourceVersion"],
                        "generation": target["metadata"].get("generation", 0),
                    },
                    "healthCheck": {"name": asker["metadata"]["name"], "uid": asker["metadata"]["uid"]},
                    "policy": {"name": "policy", "uid": "policy"},
                    "check": "pods-ready",
                    "reason": "CrashLoopBackOff",
                    "message": "it crashes",
                    "episode": 1,
                    "step": 1,
                    "timeout": "10s",
                    "stabilization": "1s",
                }
                | spec,
            },
        )
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        path = self.path("kiroremediations", made["metadata"]["name"])
        self.plane.rest.patch(f"{path}/status", {"status": {"state": state, "actingAt": now}})


def _is_rolled_out(deployment: Object) -> bool:
    conditions = deployment["status"].get("conditions", [])
    return any(item.get("reason") == "NewReplicaSetAvailable" for item in conditions)


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _restarts(pod: Object) -> int:
    return min((item["restartCount"] for item in pod["status"].get("containerStatuses", ())), default=0)


def _reference(target: Object) -> Object:
    metadata = target["metadata"]
    return {
        "apiVersion": target.get("apiVersion", "apps/v1"),
        "kind": target["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
