"""What Prometheus has measured is held against what was set, and what would fit is done, as was approved."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devcluster import ControlPlane
from tests.apiserver.test_proposals import IDLE, asking, oversized, path, requests, used
from tests.faults.matrix.oracle import CHANGE_THRESHOLD, REMOVE_UNUSED, RIGHT_SIZE
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Place, Scenario, is_well
from tests.harness.prometheus import Prometheus
from tests.harness.world import World


class Measured(Place):
    """What its containers used is in a Prometheus of its own."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self.prometheus = Prometheus(folder / "prometheus", used(namespace))


@dataclass(frozen=True, kw_only=True)
class Fitted(Scenario):
    """A Deployment that requests far more than it uses, which is next to nothing.

    Attributes:
        checks: The check that asks, one that is enabled beside it, and the parameters of the first.
        setting: What was set in the end.
    """

    place: type[Measured] = Measured
    checks: tuple[str, str, dict[str, Any]]
    setting: Callable[[World], Any]

    def set(self, world: World) -> None:
        """Start Prometheus, and make Deployment, policy and KiroHealthCheck."""
        assert isinstance(world, Measured)
        world.stack.enter_context(world.prometheus)
        self.policy(world, *(remedy.name for remedy in self.remedies))
        oversized(world, *self.checks)

    def flags(self, world: World) -> Sequence[str]:
        """Where Prometheus is."""
        assert isinstance(world, Measured)
        return asking(world, world.prometheus)

    def holds(self, world: World) -> Sequence[str]:
        """What was set."""
        return (json.dumps(self.setting(world), sort_keys=True),)

    def is_over(self, world: World) -> bool:
        """Whether it has been looked at again, which is a while after its pods are there."""
        return is_well(world, self.checks[0])


def _replicas(world: World) -> Any:
    return world.plane.rest.get(path(world))["spec"]["replicas"]


def _checks(world: World) -> Any:
    return world.get("kirohealthchecks", "kiro")["spec"]["checks"]


RIGHT_SIZED = Fitted(
    name="right-sized",
    remedies=(RIGHT_SIZE,),
    checks=("over-provisioned", "pods-ready", {}),
    setting=requests,
    manual=True,
    parts=("namespace/right-size",),
    drive=approve_in_turn,
    after=("optimized",),
    thin=True,
)
TURNED_OFF = Fitted(
    name="turned-off",
    remedies=(REMOVE_UNUSED,),
    checks=("unused-resources", "pods-ready", IDLE),
    setting=_replicas,
    manual=True,
    parts=("namespace/remove-unused",),
    drive=approve_in_turn,
    after=("optimized", "right-sized"),
    thin=True,
)
MOVED = Fitted(
    name="threshold-moved",
    remedies=(CHANGE_THRESHOLD,),
    checks=("threshold-fit", "cpu-usage", {}),
    setting=_checks,
    manual=True,
    parts=("namespace/change-threshold",),
    drive=approve_in_turn,
    after=("optimized", "right-sized"),
    thin=True,
)
