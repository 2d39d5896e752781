"""A ServiceAccount that may too much: autonomous operations are suspended, until a person lifts it."""

from __future__ import annotations

import shlex
from typing import Any

from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness.world import World, enforce

NAME = "kiro-safety-config"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
WANTED = {"service-account-permissions", "safety-config"}
CHECKS = [{"id": name, "enabled": name in WANTED} for name in registry()]
DESIRED = {"operations": "supervised", "limit": "3"}
BUDGET = {"limit": 5, "window": "1h"}
ACTIONS = [
    {"name": "Contain", "approval": "Automatic", "budget": BUDGET},
    {"name": "RestoreSafetyConfig", "approval": "Automatic", "budget": BUDGET},
]


def begin(world: World, **policy: Any) -> None:
    """An operator that looks at a ServiceAccount which may what it should."""
    prepare(world, **policy)
    world.operator("--cluster-facts-namespace", world.namespace)
    world.wait_check("service-account-permissions", "Pass", timeout=60)


def prepare(
    world: World, *, interval: str = "5s", stabilization: str = "1s", checks: Any = CHECKS, **policy: Any
) -> None:
    """A safety configuration as it should be, and what is to be done when it or the ServiceAccount is not."""
    rest = world.plane.rest
    rest.post(world.path("serviceaccounts", api="/api/v1"), {"metadata": {"name": "kiro"}})
    rest.post(world.path("configmaps", api="/api/v1"), {"metadata": {"name": NAME}, "data": DESIRED})
    spec = {
        "actions": ACTIONS,
        "containment": {"configMap": NAME, "key": "operations", "value": "suspended"},
        "safetyConfig": {"name": NAME, "data": DESIRED, "onDrift": "Restore"},
        "permissions": {"mustAllow": [], "mustDeny": [{"verb": "get", "resource": "secrets"}]},
    }
    world.policy(**enforce(**(spec | policy)))
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval=interval,
        checks=checks,
        remediation={"stabilization": stabilization},
    )


def allow_secrets(world: World) -> None:
    place = f"{RBAC}/namespaces/{world.namespace}"
    rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    world.plane.rest.post(f"{place}/roles", {"metadata": {"name": "too-much"}, "rules": [rule]})
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "too-much"}
    subject = {"kind": "ServiceAccount", "name": "kiro", "namespace": world.namespace}
    world.plane.rest.post(
        f"{place}/rolebindings",
        {"metadata": {"name": "too-much"}, "roleRef": reference, "subjects": [subject]},
    )


def config(world: World) -> dict[str, str]:
    data: dict[str, str] = world.get("configmaps", NAME, api="/api/v1")["data"]
    return data


def test_harm_is_contained_until_a_person_lifts_it(world: World) -> None:
    begin(world)
    allow_secrets(world)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert (done["spec"]["action"], done["status"]["reason"]) == ("Contain", "Held")
    assert config(world) == DESIRED | {"operations": "suspended"}
    # It counts as desired: the configuration is not restored over it, and other drift still is.
    world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), {"data": {"limit": "9"}})
    until(lambda: config(world)["limit"] == "3", "the other key to be restored", 60)
    assert config(world) == DESIRED | {"operations": "suspended"}
    world.wait_check("safety-config", "Pass", timeout=60)

    # The cause goes, and it stays contained; the command on record lifts it, and that is not undone.
    world.plane.rest.delete(f"{RBAC}/namespaces/{world.namespace}/rolebindings/too-much")
    world.wait_check("service-account-permissions", "Pass", timeout=60)
    assert config(world)["operations"] == "suspended"
    command = shlex.split(done["spec"]["change"]["diff"].partition("to lift it: ")[2])
    assert command[0] == "kubectl"
    world.plane.kubectl(*command[1:])
    world.wait_check("safety-config", "Pass", timeout=60)
    assert config(world) == DESIRED
    assert sorted(item["spec"]["action"] for item in world.remediations()) == [
        "Contain",
        "RestoreSafetyConfig",
    ]


SELDOM = [item | ({"failureThreshold": 1} if item["enabled"] else {}) for item in CHECKS]


def begin_seldom(world: World) -> None:
    """An operator that has just contained what it found, and is not to look again for many minutes."""
    prepare(world, interval="30m", stabilization="5s", checks=SELDOM)
    allow_secrets(world)
    world.operator("--cluster-facts-namespace", world.namespace)

    until(lambda: [item["status"].get("reason") for item in world.remediations()] == ["Holding"], "it", 60)


def test_it_is_seen_to_have_stayed_though_nobody_was_to_look_so_soon(world: World) -> None:
    begin_seldom(world)
    [done] = world.wait_remediation("Succeeded")
    assert done["status"]["reason"] == "Held"


def test_what_is_taken_back_before_its_time_is_over_did_not_stay(world: World) -> None:
    begin_seldom(world)
    world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), {"data": DESIRED})
    [ended] = world.wait_remediation("Failed")
    assert ended["status"]["reason"] == "Reverted"
    assert config(world) == DESIRED


def test_a_containment_stays_though_its_health_check_is_suspended(world: World) -> None:
    begin_seldom(world)
    path = world.path("kirohealthchecks", "kiro")
    world.plane.rest.patch(path, {"spec": {"suspend": True}})
    [ended] = world.wait_remediation("Expired")
    assert ended["status"]["reason"] == "Suspended"

    # It is on record, so that nothing is restored over it; and it is not asked for a second time.
    look = {"metadata": {"annotations": {"kiro.dev/requestedAt": "look"}}, "spec": {"suspend": False}}
    world.plane.rest.patch(path, look)

    def handled() -> bool:
        status = world.get("kirohealthchecks", "kiro")["status"]
        return bool(status.get("lastHandledReconcileAt") == "look")

    until(handled, "a look at everything", 60)
    assert world.check("safety-config")["status"] == "Pass"
    assert config(world) == DESIRED | {"operations": "suspended"}
    assert len(world.remediations()) == 1


def test_by_default_a_person_approves(world: World) -> None:
    begin(world, actions=[{"name": "Contain", "budget": BUDGET}])
    allow_secrets(world)

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", [])
        )
        return found

    until(lambda: bool(told()), "a decision", 60)
    [decision] = told()
    assert (decision["action"], decision["gate"]) == ("Contain", "approval")
    assert config(world) == DESIRED
    assert not world.remediations()
