"""A ClusterRole and its binding that were widened: both are narrowed, within the KiroSafetyBaseline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.matrix.oracle import RBAC
from tests.faults.matrix.scenario import Scenario
from tests.harness.restoring import EXEC, GET, MALLORY, PATCH, Restoring
from tests.harness.world import World


@dataclass(frozen=True, kw_only=True)
class Narrowed(Scenario):
    """Role and binding are a KiroRemediation each."""

    place: type[Restoring] = Restoring

    def set(self, world: World) -> None:
        """Make baseline, role, binding, policy and KiroHealthCheck."""
        assert isinstance(world, Restoring)
        world.baseline()
        world.role(GET, PATCH, EXEC)
        world.bind(world.kiro, MALLORY)
        world.desire()

    def flags(self, world: World) -> Sequence[str]:
        """Facts of the cluster are told in this namespace."""
        return ("--cluster-facts-namespace", world.namespace)

    def holds(self, world: World) -> Sequence[str]:
        """Rules, and to how many they are granted."""
        assert isinstance(world, Restoring)
        subjects = world.found("ClusterRoleBinding").get("subjects", [])
        return (json.dumps(world.found()["rules"]), str(len(subjects)))


NARROWED = Narrowed(name="narrowed", remedies=(RBAC,), actions=2, thin=True)
