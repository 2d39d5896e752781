"""One namespace with workloads, a KiroHealthCheck, a KiroSafetyPolicy and an operator of its own.

The control plane is shared by all tests, so each operator is told, by a label selector, to see the
KiroHealthChecks of its own test only.
"""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any

from devcluster import ControlPlane, faults
from devcluster.errors import ApiError
from devcluster.proxy_faults import Fault
from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness import flips
from tests.harness.forked import ForkedOperator

API = "/apis/kiro.dev/v1alpha1"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
Object = dict[str, Any]
STEADY = ("--lease-duration", "10.0", "--lease-renew-deadline", "8.0", "--lease-retry-period", "0.2")
"""For tests that are not about the Lease: a busy machine must not cost it."""
WATCHED_ONLY = [{"id": name, "enabled": False} for name, item in registry().items() if item.check.polled]
"""For tests that are about what is watched: polled checks off."""


def enforce(**changes: Any) -> Object:
    """The spec of a policy that lets the operator act at once; a budget is that of each action as well."""
    budget = changes.get("budget", {"limit": 20, "window": "1h"})
    return {
        "mode": "Enforce",
        "actions": [
            {"name": "Restart", "approval": "Automatic", "budget": budget},
            {"name": "Scale", "approval": "Automatic", "budget": budget},
        ],
        "budget": budget,
        "cooldown": "0s",
        "backoff": {"initial": "0s", "maximum": "0s"},
        "maxConsecutiveFailures": 10,
        "maxUnhealthy": "100%",
        "stormCooldown": "0s",
        "scale": {"floor": 1, "ceiling": 6, "step": 1},
        "forbiddenWindows": [],
        "maintenanceWindows": [],
        "pauseRequests": [],
        "protected": {"selectors": []},
    } | changes


