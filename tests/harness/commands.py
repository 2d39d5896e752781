"""A Kiro whose MCP client is tested and reconnected by commands that note each run of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kiro_operator.core.checks import registry
from tests.harness.execs import running
from tests.harness.world import World, enforce

PROGRAM = """#!/bin/sh
cd {folder}
case $1 in
  test-connection) read -r state < state; [ "$state" = well ] ;;
  *) echo "$1" >> runs; . ./"$1" ;;
esac
"""
FLAGS = (
    *("--mcp-client-command", "env mcp-client test-connection"),
    *("--mcp-reconnect-command", "env mcp-client reconnect"),
    *("--mcp-resync-command", "env mcp-client resync"),
)
CLIENT = {"selector": {"matchLabels": {"app": "kiro"}}}
HEALS = "echo well > state.well && mv state.well state"
"""A command that helps; nobody reads a file that is half written."""


class Kiro:
    """Two pods of Kiro whose client cannot connect, and what its commands do."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.state("broken")

    def state(self, state: str) -> None:
        """What the client's test finds; never a file that is half written."""
        written = self.folder / "state.new"
        written.write_text(f"{state}\n")
        written.replace(self.folder / "state")

    def does(self, name: str, script: str) -> None:
        """What a command does."""
        (self.folder / name).write_text(script + "\n")

    @property
    def runs(self) -> list[str]:
        """The commands that were run, in their order."""
        file = self.folder / "runs"
        return file.read_text().split() if file.exists() else []

    def watch(self, *check_ids: str, mcp: dict[str, Any] | None = None, **spec: Any) -> None:
        """Make the policy, and a KiroHealthCheck with these checks."""
        budget = {"limit": 20, "window": "1h"}
        names = ("ReconnectMCP", "ResyncMCP", "Restart")
        actions = [{"name": name, "approval": "Automatic", "budget": budget} for name in names]
        self.world.policy(**enforce(**({"actions": actions} | spec.pop("policy", {}))))
        quick = {"failureThreshold": 1, "successThreshold": 1}
        checks = [{"id": name} | (quick if name in check_ids else {"enabled": False}) for name in registry()]
        ladder = [{"action": "ReconnectMCP", "timeout": "10s"}, {"action": "Restart", "timeout": "10s"}]
        body = {
            "safetyPolicyRef": {"name": "policy"},
            "interval": "5s",
            "checks": checks,
            "mcp": {"client": CLIENT} | (mcp or {}),
            "remediation": {"stabilization": "1s", "ladder": ladder},
        }
        self.world.health_check(**(body | spec))


@contextmanager
def kiro(world: World, folder: Path) -> Iterator[Kiro]:
    """Kiro's pods, with the program mcp-client in each."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "mcp-client").write_text(PROGRAM.format(folder=folder))
    (programs / "mcp-client").chmod(0o755)
    made = Kiro(world, folder)
    made.does("reconnect", HEALS)
    made.does("resync", HEALS)
    world.deployment(replicas=2)
    pod = world.pods()[0]["metadata"]["name"]
    with running(world.plane, world.namespace, pod, container="kiro", path=f"{programs}:/usr/bin:/bin"):
        yield made
