"""What a scenario of the matrix is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from devcluster import ControlPlane
from tests.deploy.rights import Installed
from tests.faults.matrix.oracle import Budget, Remedy
from tests.harness.world import World, enforce

HOUR = timedelta(hours=1)


class Place(Installed):
    """A namespace, and what is started for it, which ends with it."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self.stack = ExitStack()

    def close(self) -> None:
        """End the operators first."""
        with self.stack:
            super().close()


@dataclass(frozen=True, kw_only=True)
class Scenario(ABC):
    """A namespace in which something is to be done.

    Attributes:
        remedies: How its actions show in the audit log.
        actions: How many are done when nothing is in the way.
        limit: The budget of the policy, in an hour.
        manual: Whether a person has to approve them.
        place: Where it takes place.
        parts: Of deploy/, what the operator is granted beside an installation.
        drive: Called again and again during a run: does what only the world can do.
        after: Scenarios whose writes it makes as well: these are aimed at there, but for its own action.
        thin: Whether much of it is as in another scenario: faults that leave the process alive are aimed at
            fewer of its writes.
    """

    name: str
    remedies: Sequence[Remedy]
    actions: int = 1
    limit: int = 20
    manual: bool = False
    place: type[Installed] = Place
    parts: Sequence[str] = ()
    drive: Callable[[World], None] = lambda _: None
    after: Sequence[str] = ()
    thin: bool = False

    @property
    def budget(self) -> Budget:
        """That of its policy."""
        return Budget(self.limit, HOUR)

    def world(self, plane: ControlPlane, namespace: str, folder: Path) -> Installed:
        """Where it takes place, with the rights of an installation."""
        made = self.place(plane, namespace, folder)
        made.parts = (*made.parts, *self.parts)
        return made

    @abstractmethod
    def set(self, world: World) -> None:
        """Make what is broken, policy and KiroHealthCheck."""

    def flags(self, world: World) -> Sequence[str]:  # noqa: ARG002 - for those that need some
        """Of the operator."""
        return ()

    def holds(self, world: World) -> Sequence[str]:  # noqa: ARG002 - for those that write something else
        """What is as it should be in the end, beside what every outcome has."""
        return ()

    def is_over(self, world: World) -> bool:  # noqa: ARG002 - for those in which people go on
        """Whether what the world does after the actions is done."""
        return True

    def policy(self, world: World, *actions: str, **spec: Any) -> None:
        """Make the policy."""
        budget = {"limit": self.limit, "window": "1h"}
        approval = "Manual" if self.manual else "Automatic"
        allowed = [{"name": name, "approval": approval, "budget": budget} for name in actions]
        world.policy(**enforce(budget=budget, actions=allowed, **spec))


def is_well(world: World, check: str) -> bool:
    """Whether a check passes, and with it all that is judged beside it."""
    return world.check(check)["status"] == "Pass" and world.condition("Healthy").get("status") == "True"


def content(world: World, name: str) -> tuple[str, ...]:
    """What a ConfigMap holds, in the order of its keys."""
    data = world.get("configmaps", name, api="/api/v1")["data"]
    return tuple(f"{key}={value}" for key, value in sorted(data.items()))