class World:
    """A namespace and all that is in it."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.plane = plane
        self.namespace = namespace
        self._folder = folder
        self._operators: list[ForkedOperator] = []
        self.offset = plane.audit_offset()
        """Where this test's part of the audit log begins."""

    # --- objects --------------------------------------------------------------------------------

    def path(self, plural: str, name: str = "", *, api: str = API) -> str:
        """Path of a collection, or of an object in it."""
        return f"{api}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def get(self, plural: str, name: str, *, api: str = API) -> Object:
        """An object as it is now."""
        return self.plane.rest.get(self.path(plural, name, api=api))

    def items(self, plural: str, *, api: str = API) -> list[Object]:
        """All objects of a collection."""
        found: list[Object] = self.plane.rest.get(self.path(plural, api=api))["items"]
        return found

    def deployment(self, name: str = "kiro", replicas: int = 4, **spec: Any) -> Object:
        """A Deployment with that many pods, all of them ready."""
        labels = {"app": name}
        body = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name, "namespace": self.namespace, "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [
                            {
                                "name": name,
                                "image": "kiro:1",
                                "resources": {
                                    "requests": {"cpu": "100m", "memory": "64Mi"},
                                    "limits": {"cpu": "200m", "memory": "128Mi"},
                                },
                            }
                        ]
                    },
                },
            }
            | spec,
        }
        created = self.plane.rest.post(self.path("deployments", api="/apis/apps/v1"), body)
        self.all_ready(name, replicas)
        return created

    def all_ready(self, name: str, replicas: int, timeout: float = 60.0) -> None:
        """Wait until the Deployment has that many available replicas of its template, and no others."""

        def ready() -> bool:
            found = self.get("deployments", name, api="/apis/apps/v1")
            status = found.get("status", {})
            counts = {status.get(key, 0) for key in ("availableReplicas", "updatedReplicas", "replicas")}
            # What has not been looked at since a change speaks of the pods before it.
            seen = status.get("observedGeneration") == found["metadata"]["generation"]
            return seen and counts == {replicas}

        until(ready, f"{replicas} pods of {name}", timeout)

    def pods(self, name: str = "kiro") -> list[Object]:
        """The pods of a Deployment that are not on their way out, by name."""
        found = [
            pod
            for pod in self.items("pods", api="/api/v1")
            if pod["metadata"]["labels"].get("app") == name and "deletionTimestamp" not in pod["metadata"]
        ]
        return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))

    def break_pod(self, fault: str = "crash-loop", name: str = "kiro", index: int = 0) -> Object:
        """Break one pod of a Deployment; returns the pod as it was."""
        pod = self.pods(name)[index]
        faults.inject(self.plane, self.namespace, pod["metadata"]["name"], fault)
        return pod

    def policy(self, name: str = "policy", **spec: Any) -> Object:
        """A KiroSafetyPolicy."""
        return self._create("KiroSafetyPolicy", "kirosafetypolicies", name, spec)

    def health_check(self, name: str = "kiro", **spec: Any) -> Object:
        """A KiroHealthCheck that only this test's operators see."""
        return self._create("KiroHealthCheck", "kirohealthchecks", name, spec)

    def _create(self, kind: str, plural: str, name: str, spec: Object) -> Object:
        metadata = {"name": name, "namespace": self.namespace, "labels": {"test": self.namespace}}
        body = {"apiVersion": "kiro.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        return self.plane.rest.post(self.path(plural), body)

    # --- what is read ---------------------------------------------------------------------------

    def condition(self, kind: str, name: str = "kiro", plural: str = "kirohealthchecks") -> Object:
        """A condition as it is now; empty when it is not there."""
        status = self.get(plural, name).get("status", {})
        return next((item for item in status.get("conditions", []) if item["type"] == kind), {})

    def wait_condition(
        self, kind: str, status: str, name: str = "kiro", *, reason: str = "", timeout: float = 30.0
    ) -> Object:
        """Wait for a condition to have a status, and a reason if one is given."""

        def reached() -> Object | None:
            found = self.condition(kind, name)
            right = found.get("status") == status and reason in {"", found.get("reason")}
            return found if right else None

        try:
            return until(reached, f"{kind}={status} {reason}".strip(), timeout)
        except Exception as error:
            raise AssertionError(f"{error}\nstatus: {self.describe(name)}\nlog: {self.log_tail()}") from error

    def check(self, check_id: str, name: str = "kiro") -> Object:
        """The verdict of one check as it is now; empty when it is not there."""
        status = self.get("kirohealthchecks", name).get("status", {})
        found: Object = next((item for item in status.get("checks", []) if item["id"] == check_id), {})
        flips.saw(check_id, found.get("status", ""))
        return found

    def wait_check(self, check_id: str, status: str, name: str = "kiro", *, timeout: float = 30.0) -> Object:
        """Wait for a check to have a status."""

        def reached() -> Object | None:
            found = self.check(check_id, name)
            return found if found.get("status") == status else None

        try:
            return until(reached, f"{check_id}={status}", timeout)
        except Exception as error:
            raise AssertionError(f"{error}\nstatus: {self.describe(name)}\nlog: {self.log_tail()}") from error

    def remediations(self) -> list[Object]:
        """All KiroRemediations, oldest first."""
        found = self.items("kiroremediations")
        return sorted(
            found, key=lambda item: (item["metadata"]["creationTimestamp"], item["metadata"]["name"])
        )

    def wait_remediation(self, state: str, count: int = 1, timeout: float = 30.0) -> list[Object]:
        """Wait until so many KiroRemediations are in a state; returns them."""

        def reached() -> list[Object] | None:
            found = [item for item in self.remediations() if item["status"].get("state") == state]
            return found if len(found) >= count else None

        try:
            return until(reached, f"{count} KiroRemediations {state}", timeout)
        except Exception as error:
            seen = [(item["metadata"]["name"], item["status"]) for item in self.remediations()]
            raise AssertionError(
                f"{error}\nseen: {seen}\nstatus: {self.describe()}\nlog: {self.log_tail()}"
            ) from error

    def wait_fault(self, fault: Fault, timeout: float = 30.0) -> None:
        """Wait until a fault of the proxy has been applied."""
        try:
            fault.wait(timeout=timeout)
        except Exception as error:
            raise AssertionError(f"{error}\nstatus: {self.describe()}\nlog: {self.log_tail()}") from error

    def describe(self, name: str = "kiro") -> str:
        """A status in one text, for a failing test."""
        return json.dumps(self.get("kirohealthchecks", name).get("status", {}))[:6000]

    def log_tail(self) -> str:
        """The end of the operators' logs, for a failing test."""
        return "\n".join(each.log.read_text()[-3000:] for each in self._operators if each.log.exists())

    def written(self, *, verbs: tuple[str, ...] = ("create", "update", "patch", "delete")) -> list[Object]:
        """Requests of this test's operators that changed something in the namespace, from the audit log."""
        accounts = f"system:serviceaccount:{self.namespace}:"
        return [
            event
            for event in self.plane.audit_events(self.offset, naming=accounts)
            if event["verb"] in verbs
            and event["user"]["username"].startswith(accounts)
            and event.get("objectRef", {}).get("resource") not in {"leases", "events", "subjectaccessreviews"}
            and event.get("responseStatus", {}).get("code", 0) < 300
        ]

    def evictions(self) -> list[Object]:
        """Evictions that the API server accepted."""
        return [event for event in self.written() if event["objectRef"].get("subresource") == "eviction"]

    # --- operators ------------------------------------------------------------------------------

    def operator(self, *flags: str, start: bool = True, server: str = "") -> ForkedOperator:
        """An operator for this namespace, with a ServiceAccount of its own."""
        number = len(self._operators)
        if not number:
            self._grant()
        operator = ForkedOperator(
            self.plane,
            namespace=self.namespace,
            service_account="operator",
            log=self._folder / f"operator-{number}.log",
            flags=(*STEADY, "--watch-label-selector", f"test={self.namespace}", *flags),
            server=server,
        )
        self._operators.append(operator)
        return operator.start() if start else operator

    def restart(self, operator: ForkedOperator) -> ForkedOperator:
        """Start an operator that has died anew, from nothing; its Lease goes first, as if it had run out."""
        operator.forked = False
        self.plane.kubectl("delete", "lease", "kiro-operator", "-n", self.namespace, "--ignore-not-found")
        return operator.start()

    def _grant(self) -> None:
        rest, account = self.plane.rest, {"name": "operator", "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
        rest.post(self.path("serviceaccounts", api="/api/v1"), {"metadata": account})
        binding = {
            "metadata": {"name": f"operator-{self.namespace}"},
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **account}],
        }
        rest.post(BINDINGS, binding)

    def close(self) -> None:
        """End all operators."""
        for operator in self._operators:
            if operator.running:
                operator.kill()
        if self._operators:
            self._revoke()

    def _revoke(self) -> None:
        try:
            self.plane.rest.delete(f"{BINDINGS}/operator-{self.namespace}")
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:  # a test may have taken it away itself
                raise
