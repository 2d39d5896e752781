"""A client that cannot connect, a server that answers wrongly: a command is run in a pod, once at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from devcluster import ControlPlane
from tests.apiserver.test_reconnect import CHECK, out_of_step
from tests.faults.matrix.oracle import RECONNECT
from tests.faults.matrix.scenario import Place, Scenario
from tests.harness.commands import FLAGS, Kiro, kiro
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import World


class Commanding(Place):
    """Commands are run in its pods. The test of its client finds it broken."""

    flags: Sequence[str] = FLAGS

    def begin(self) -> None:
        """Make pods, policy and KiroHealthCheck."""
        self._kiro = self.kiro()
        self._kiro.watch(CHECK)

    def kiro(self) -> Kiro:
        """Make the pods."""
        return self.stack.enter_context(kiro(self, self.folder))

    def mend(self) -> None:
        """Do what the command does."""
        self._kiro.state("well")


class Resynchronizing(Commanding):
    """Its server answers wrongly."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        super().__init__(plane, namespace, folder)
        self._shop = McpProcess()

    def begin(self) -> None:
        """Start the server as well."""
        self.flags = out_of_step(self.kiro(), self.stack.enter_context(self._shop))

    def mend(self) -> None:
        """Have it answer rightly."""
        self._shop.fault()


@dataclass(frozen=True, kw_only=True)
class Commanded(Scenario):
    """What a command helps against."""

    place: type[Commanding] = Commanding
    parts: Sequence[str] = ("namespace/exec",)

    def set(self, world: World) -> None:
        """Make pods, policy and KiroHealthCheck."""
        assert isinstance(world, Commanding)
        world.begin()

    def flags(self, world: World) -> Sequence[str]:
        """The commands, and where the server is."""
        assert isinstance(world, Commanding)
        return world.flags


def mend_once_done(world: World) -> None:
    """It is well again once a record says that the command was run, or may have been."""
    assert isinstance(world, Commanding)
    if any("actedAt" in item["status"] for item in world.remediations()):
        world.mend()


RECONNECTED = Commanded(name="reconnected", remedies=(RECONNECT,), drive=mend_once_done, thin=True)
RESYNCED = Commanded(
    name="resynced",
    remedies=(replace(RECONNECT, name="ResyncMCP"),),
    place=Resynchronizing,
    drive=mend_once_done,
    after=("reconnected",),
    thin=True,
)
