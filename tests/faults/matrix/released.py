"""A release that does not get going: the one before it comes back, as was approved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from devcluster import faults
from tests.apiserver.test_proposals import path
from tests.apiserver.test_rollback import release, released
from tests.faults.matrix.oracle import ROLLBACK
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Place, Scenario, is_well
from tests.harness.world import World


@dataclass(frozen=True, kw_only=True)
class Released(Scenario):
    """All that differs between the two is which images they are made of, and a checksum."""

    def set(self, world: World) -> None:
        """Make a Deployment whose second release breaks, policy and KiroHealthCheck."""
        assert isinstance(world, Place)
        world.stack.enter_context(faults.broken_image(world.plane, world.namespace, "kiro:2", "image-pull"))
        self.policy(world, *(remedy.name for remedy in self.remedies))
        released(world)
        release(world)

    def holds(self, world: World) -> Sequence[str]:
        """Its images."""
        spec = world.plane.rest.get(path(world))["spec"]["template"]["spec"]
        return [item["image"] for kind in ("initContainers", "containers") for item in spec[kind]]

    def is_over(self, world: World) -> bool:
        """Whether it is seen to be well."""
        return is_well(world, "workloads-available")


RELEASED = Released(
    name="rolled-back",
    remedies=(ROLLBACK,),
    manual=True,
    parts=("namespace/rollback",),
    drive=approve_in_turn,
    after=("optimized",),
    thin=True,
)
