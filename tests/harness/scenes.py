"""Scenes that bring each kind of action about, and how to count in the audit log what was done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from devcluster import faults
from devcluster.wait import until
from tests.harness.world import WATCHED_ONLY, World, enforce

Object = dict[str, Any]
METHODS = ("Evict", "RolloutRestart", "ScaleUp")
SEEN = r"/(eviction\?|deployments/kiro\?|deployments/kiro/scale\?)"
"""The requests that change a workload, for a fault's matcher."""
CHECKS = [*WATCHED_ONLY, {"id": "pods-ready", "parameters": {"notReadyGrace": "1s", "startGrace": "1s"}}]
LADDER = {"RolloutRestart": "Restart", "Evict": "Restart", "ScaleUp": "Scale"}


@dataclass
class Scene:
    """A namespace in which one action of a kind is due; nobody looks at it yet."""

    world: World
    method: str

    def set(self, **policy: Any) -> Scene:
        """Make workload, fault, policy and KiroHealthCheck."""
        world = self.world
        world.deployment()
        broken = [
            pod["metadata"]["name"] for pod in world.pods()[: 3 if self.method == "RolloutRestart" else 1]
        ]
        fault = "not-ready" if self.method == "ScaleUp" else "crash-loop"
        faults.inject_many(world.plane, [(world.namespace, name) for name in broken], fault)
        # All of them at once: with one after the other the first is evicted before the others are seen.
        until(lambda: self._unready() >= len(broken), f"{len(broken)} broken pods", 30)
        world.policy(**enforce(**policy))
        self.watch()
        return self

    def watch(self, **spec: Any) -> None:
        """Make the KiroHealthCheck: one rung, so that one action is all there can be."""
        ladder = [{"action": LADDER[self.method], "timeout": "60s"}]
        body = {"safetyPolicyRef": {"name": "policy"}, "checks": CHECKS}
        self.world.health_check(**(body | {"remediation": {"stabilization": "1s", "ladder": ladder}} | spec))

    def mend(self) -> None:
        """Mend what the action alone does not mend: more replicas leave the broken pod as it is."""
        if self.method != "ScaleUp":
            return
        until(lambda: self.replicas() == 5, "the fifth replica", 40)
        for pod in self.world.pods():
            faults.clear(self.world.plane, self.world.namespace, pod["metadata"]["name"])

    def replicas(self) -> int:
        """Replicas that the Deployment asks for."""
        return int(self.world.get("deployments", "kiro", api="/apis/apps/v1")["spec"]["replicas"])

    def replica_sets(self) -> int:
        """ReplicaSets of the Deployment: one for each template it has had."""
        return len(self.world.items("replicasets", api="/apis/apps/v1"))

    def actions(self) -> list[Object]:
        """What the operators did to pods and workloads, and the API server accepted."""
        return [
            event
            for event in self.world.written()
            if event["objectRef"]["resource"] in {"pods", "deployments"}
        ]

    def assert_done_once(self) -> None:
        """The action was done, once: by the audit log, and by what is there to be seen."""
        actions = [(event["verb"], event["objectRef"].get("subresource", "")) for event in self.actions()]
        expected = {
            "Evict": ("create", "eviction"),
            "RolloutRestart": ("patch", ""),
            "ScaleUp": ("patch", "scale"),
        }[self.method]
        assert actions == [expected]
        assert self.replicas() == (5 if self.method == "ScaleUp" else 4)
        if self.method == "RolloutRestart":
            # The controller makes it from the new template, a moment later.
            until(lambda: self.replica_sets() == 2, "the second ReplicaSet", 30)
        else:
            assert self.replica_sets() == 1

    def assert_undone(self) -> None:
        """Nothing was done to any pod or workload."""
        assert self.actions() == []
        assert self.replicas() == 4
        assert self.replica_sets() == 1

    def _unready(self) -> int:
        return sum(
            any(c["type"] == "Ready" and c["status"] != "True" for c in pod["status"].get("conditions", []))
            for pod in self.world.pods()
        )
