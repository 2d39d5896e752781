"""Wrong answers: Kiro logs in detail for a while, and the former level comes back by itself."""

from __future__ import annotations

import atexit
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from tests.apiserver.test_detailed_logging import CHECKS, NAME
from tests.faults.matrix.oracle import RESTORE
from tests.faults.matrix.scenario import Scenario, content
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import World
from tests.live.test_mcp import server

SWITCH = {"configMap": NAME, "key": "level", "value": "debug", "duration": "10s"}


@cache
def shop() -> McpProcess:
    """One for all runs, for it never mends: each tool says that it failed."""
    process = McpProcess()
    process.start()
    atexit.register(process.stop)
    process.fault("tool-error")
    return process


@dataclass(frozen=True, kw_only=True)
class Logged(Scenario):
    """A golden query whose tool fails."""

    def set(self, world: World) -> None:
        """Make the ConfigMap, policy and KiroHealthCheck."""
        body = {"metadata": {"name": NAME}, "data": {"level": "info", "format": "json"}}
        world.plane.rest.post(world.path("configmaps", api="/api/v1"), body)
        self.policy(world, "DetailedLogging", detailedLogging=SWITCH)
        world.health_check(
            safetyPolicyRef={"name": "policy"},
            interval="5s",
            checks=CHECKS,
            mcp={"servers": [server()]},
            remediation={"stabilization": "1s"},
        )

    def flags(self, world: World) -> Sequence[str]:
        """Where the server is."""
        return ("--resolve", f"shop.{world.namespace}:8080={shop().address}")

    def holds(self, world: World) -> Sequence[str]:
        """The level, which is as it was, and what nobody may touch beside it."""
        return content(world, NAME)


LOGGED = Logged(name="logged", remedies=(replace(RESTORE, name="DetailedLogging"),), actions=2, thin=True)
