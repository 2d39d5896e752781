"""Operations beyond their boundaries: they are widened, as was approved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster import faults
from tests.apiserver.test_proposals import BOUNDS, crossing, drain
from tests.faults.matrix.oracle import CHANGE_BOUNDARY
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Place, Scenario, is_well
from tests.harness.world import World


class Drained(Place):
    """A pod that logs what it does."""

    log: Path


def go_on(world: World) -> None:
    """Kiro does it again and again: of what was logged a while ago a process that starts hears nothing."""
    assert isinstance(world, Drained)
    faults.append_log(world.log, [drain(world.namespace)])
    approve_in_turn(world)


@dataclass(frozen=True, kw_only=True)
class Widened(Scenario):
    """The policy that is changed is the one in whose status the budget is reserved."""

    place: type[Drained] = Drained

    def set(self, world: World) -> None:
        """Make the pod, policy and KiroHealthCheck."""
        assert isinstance(world, Drained)
        bounds = BOUNDS | {"namespaces": [world.namespace]}
        self.policy(world, *(remedy.name for remedy in self.remedies), boundaries=bounds)
        world.log = crossing(world)

    def holds(self, world: World) -> Sequence[str]:
        """The whole policy: the boundaries, and what nobody may touch beside them."""
        spec = world.get("kirosafetypolicies", "policy")["spec"]
        return (json.dumps(spec, sort_keys=True).replace(world.namespace, "NAMESPACE"),)

    def is_over(self, world: World) -> bool:
        """Whether it has been looked at again."""
        return is_well(world, "autonomous-scope")


WIDENED = Widened(
    name="boundary-widened",
    remedies=(CHANGE_BOUNDARY,),
    manual=True,
    parts=("namespace/change-boundary",),
    drive=go_on,
    after=("optimized",),
    thin=True,
)
