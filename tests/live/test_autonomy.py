"""What bounds autonomous operations, on a real API server: each check flips and flips back."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from devcluster import ControlPlane
from kiro_operator.adapters.kubernetes import access as access_adapter
from kiro_operator.adapters.kubernetes import safety_config as config_adapter
from kiro_operator.adapters.kubernetes.access import ClusterAccess
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.safety_config import SafetyConfigs
from kiro_operator.ports import Observer
from tests.adapters.helpers import service_account
from tests.live.autonomy import Watcher, gates

RBAC = "/apis/rbac.authorization.k8s.io/v1"


class Cluster:
    """RBAC objects of one test, taken away when it ends."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self.plane, self.namespace = plane, namespace
        self.role = f"kiro-autonomous-operations-{uuid.uuid4().hex[:8]}"
        self._made: list[str] = []

    def make(self, kind: str, name: str, body: dict[str, Any], *, cluster: bool = False) -> None:
        place = f"{RBAC}/{kind}" if cluster else f"{RBAC}/namespaces/{self.namespace}/{kind}"
        self.plane.rest.post(place, {"metadata": {"name": name}, **body})
        if cluster:
            self._made.append(f"{place}/{name}")

    def drop(self, kind: str, name: str) -> None:
        self.plane.rest.delete(f"{RBAC}/namespaces/{self.namespace}/{kind}/{name}")

    def rules(self, kind: str, name: str, rules: list[dict[str, Any]]) -> None:
        """Have a role hold these rules and no others."""
        place = (
            f"{RBAC}/clusterroles" if kind == "clusterroles" else f"{RBAC}/namespaces/{self.namespace}/{kind}"
        )
        self.plane.rest.patch(f"{place}/{name}", {"rules": rules})

    def bind(self, name: str, kind: str, role: str, subjects: list[dict[str, str]]) -> None:
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}
        self.make("rolebindings", name, {"roleRef": reference, "subjects": subjects})

    def account(self, name: str) -> dict[str, str]:
        return {"kind": "ServiceAccount", "name": name, "namespace": self.namespace}

    def close(self) -> None:
        for path in self._made:
            self.plane.rest.delete(path)


@pytest.fixture
def cluster(control_plane: ControlPlane, namespace: str) -> Iterator[Cluster]:
    made = Cluster(control_plane, namespace)
    control_plane.rest.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": "kiro"}})
    yield made
    made.close()


@pytest_asyncio.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    """The operator with the rules of these sources, by a ClusterRole as the overlay grants them."""
    rules = (*access_adapter.RULES, *config_adapter.RULES)
    credentials = service_account(cluster.plane, cluster.namespace)
    name = f"operator-{uuid.uuid4().hex[:8]}"
    listed = [
        {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
        for rule in rules
    ]
    cluster.make("clusterroles", name, {"rules": listed}, cluster=True)
    who = {"kind": "Group", "name": f"system:serviceaccounts:{cluster.namespace}"}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    cluster.make(
        "clusterrolebindings",
        name,
        {"roleRef": reference, "subjects": [{**who, "apiGroup": "rbac.authorization.k8s.io"}]},
        cluster=True,
    )
    client = Client(credentials)
    yield client
    await client.close()


def patient(check_id: str, cluster: Cluster, client: Client, **policies: dict[str, Any]) -> Watcher:
    """Watches a check on permissions."""
    watcher = Watcher(check_id, cluster.namespace, observers(client, cluster.namespace), **policies)
    watcher.patience = 5.0
    return watcher


def observers(client: Client, namespace: str) -> tuple[Observer, ...]:
    return ClusterAccess(client, frozenset({namespace}), keep=timedelta(seconds=-1)), SafetyConfigs(client)


PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}


