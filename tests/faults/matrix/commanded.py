"""A client that cannot connect, a server that answers wrongly: a command is run in a pod, once at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from devcluster import ControlPlane
from tests.apiserver.test_reconnect import CHECK, out_of_step
from tests.faults.matrix.oracle import RECONNECT, is_in_doubt
from tests.faults.matrix.scenario import Place, Scenario
from tests.harness.commands import FLAGS, Kiro, kiro
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import World


class Commanding(Place):
    """Commands are run in its pods. The test of its client finds it broken."""

    flags: Sequence[str] = FLAGS

    def begin(self) -> None:
        """Make pods, policy and KiroHealthCheck."""
        self.kiro().watch(CHECK)

    def kiro(self) -> Kiro:
        """Make the pods."""
        self._kiro = self.stack.enter_context(kiro(self, self.folder))
        return self._kiro

    @property
    def runs(self) -> Sequence[str]:
        """The commands that were run, in their order: each of them helps."""
        return self._kiro.runs

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


def run_by_hand(world: World) -> None:
    """A person runs the command where a record says that it may have been run, and it was not.

    The operator does not send it again, by design: it would find that the command has not helped, and go on
    to a restart, which mends nothing here. A command that is run helps by itself. One that its record says
    was run, and was not, is left alone: that must not come to a good end.
    """
    assert isinstance(world, Commanding)
    doubted = any(is_in_doubt(item["spec"], item["status"]) for item in world.remediations())
    if doubted and not world.runs:
        world.mend()


RECONNECTED = Commanded(name="reconnected", remedies=(RECONNECT,), drive=run_by_hand, thin=True)
RESYNCED = Commanded(
    name="resynced",
    remedies=(replace(RECONNECT, name="ResyncMCP"),),
    place=Resynchronizing,
    drive=run_by_hand,
    after=("reconnected",),
    thin=True,
)
