"""A client that cannot connect: the command of the admin is run in its pod, once at most."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from devcluster import ControlPlane
from tests.deploy.rights import Installed
from tests.faults.matrix.oracle import RECONNECT
from tests.faults.matrix.scenario import Scenario
from tests.harness.commands import FLAGS, Kiro, kiro
from tests.harness.world import World


class Commanding(Installed):
    """Commands are run in its pods."""

    parts = (*Installed.parts, "namespace/exec")

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self._stack = ExitStack()

    def kiro(self) -> Kiro:
        """Pods with a client that is broken."""
        self._stack.enter_context(kiro(self, self.folder)).watch("mcp-connection")
        return Kiro(self, self.folder)

    def close(self) -> None:
        """Also of the commands."""
        super().close()
        self._stack.close()


@dataclass(frozen=True, kw_only=True)
class Commanded(Scenario):
    """Its client's own test finds it broken."""

    def world(self, plane: ControlPlane, namespace: str, folder: Path) -> Installed:
        """With commands."""
        return Commanding(plane, namespace, folder)

    def set(self, world: World) -> None:
        """Make pods, policy and KiroHealthCheck."""
        assert isinstance(world, Commanding)
        world.kiro()

    def flags(self, world: World) -> Sequence[str]:  # noqa: ARG002 - the same everywhere
        """The commands."""
        return FLAGS


def mend_once_done(world: World) -> None:
    """The client connects again once a record says that the command was run, or may have been."""
    assert isinstance(world, Commanding)
    if any("actedAt" in item["status"] for item in world.remediations()):
        (world.folder / "state").write_text("well\n")


RECONNECTED = Commanded(name="reconnected", remedies=(RECONNECT,), drive=mend_once_done, thin=True)
