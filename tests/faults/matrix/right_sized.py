"""A Deployment that requests far more than it uses: its requests are lowered, as was approved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from devcluster import ControlPlane
from tests.apiserver.test_proposals import asking, oversized, requests, used
from tests.faults.matrix.oracle import RIGHT_SIZE
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Place, Scenario
from tests.harness.prometheus import Prometheus
from tests.harness.world import World


class Measured(Place):
    """What its containers used is in a Prometheus of its own."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self.prometheus = Prometheus(folder / "prometheus", used(namespace))


@dataclass(frozen=True, kw_only=True)
class RightSized(Scenario):
    """Lower requests roll its pods out anew."""

    place: type[Measured] = Measured

    def set(self, world: World) -> None:
        """Start Prometheus, and make Deployment, policy and KiroHealthCheck."""
        assert isinstance(world, Measured)
        world.stack.enter_context(world.prometheus)
        self.policy(world, "RightSize")
        oversized(world)

    def flags(self, world: World) -> Sequence[str]:
        """Where Prometheus is."""
        assert isinstance(world, Measured)
        return asking(world, world.prometheus)

    def holds(self, world: World) -> Sequence[str]:
        """The requests."""
        return (json.dumps(requests(world), sort_keys=True),)

    def is_over(self, world: World) -> bool:
        """Whether it has been looked at again, which is a while after its pods are there."""
        return bool(world.check("over-provisioned")["status"] == "Pass")


RIGHT_SIZED = RightSized(
    name="right-sized",
    remedies=(RIGHT_SIZE,),
    manual=True,
    parts=("namespace/right-size",),
    drive=approve_in_turn,
    after=("optimized",),
    thin=True,
)
