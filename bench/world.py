"""A control plane for one benchmark, and what is put into it."""

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import yaml

import devcluster
from bench import manifests
from bench.manifests import Object
from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.rest import on_each
from devcluster.wait import until

ROOT = Path(__file__).resolve().parent.parent
CRDS, DEPLOY = ROOT / "crds", ROOT / "deploy"
ACCOUNT = "kiro-operator"
OWN_NAMESPACE = "kiro-operator"
USER = f"system:serviceaccount:{OWN_NAMESPACE}:{ACCOUNT}"
KHC = "/apis/kiro.dev/v1alpha1/namespaces/{}/kirohealthchecks"
KSP = "/apis/kiro.dev/v1alpha1/namespaces/{}/kirosafetypolicies"
PODS_A_NODE = 250
EMPTY: Mapping[str, str] = MappingProxyType({})
Workload = tuple[str, str]
"""Namespace and name of a Deployment."""


class World:
    """A control plane with workloads in it."""

    def __init__(self, plane: ControlPlane, account: Path, nodes: Sequence[str]) -> None:
        self.plane = plane
        self.account = account
        self._nodes = nodes
        self._placed = 0

    def namespaces(self, names: Sequence[str], grants: Sequence[str] = ("observe", "restart")) -> None:
        """Make namespaces in which pods can be created, with these grants of deploy/namespace."""
        rest = self.plane.rest

        def make(name: str) -> None:
            rest.post("/api/v1/namespaces", {"metadata": {"name": name}})
            until(lambda: _found(lambda: rest.get(_account(name))), f"the account of {name}", 60)
            _onboard(self.plane, name, grants)

        on_each(make, names)

    def deploy(
        self, workloads: Sequence[Workload], *, replicas: int, components: Mapping[str, str] = EMPTY
    ) -> None:
        """Make Deployments, each on the next node that has room, and wait until all pods are Ready.

        ``components`` gives Deployments of these names the label component.
        """

        def make(pair: tuple[Workload, str]) -> None:
            (namespace, name), node = pair
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
            component = components.get(name, "")
            body = manifests.deployment(name, replicas=replicas, node=node, component=component)
            self.plane.rest.post(path, body)

        on_each(make, [(each, self._next_node()) for each in workloads])
        for namespace in sorted({namespace for namespace, _ in workloads}):
            self._wait_available(namespace)

    def health_checks(self, workloads: Sequence[Workload], *, policy: str | None = None) -> None:
        """Make a KiroHealthCheck of the same name for each workload."""
        on_each(
            lambda each: self.plane.rest.post(
                KHC.format(each[0]), manifests.health_check(each[1], app=each[1], policy=policy)
            ),
            workloads,
        )

    def watch_all(
        self, namespaces: Sequence[str], *, policy: str | None = None, polled: bool = False
    ) -> None:
        """Make one KiroHealthCheck over everything in each namespace."""
        body = manifests.health_check("all", policy=policy, polled=polled)
        on_each(lambda name: self.plane.rest.post(KHC.format(name), body), namespaces)

    def policies(self, namespaces: Sequence[str]) -> None:
        """Make the policy `bench` in each namespace."""
        on_each(lambda name: self.plane.rest.post(KSP.format(name), manifests.policy("bench")), namespaces)

    def pods(self, namespace: str, *, hold: bool = False) -> dict[str, list[Object]]:
        """Pods of a namespace by the workload they belong to; held, kwok leaves their status alone."""
        found: dict[str, list[Object]] = {}
        items = self.plane.rest.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        for pod in items:
            found.setdefault(pod["metadata"]["labels"]["app"], []).append(pod)
        if hold:
            on_each(lambda pod: self.plane.rest.patch(manifests.path_of(pod), manifests.HELD), items)
        return found

    def run_now(self, path: str, value: str) -> float:
        """Ask a KiroHealthCheck for a run of everything; seconds until its status says that it is done."""
        started = time.perf_counter()
        self.plane.rest.patch(path, {"metadata": {"annotations": {"kiro.dev/requestedAt": value}}})
        until(
            lambda: self.plane.rest.get(path).get("status", {}).get("lastHandledReconcileAt") == value,
            value,
            60,
        )
        return time.perf_counter() - started

    def settle(self, namespaces: Sequence[str], count: int, timeout: float = 120.0) -> None:
        """Wait until so many KiroHealthChecks are Healthy."""

        def healthy() -> bool:
            items = [item for name in namespaces for item in self.plane.rest.get(KHC.format(name))["items"]]
            return sum(is_healthy(item) for item in items) >= count

        until(healthy, f"{count} healthy KiroHealthChecks", timeout)

    def _next_node(self) -> str:
        self._placed += 1
        return self._nodes[self._placed % len(self._nodes)]

    def _wait_available(self, namespace: str) -> None:
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"

        def available() -> bool:
            items = self.plane.rest.get(path)["items"]
            return all(
                item["status"].get("availableReplicas", 0) == item["spec"]["replicas"] for item in items
            )

        until(available, f"all pods of {namespace}", 600)


@contextlib.contextmanager
def world(name: str, *, pods: int, metrics: bool = False) -> Iterator[World]:
    """A control plane of its own, with nodes for so many pods and a ServiceAccount for the operator."""
    nodes = max(4, -(-pods // PODS_A_NODE) + 2)
    plane = devcluster.boot(
        name=f"bench-{name}", fast=True, nodes=min(nodes, 8), metrics_server=metrics, timeout=180.0
    )
    try:
        names = [f"node-{number}" for number in range(min(nodes, 8))]
        if nodes > 8:
            names += plane.add_nodes(nodes - 8)
        plane.apply(CRDS)
        plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
        yield World(plane, _grant(plane), names)
    finally:
        plane.stop()


def is_healthy(item: Object) -> bool:
    """Whether the condition Healthy is True."""
    return any(
        each["type"] == "Healthy" and each["status"] == "True"
        for each in item.get("status", {}).get("conditions", ())
    )


def _grant(plane: ControlPlane) -> Path:
    """The operator's ServiceAccount with the rights that an installation gives it."""
    for name in ("namespace", "service-account", "rbac-cluster", "rbac-own"):
        plane.apply(DEPLOY / "base" / f"{name}.yaml")
    return plane.service_account_dir(OWN_NAMESPACE, ACCOUNT, seconds=4 * 3600)


def _onboard(plane: ControlPlane, namespace: str, grants: Sequence[str]) -> None:
    """What an admin applies to a namespace that the operator is to look at."""
    for grant in grants:
        for each in yaml.safe_load_all((DEPLOY / "namespace" / grant / "rbac.yaml").read_text()):
            path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{each['kind'].lower()}s"
            plane.rest.post(path, each)


def _account(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/default"


def _found(look: Callable[[], Object]) -> bool:
    try:
        look()
    except ApiError as error:
        if error.status == http.client.NOT_FOUND:
            return False
        raise
    return True