@pytest.mark.flips("service-account-permissions")
async def test_a_revoked_permission_is_found_with_the_rule_to_add(cluster: Cluster, client: Client) -> None:
    watcher = patient("service-account-permissions", cluster, client)
    cluster.make("roles", "kiro", {"rules": [PODS]})
    cluster.bind("kiro", "Role", "kiro", [cluster.account("kiro")])
    await watcher.expect("Pass", "AsExpected")

    cluster.drop("rolebindings", "kiro")
    verdict = await watcher.expect(
        "Fail", "PermissionMissing", "apiGroups [''], resources ['pods'], verbs ['create']"
    )
    assert [finding.object.name for finding in verdict.findings] == ["kiro"]

    cluster.bind("kiro", "Role", "kiro", [cluster.account("kiro")])
    await watcher.expect("Pass", "AsExpected")


async def test_what_must_be_denied_names_the_binding_that_grants_it(cluster: Cluster, client: Client) -> None:
    watcher = patient("service-account-permissions", cluster, client)
    cluster.make("roles", "kiro", {"rules": [PODS]})
    cluster.bind("kiro", "Role", "kiro", [cluster.account("kiro")])
    await watcher.expect("Pass", "AsExpected")

    shell = {"apiGroups": [""], "resources": ["*"], "verbs": ["create"]}
    cluster.make("roles", "debug", {"rules": [shell]})
    everybody = {
        "kind": "Group",
        "name": f"system:serviceaccounts:{cluster.namespace}",
        "apiGroup": "rbac.authorization.k8s.io",
    }
    cluster.bind("leftover", "Role", "debug", [everybody])
    verdict = await watcher.expect(
        "Fail", "PermissionExcessive", "RoleBinding leftover", "Role debug", "create pods --subresource=exec"
    )
    assert {finding.object.name for finding in verdict.findings} == {"leftover"}

    cluster.drop("rolebindings", "leftover")
    await watcher.expect("Pass", "AsExpected")


async def test_a_policys_own_matrix(cluster: Cluster, client: Client) -> None:
    scale = {
        "verb": "patch",
        "group": "apps",
        "resource": "deployments",
        "subresource": "scale",
        "name": "web",
    }
    policy = {"permissions": {"serviceAccount": "bot", "mustAllow": [scale], "mustDeny": []}}
    watcher = patient("service-account-permissions", cluster, client, strict=policy)
    await watcher.expect("Fail", "ServiceAccountMissing", "kubectl create serviceaccount bot")
    cluster.plane.rest.post(
        f"/api/v1/namespaces/{cluster.namespace}/serviceaccounts", {"metadata": {"name": "bot"}}
    )
    needed = "apiGroups ['apps'], resources ['deployments/scale'], resourceNames ['web'], verbs ['patch']"
    await watcher.expect("Fail", "PermissionMissing", needed, "KiroSafetyPolicy strict")
    rule = {
        "apiGroups": ["apps"],
        "resources": ["deployments/scale"],
        "verbs": ["patch"],
        "resourceNames": ["web"],
    }
    cluster.make("roles", "bot", {"rules": [rule]})
    cluster.bind("bot", "Role", "bot", [cluster.account("bot")])
    await watcher.expect("Pass", "AsExpected")


async def test_permissions_without_the_permission(cluster: Cluster) -> None:
    client = Client(service_account(cluster.plane, cluster.namespace))
    watcher = patient("service-account-permissions", cluster, client)
    await watcher.expect("Unknown", "Forbidden", "clusterroles", "list")
    watcher.observers = observers(client, "kiro-system")
    await watcher.expect("Skipped", "NotConfigured", f"--cluster-facts-namespace {cluster.namespace}")
    await client.close()


ROLE = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}


