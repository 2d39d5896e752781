"""What the demo reads from the API server: objects as they are, and the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from devcluster import ControlPlane

Object = dict[str, Any]

NAMESPACE = "kiro-system"
HEALTH_CHECK = "kiro"
POLICY = "demo"
OPERATOR_NAMESPACE = "kiro-operator"
OPERATOR_ACCOUNT = "kiro-operator"
OPERATOR_USER = f"system:serviceaccount:{OPERATOR_NAMESPACE}:{OPERATOR_ACCOUNT}"

KIRO_API = f"/apis/kiro.dev/v1alpha1/namespaces/{NAMESPACE}"
CORE_API = f"/api/v1/namespaces/{NAMESPACE}"
APPS_API = f"/apis/apps/v1/namespaces/{NAMESPACE}"
EVENTS_API = f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}"
METRICS_API = f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}"
WRITING = frozenset({"create", "update", "patch", "delete", "deletecollection"})
# The Lease is how a living operator is told from a dead one, Events are not state, and a review of
# permissions is a question that is only asked by POST.
NOT_STATE = frozenset({"leases", "events", "subjectaccessreviews"})


class Cluster:
    """The demo's namespace, read anew at every call."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def pods(self, prefix: str = "", *, leaving: bool = False) -> list[Object]:
        """The pods whose names begin so, by name; those on their way out only when asked for."""
        found: list[Object] = self._plane.rest.get(f"{CORE_API}/pods")["items"]
        living = [pod for pod in found if leaving or "deletionTimestamp" not in pod["metadata"]]
        named = [pod for pod in living if str(pod["metadata"]["name"]).startswith(prefix)]
        return sorted(named, key=lambda pod: str(pod["metadata"]["name"]))

    def pod(self, name: str) -> Object | None:
        """The pod of that name; None when there is none."""
        return next((pod for pod in self.pods(name) if pod["metadata"]["name"] == name), None)

    def deployment(self, name: str) -> Object:
        """A Deployment."""
        return self._plane.rest.get(f"{APPS_API}/deployments/{name}")

    def is_whole(self, name: str) -> bool:
        """Whether a Deployment has all the replicas that it wants, and no others."""
        found = self.deployment(name)
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        return bool(status.get("availableReplicas", 0) == wanted == status.get("replicas", 0))

    def health_check(self) -> Object:
        """The KiroHealthCheck."""
        return self._plane.rest.get(f"{KIRO_API}/kirohealthchecks/{HEALTH_CHECK}")

    def policy(self) -> Object:
        """The KiroSafetyPolicy."""
        return self._plane.rest.get(f"{KIRO_API}/kirosafetypolicies/{POLICY}")

    def config_map(self, name: str) -> Object:
        """A ConfigMap of kiro-system."""
        return self._plane.rest.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{name}")

    def cluster_role(self, name: str) -> Object:
        """A ClusterRole."""
        return self._plane.rest.get(f"/apis/rbac.authorization.k8s.io/v1/clusterroles/{name}")

    def condition(self, kind: str) -> Object:
        """A condition of the KiroHealthCheck; empty when it is not there."""
        conditions = self.health_check().get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == kind), {})

    def check(self, check_id: str) -> Object:
        """The verdict of a check; empty when it is not there."""
        checks = self.health_check().get("status", {}).get("checks", [])
        return next((each for each in checks if each["id"] == check_id), {})

    def remediations(self) -> list[Object]:
        """All KiroRemediations, oldest first."""
        found: list[Object] = self._plane.rest.get(f"{KIRO_API}/kiroremediations")["items"]
        return sorted(
            found, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"])
        )

    def events(self) -> list[Object]:
        """The operator's Events, oldest first."""
        found: list[Object] = self._plane.rest.get(f"{EVENTS_API}/events")["items"]
        told = [each for each in found if "kiro" in str(each.get("reportingController"))]
        return sorted(told, key=lambda each: str(each.get("eventTime") or ""))

    def cpu(self) -> dict[str, int]:
        """What metrics-server last measured of each pod, in thousandths of a CPU."""
        items = self._plane.rest.get(f"{METRICS_API}/pods")["items"]
        return {
            item["metadata"]["name"]: sum(millicores(each["usage"]["cpu"]) for each in item["containers"])
            for item in items
        }

    # --- who did what, from the audit log ---------------------------------------------------------

    def now(self) -> int:
        """A place in the audit log, for `since`."""
        return self._plane.audit_offset()

    def written_by_operator(self, since: int) -> list[Object]:
        """Requests of the operator that changed state, Events and its Lease aside."""
        return [
            event
            for event in self._audit(since)
            if event["user"]["username"] == OPERATOR_USER
            and event.get("objectRef", {}).get("resource") not in NOT_STATE
        ]

    def evicted(self, since: int) -> list[str]:
        """Names of the pods that anybody evicted."""
        return [
            str(event["objectRef"]["name"])
            for event in self._audit(since)
            if event.get("objectRef", {}).get("subresource") == "eviction"
        ]

    def _audit(self, since: int) -> Iterator[Object]:
        """What changed something and was accepted."""
        for event in self._plane.audit_events(since):
            if event["verb"] in WRITING and event.get("responseStatus", {}).get("code", 0) < 300:
                yield event


def restarts(pod: Object) -> int:
    """How often the containers of a pod have been restarted."""
    return sum(int(each["restartCount"]) for each in pod.get("status", {}).get("containerStatuses", ()))


def state(pod: Object) -> str:
    """What the column STATUS of kubectl get pods shows."""
    if "deletionTimestamp" in pod["metadata"]:
        return "Terminating"
    for each in pod.get("status", {}).get("containerStatuses", ()):
        if "waiting" in each.get("state", {}):
            return str(each["state"]["waiting"]["reason"])
    return str(pod.get("status", {}).get("phase", "Unknown"))


def is_ready(pod: Object) -> bool:
    """Whether the pod's condition Ready is True."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def millicores(quantity: str) -> int:
    """A CPU quantity as the metrics API writes it: 250m, 120000000n, 1."""
    for suffix, divisor in (("n", 1_000_000), ("u", 1_000), ("m", 1)):
        if quantity.endswith(suffix):
            return round(int(quantity[:-1]) / divisor)
    return round(float(quantity) * 1000)
