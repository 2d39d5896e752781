"""A saving that nobody decided on: a number that Kiro optimizes by moves one step, as was approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devcluster import faults
from tests.apiserver.test_proposals import logged, optimizing
from tests.faults.matrix.oracle import CHANGE_OPTIMIZATION
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Scenario, content
from tests.harness.world import World


@dataclass(frozen=True, kw_only=True)
class Optimized(Scenario):
    """The saving waits on: that another step would be due again is no reason to take one."""

    def set(self, world: World) -> None:
        """Make a pod that logs it, the ConfigMap, policy and KiroHealthCheck."""
        self.policy(world, "ChangeOptimization")
        faults.append_log(optimizing(world, "missed-opportunities"), [logged("opportunity", 1, 9)])

    def holds(self, world: World) -> Sequence[str]:
        """The number, and what nobody may touch beside it."""
        return content(world, "kiro-optimization")


OPTIMIZED = Optimized(
    name="optimized",
    remedies=(CHANGE_OPTIMIZATION,),
    manual=True,
    parts=("namespace/change-optimization",),
    drive=approve_in_turn,
    thin=True,
)