@pytest.mark.flips("safety-cluster-role")
async def test_the_cluster_role(cluster: Cluster, client: Client) -> None:
    desired = {"name": cluster.role, "rules": [ROLE]}
    watcher = patient(
        "safety-cluster-role",
        cluster,
        client,
        strict={"clusterRole": desired},
    )
    await watcher.expect("Fail", "RoleAbsent", cluster.role)
    # The same grants in other words are the same.
    split = [{**ROLE, "verbs": [verb]} for verb in ("patch", "get")]
    cluster.make("clusterroles", cluster.role, {"rules": split}, cluster=True)
    await watcher.expect("Fail", "NotBound", f"system:serviceaccount:{cluster.namespace}:kiro")
    cluster.bind("autonomy", "ClusterRole", cluster.role, [cluster.account("kiro")])
    await watcher.expect("Pass", "AsExpected")

    cluster.rules(
        "clusterroles",
        cluster.role,
        [ROLE, {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]}],
    )
    await watcher.expect("Fail", "RoleGrantsTooMuch", "create pods/exec")
    cluster.rules("clusterroles", cluster.role, [{**ROLE, "verbs": ["get"]}])
    await watcher.expect("Fail", "RoleDiffers", "add: patch deployments.apps")
    cluster.rules("clusterroles", cluster.role, [ROLE])
    await watcher.expect("Pass", "AsExpected")

    cluster.bind("more", "ClusterRole", cluster.role, [cluster.account("default")])
    await watcher.expect("Fail", "BoundToOthers", "RoleBinding more", f"{cluster.namespace}:default")
    cluster.drop("rolebindings", "more")
    await watcher.expect("Pass", "AsExpected")


@pytest.mark.flips("safety-config")
async def test_the_safety_config(cluster: Cluster, client: Client) -> None:
    desired = {"data": {"mode": "supervised", "max-operations": "3"}}
    watcher = patient(
        "safety-config",
        cluster,
        client,
        strict={"safetyConfig": desired},
    )
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps"
    await watcher.expect("Fail", "ConfigAbsent", "kiro-safety-config")
    cluster.plane.rest.post(path, {"metadata": {"name": "kiro-safety-config"}, **desired})
    await watcher.expect("Pass", "AsExpected")
    change = {"data": {"mode": "unattended", "max-operations": None, "api-token": "hunter2hunter2"}}
    cluster.plane.rest.patch(f"{path}/kiro-safety-config", change)
    verdict = await watcher.expect(
        "Fail",
        "ConfigDiffers",
        "mode: 'supervised' → 'unattended'",
        "max-operations: '3' → absent",
        "api-token: absent → '[redacted]'",
    )
    assert "hunter2" not in repr((verdict, watcher.samples))
    back = {"data": {"mode": "supervised", "max-operations": "3", "api-token": None}}
    cluster.plane.rest.patch(f"{path}/kiro-safety-config", back)
    await watcher.expect("Pass", "AsExpected")


@pytest.mark.flips("approval-gates")
async def test_gates_that_somebody_may_open(cluster: Cluster, client: Client) -> None:
    watcher = patient("approval-gates", cluster, client, strict=gates())
    needed = "apiGroups ['kiro.dev'], resources ['kiroapprovals/drains'], verbs ['approve']"
    await watcher.expect("Fail", "NobodyMayApprove", needed, "Group leads")
    approve = {"apiGroups": ["kiro.dev"], "resources": ["kiroapprovals/drains"], "verbs": ["approve"]}
    cluster.make("roles", "approver", {"rules": [approve]})
    cluster.bind("approvers", "Role", "approver", [cluster.account("bot")])
    await watcher.expect("Pass", "AsExpected")

    cluster.bind("too-many", "Role", "approver", [cluster.account("kiro")])
    await watcher.expect("Fail", "ApprovesItself", "ServiceAccount kiro", "by RoleBinding too-many")
    cluster.drop("rolebindings", "too-many")
    await watcher.expect("Pass", "AsExpected")

    config = {
        "metadata": {"name": "kiro-safety-config"},
        "data": {"require-approval": "- drain-node\n- purge"},
    }
    cluster.plane.rest.post(f"/api/v1/namespaces/{cluster.namespace}/configmaps", config)
    watcher.policies["strict"] = gates(safetyConfig={"data": config["data"]})
    await watcher.expect("Fail", "GateMissing", "purge")
    cluster.drop("rolebindings", "approvers")
    verdict = await watcher.expect("Fail", "GateMissing", "purge", "nobody may approve")
    assert len(verdict.findings) == 2
