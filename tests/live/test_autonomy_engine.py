"""The whole operator on the bounds of autonomous operations: from a revoked right to the status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devcluster import ControlPlane
from kiro_operator.core.checks import registry
from tests.harness.world import World
from tests.live.autonomy import gates

RBAC = "/apis/rbac.authorization.k8s.io/v1"
JUDGED = ("service-account-permissions", "safety-config", "approval-gates", "escalation-triggers")


@pytest.fixture
def world(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> Iterator[World]:
    made = World(control_plane, namespace, tmp_path)
    yield made
    made.close()


def allow(world: World, name: str, rule: dict[str, Any], account: str) -> None:
    place = f"{RBAC}/namespaces/{world.namespace}"
    world.plane.rest.post(f"{place}/roles", {"metadata": {"name": name}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    subject = {"kind": "ServiceAccount", "name": account, "namespace": world.namespace}
    world.plane.rest.post(
        f"{place}/rolebindings",
        {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]},
    )


def test_a_revoked_right_is_told_in_the_status_with_the_rule_to_add(world: World) -> None:
    rest = world.plane.rest
    rest.post(world.path("serviceaccounts", api="/api/v1"), {"metadata": {"name": "kiro"}})
    allow(world, "kiro", {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}, "kiro")
    approve = {"apiGroups": ["kiro.dev"], "resources": ["kiroapprovals/drains"], "verbs": ["approve"]}
    allow(world, "approver", approve, "bot")
    config = {"mode": "supervised"}
    configmap = world.path("configmaps", "kiro-safety-config", api="/api/v1")
    rest.post(
        world.path("configmaps", api="/api/v1"), {"metadata": {"name": "kiro-safety-config"}, "data": config}
    )
    triggers = [
        {"name": tier, "condition": "Healthy", "after": after, "tier": tier}
        for tier, after in (("Tier2", "30m"), ("Tier3", "2h"), ("Management", "4h"))
    ]
    world.policy(**gates(safetyConfig={"data": config}, escalation={"triggers": triggers}))
    others = [{"id": name, "enabled": False} for name in registry() if name not in JUDGED]
    world.health_check(interval="5s", checks=others)
    world.operator("--cluster-facts-namespace", world.namespace)
    for check_id in JUDGED:
        world.wait_check(check_id, "Pass", timeout=60.0)

    rest.delete(f"{RBAC}/namespaces/{world.namespace}/rolebindings/kiro")
    rest.patch(configmap, {"data": {"mode": "unattended"}})
    told = world.wait_check("service-account-permissions", "Fail", timeout=60.0)
    assert told["reason"] == "PermissionMissing"
    assert "apiGroups [''], resources ['pods'], verbs ['create']" in told["message"]
    assert told["objects"] == [{"kind": "ServiceAccount", "name": "kiro"}]
    told = world.wait_check("safety-config", "Fail", timeout=60.0)
    assert "mode: 'supervised' → 'unattended'" in told["message"]
    # What a policy alone tells is known as soon as the policy changes, and not with the next sample.
    rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"approvalGates": []}})
    assert world.wait_check("approval-gates", "Fail", timeout=60.0)["reason"] == "GateMissing"
    assert world.wait_condition("AutonomyEffective", "False")["status"] == "False"

    rest.patch(configmap, {"data": config})
    world.wait_check("safety-config", "Pass", timeout=60.0)
