"""A ServiceAccount that may too much: operations are suspended, and given back by a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiro_operator.api.v1alpha1.remediation import FINAL_STATES
from tests.apiserver.test_contain import CHECKS, DESIRED, NAME, allow_secrets, config
from tests.faults.matrix.oracle import CONTAIN
from tests.faults.matrix.scenario import Scenario
from tests.harness.world import World

SWITCH = {"configMap": NAME, "key": "operations", "value": "suspended"}


@dataclass(frozen=True, kw_only=True)
class Contained(Scenario):
    """What it is allowed too much is there already."""

    def set(self, world: World) -> None:
        """Make ServiceAccount, ConfigMap, policy and KiroHealthCheck."""
        rest = world.plane.rest
        rest.post(world.path("serviceaccounts", api="/api/v1"), {"metadata": {"name": "kiro"}})
        rest.post(world.path("configmaps", api="/api/v1"), {"metadata": {"name": NAME}, "data": DESIRED})
        allow_secrets(world)
        self.policy(
            world,
            "Contain",
            "RestoreSafetyConfig",
            containment=SWITCH,
            safetyConfig={"name": NAME, "data": DESIRED, "onDrift": "Restore"},
            permissions={"mustAllow": [], "mustDeny": [{"verb": "get", "resource": "secrets"}]},
        )
        world.health_check(
            safetyPolicyRef={"name": "policy"},
            interval="5s",
            checks=CHECKS,
            remediation={"stabilization": "1s"},
        )

    def flags(self, world: World) -> Sequence[str]:
        """Permissions are looked up for this namespace."""
        return ("--cluster-facts-namespace", world.namespace)

    def is_over(self, world: World) -> bool:
        """Whether it was given back."""
        return config(world) == DESIRED


def give_back(world: World) -> None:
    """A person mends the cause, and then lifts the containment, once its record has ended.

    Also where it ended as Failed: a list that is too old looks as if somebody had lifted it.
    """
    bindings = world.path("rolebindings", api="/apis/rbac.authorization.k8s.io/v1")
    there = [
        item for item in world.plane.rest.get(bindings)["items"] if item["metadata"]["name"] == "too-much"
    ]
    records = [item["status"] for item in world.remediations() if "actedAt" in item["status"]]
    if not any(status["state"] in FINAL_STATES for status in records):
        return
    if there:
        world.plane.rest.delete(f"{bindings}/too-much")
    elif world.check("service-account-permissions").get("status") == "Pass":
        lifted = {"data": {"operations": DESIRED["operations"]}}
        world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), lifted)


CONTAINED = Contained(name="contained", remedies=(CONTAIN,), drive=give_back, thin=True)
