"""Steering documents: what was broken is put back, and what is written wrong is mended, as was approved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.apiserver.test_proposals import miswritten
from tests.apiserver.test_restore_steering import BROKEN, HISTORY, NAME, prepare
from tests.faults.matrix.oracle import EDIT_STEERING, RESTORE_STEERING
from tests.faults.matrix.people import approve_in_turn
from tests.faults.matrix.scenario import Scenario, content
from tests.harness.world import World

MARK = "broken"
"""Annotation of a ConfigMap that somebody has broken already."""


@dataclass(frozen=True, kw_only=True)
class Steered(Scenario):
    """A ConfigMap of documents, of which the operator keeps a history.

    Attributes:
        make: Makes the ConfigMap and a KiroHealthCheck.
    """

    make: Callable[[World], None]

    def set(self, world: World) -> None:
        """Make the ConfigMap, policy and KiroHealthCheck."""
        self.policy(world, *(remedy.name for remedy in self.remedies))
        self.make(world)

    def holds(self, world: World) -> Sequence[str]:
        """The documents, what nobody may touch beside them, and whether they are remembered."""
        return (*content(world, NAME), f"remembered: {is_remembered(world)}")

    def is_over(self, world: World) -> bool:
        """Whether the history has been written as well."""
        return is_remembered(world)


def is_remembered(world: World) -> bool:
    """Whether the history has the text of each document as it is now, and no other one."""
    held = {
        item["metadata"]["name"]: item.get("data", {}) for item in world.items("configmaps", api="/api/v1")
    }
    texts = {text for key, text in held.get(HISTORY, {}).items() if key.startswith("text.")}
    return texts == {text for key, text in held[NAME].items() if key.endswith(".md")}


def break_once(world: World) -> None:
    """Somebody breaks one document and takes another out, once, when the operator has seen that they pass."""
    found = world.get("configmaps", NAME, api="/api/v1")["metadata"]
    if MARK in found.get("annotations", {}) or world.check("steering-syntax").get("status") != "Pass":
        return
    change = {"metadata": {"annotations": {MARK: "once"}}, "data": BROKEN}
    world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), change)


STEERING_RESTORED = Steered(
    name="steering-restored",
    remedies=(RESTORE_STEERING,),
    make=prepare,
    drive=break_once,
    after=("restore",),
    thin=True,
)
STEERING_EDITED = Steered(
    name="steering-edited",
    remedies=(EDIT_STEERING,),
    make=miswritten,
    manual=True,
    parts=("namespace/edit-steering",),
    drive=approve_in_turn,
    after=("optimized", "steering-restored"),
    thin=True,
)
