"""What the operator is given to mend: each scenario brings one kind of remedy about, with short times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from devcluster import faults
from devcluster.rest import on_each
from devcluster.stages import FAULT
from devcluster.wait import until
from kiro_operator.api.v1alpha1.remediation import FINAL_STATES
from tests.faults.matrix.oracle import EVICT, RESTART, SCALE, Budget, Remedy
from tests.harness.scenes import CHECKS
from tests.harness.world import World, enforce

Object = dict[str, Any]
HOUR = timedelta(hours=1)
CONDITIONS = frozenset({"Ready", "Healthy", "Observed", "RemediationAllowed", "Escalated"})
READY_SECONDS = 60.0


@dataclass(frozen=True)
class Scenario:
    """A namespace in which something is to be done.

    Attributes:
        broken: How many pods of each Deployment of three are broken.
        ladder: The one rung of the KiroHealthCheck.
        remedies: How its actions show in the audit log.
        actions: How many are done when nothing is in the way.
        fault: What ails the pods.
        names: The Deployments.
        limit: The budget of the policy, in an hour.
        spec: More of `spec.remediation`.
        drive: Called again and again during a run: does what only the world can do.
        after: The scenario that it begins with, if any.
    """

    name: str
    broken: int
    ladder: str
    remedies: Sequence[Remedy]
    actions: int
    fault: str = "crash-loop"
    names: Sequence[str] = ("kiro",)
    limit: int = 20
    spec: Object = field(default_factory=dict)
    drive: Callable[[World], None] = lambda _: None
    after: str = ""

    @property
    def budget(self) -> Budget:
        """That of its policy."""
        return Budget(self.limit, HOUR)

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
        world.policy(**enforce(budget={"limit": self.limit, "window": "1h"}))
        remediation = {
            "stabilization": "1s",
            "ladder": [{"action": self.ladder, "timeout": "60s"}],
            **self.spec,
        }
        world.health_check(safetyPolicyRef={"name": "policy"}, checks=CHECKS, remediation=remediation)


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


def outcome(world: World) -> Outcome:
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
    Scenario("evict", 1, "Restart", (EVICT,), 1),
    Scenario("rollout-restart", 2, "Restart", (RESTART,), 1),
    Scenario("scale-up", 1, "Scale", (SCALE,), 1, fault="not-ready", drive=mend_once_scaled),
    Scenario(
        "scale-back", 1, "Scale", (SCALE,), 2,
        fault="not-ready", spec={"scaleBackAfter": "10s"}, drive=mend_once_scaled, after="scale-up",
    ),
    Scenario("storm", 1, "Restart", (EVICT,), 3, names=("kiro", "mcp", "auto")),
    Scenario("budget-exhausted", 1, "Restart", (EVICT,), 1, names=("kiro", "mcp"), limit=1),
)  # fmt: skip
