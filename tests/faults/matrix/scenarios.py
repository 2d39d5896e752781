"""What the operator is given to mend: each scenario brings one kind of remedy about, with short times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from devcluster import faults
from devcluster.rest import on_each
from devcluster.stages import FAULT
from devcluster.wait import until
from kiro_operator.api.v1alpha1.remediation import FINAL_STATES
from tests.apiserver.test_restore import DESIRED, ONLY
from tests.apiserver.test_restore import NAME as CONFIG
from tests.faults.matrix.autoscaled import AUTOSCALED
from tests.faults.matrix.commanded import RECONNECTED, RESYNCED
from tests.faults.matrix.contained import CONTAINED
from tests.faults.matrix.detailed_logging import LOGGED
from tests.faults.matrix.measured import MOVED, RIGHT_SIZED, TURNED_OFF
from tests.faults.matrix.narrowed import NARROWED
from tests.faults.matrix.optimized import OPTIMIZED
from tests.faults.matrix.oracle import EVICT, RESTART, RESTORE, SCALE
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.released import RELEASED
from tests.faults.matrix.scenario import Scenario
from tests.faults.matrix.steering import STEERING_EDITED, STEERING_RESTORED
from tests.faults.matrix.widened import WIDENED
from tests.harness.scenes import CHECKS
from tests.harness.world import World

Object = dict[str, Any]
CONDITIONS = frozenset({"Ready", "Healthy", "Observed", "RemediationAllowed", "Escalated"})
READY_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Broken(Scenario):
    """Deployments of three pods, some of which are broken.

    Attributes:
        broken: How many pods of each Deployment.
        ladder: The one rung of the KiroHealthCheck.
        fault: What ails the pods.
        names: The Deployments.
        spec: More of `spec.remediation`.
    """

    broken: int = 1
    ladder: str = "Restart"
    fault: str = "crash-loop"
    names: Sequence[str] = ("kiro",)
    spec: Object = field(default_factory=dict)

    def set(self, world: World) -> None:
        """Make workloads, faults, policy and KiroHealthCheck."""
        on_each(lambda name: world.deployment(name, replicas=3), self.names)
        pods = [
            (world.namespace, pod["metadata"]["name"])
            for name in self.names
            for pod in world.pods(name)[: self.broken]
        ]
        faults.inject_many(world.plane, pods, self.fault)
        # All of them at once: with one after the other the first is mended before the others are seen.
        until(lambda: unready(world) == len(pods), f"{len(pods)} broken pods", READY_SECONDS)
        self.policy(world, self.ladder)
        remediation = {
            "stabilization": "1s",
            "ladder": [{"action": self.ladder, "timeout": "60s"}],
            **self.spec,
        }
        world.health_check(safetyPolicyRef={"name": "policy"}, checks=CHECKS, remediation=remediation)


@dataclass(frozen=True, kw_only=True)
class Tampered(Scenario):
    """A safety configuration that is not as it should be.

    Attributes:
        data: What it holds; None: it is gone.
    """

    data: Object | None

    def set(self, world: World) -> None:
        """Make the ConfigMap, policy and KiroHealthCheck."""
        if self.data is not None:
            world.plane.rest.post(
                world.path("configmaps", api="/api/v1"), {"metadata": {"name": CONFIG}, "data": self.data}
            )
        wanted = {"name": CONFIG, "data": DESIRED, "onDrift": "Restore"}
        self.policy(world, "RestoreSafetyConfig", safetyConfig=wanted)
        world.health_check(
            safetyPolicyRef={"name": "policy"},
            interval="5s",
            checks=ONLY,
            remediation={"stabilization": "1s"},
        )


@dataclass(frozen=True)
class Outcome:
    """What a run comes to: two runs without a fault come to the same."""

    conditions: tuple[tuple[str, str, str], ...]
    """Type, status and reason."""
    replicas: int
    """That the Deployments ask for."""
    ready: int
    """Pods that are ready and stay."""
    unready: int
    acted: tuple[tuple[str, int], ...]
    """KiroRemediations that were carried out, by method."""
    running: int
    """KiroRemediations that have not ended."""
    config: tuple[tuple[str, str], ...]
    """What the safety configuration holds; empty when there is none."""
    holds: tuple[str, ...]
    """What the scenario looks at beside."""


def outcome(world: World, scenario: Scenario) -> Outcome:
    """As it is now."""
    status = world.get("kirohealthchecks", "kiro").get("status", {})
    records = world.remediations()
    deployments = world.items("deployments", api="/apis/apps/v1")
    pods = [is_ready(pod) for pod in staying(world)]
    return Outcome(
        conditions=tuple(
            sorted(
                (item["type"], item["status"], item["reason"])
                for item in status.get("conditions", [])
                if item["type"] in CONDITIONS
            )
        ),
        replicas=sum(item["spec"]["replicas"] for item in deployments),
        ready=sum(pods),
        unready=len(pods) - sum(pods),
        acted=tuple(
            sorted(Counter(item["spec"]["method"] for item in records if "actedAt" in item["status"]).items())
        ),
        running=sum(item["status"].get("state") not in FINAL_STATES for item in records),
        config=tuple(
            sorted(
                pair
                for item in world.items("configmaps", api="/api/v1")
                if item["metadata"]["name"] == CONFIG
                for pair in item["data"].items()
            )
        ),
        holds=tuple(scenario.holds(world)),
    )


def staying(world: World) -> list[Object]:
    """The pods that are not on their way out."""
    found = world.items("pods", api="/api/v1")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def is_ready(pod: Object) -> bool:
    """Whether a pod says that it is ready."""
    return any(
        item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", [])
    )


def unready(world: World) -> int:
    """How many pods are not ready."""
    return sum(not is_ready(pod) for pod in staying(world))


def mend_once_scaled(world: World) -> None:
    """More replicas leave a broken pod as it is: mend it once they are asked for."""
    if world.get("deployments", "kiro", api="/apis/apps/v1")["spec"]["replicas"] <= 3:
        return
    broken = [
        (world.namespace, pod["metadata"]["name"])
        for pod in staying(world)
        if not is_ready(pod) and FAULT in pod["metadata"].get("annotations", {})
    ]
    faults.clear_many(world.plane, broken)


SCENARIOS: tuple[Scenario, ...] = (
    Broken(name="evict", remedies=(EVICT,)),
    Broken(name="rollout-restart", remedies=(RESTART,), broken=2),
    Broken(name="scale-up", remedies=(SCALE,), ladder="Scale", fault="not-ready", drive=mend_once_scaled),
    Broken(
        name="scale-back", remedies=(SCALE,), actions=2, ladder="Scale", fault="not-ready",
        spec={"scaleBackAfter": "10s"}, drive=mend_once_scaled, after=("scale-up",), thin=True,
    ),
    Tampered(name="restore", remedies=(RESTORE,), data={"mode": "free", "backdoor": "on"}),
    Tampered(name="restore-anew", remedies=(RESTORE,), data=None, thin=True),
    Broken(
        name="approved", remedies=(EVICT,), actions=2, names=("kiro", "mcp"), manual=True,
        drive=approve_in_turn, thin=True,
    ),
    Broken(name="storm", remedies=(EVICT,), actions=3, names=("kiro", "mcp", "auto"), thin=True),
    Broken(name="budget-exhausted", remedies=(EVICT,), names=("kiro", "mcp"), limit=1, thin=True),
    LOGGED,
    CONTAINED,
    OPTIMIZED,
    AUTOSCALED,
    RECONNECTED,
    NARROWED,
    RESYNCED,
    STEERING_RESTORED,
    STEERING_EDITED,
    RIGHT_SIZED,
    TURNED_OFF,
    MOVED,
    WIDENED,
    RELEASED,
)  # fmt: skip
