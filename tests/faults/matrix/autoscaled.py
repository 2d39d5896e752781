"""An autoscaler that can never scale: its bounds are raised, as was proposed and approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kiro_operator.core.checks import registry
from tests.faults.matrix.oracle import AUTOSCALING
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Scenario
from tests.harness.world import World

SCALERS = "/apis/autoscaling/v2"
CHECK = "autoscaling-configuration"


@dataclass(frozen=True, kw_only=True)
class Autoscaled(Scenario):
    """Its Deployment is at rest, so that it needs no metrics: these would take a minute."""

    def set(self, world: World) -> None:
        """Make Deployment, autoscaler, policy and KiroHealthCheck."""
        world.deployment(replicas=0)
        target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kiro"}
        spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 2}
        path = world.path("horizontalpodautoscalers", api=SCALERS)
        world.plane.rest.post(path, {"metadata": {"name": "kiro"}, "spec": spec})
        self.policy(world, "ChangeAutoscaling")
        world.health_check(
            safetyPolicyRef={"name": "policy"},
            checks=[{"id": name, "enabled": False} for name in registry() if name != CHECK],
            remediation={"stabilization": "1s"},
        )

    def holds(self, world: World) -> Sequence[str]:
        """The bounds."""
        spec = world.get("horizontalpodautoscalers", "kiro", api=SCALERS)["spec"]
        return (f"from {spec['minReplicas']} to {spec['maxReplicas']}",)


AUTOSCALED = Autoscaled(
    name="autoscaled",
    remedies=(AUTOSCALING,),
    manual=True,
    parts=("namespace/change-autoscaling",),
    drive=approve_in_turn,
    after=("optimized",),
    thin=True,
)
