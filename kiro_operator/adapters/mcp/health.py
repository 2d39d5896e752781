"""Samples the health path of MCP servers: ``curl -f http://mcp-server:8080/health``."""

import asyncio
from datetime import timedelta

from kiro_operator import ports
from kiro_operator.adapters.http.fetch import Fetcher, Response
from kiro_operator.adapters.mcp.sessions import NO_SERVERS
from kiro_operator.adapters.mcp.turns import NOT_ASKED, Sample, Turns
from kiro_operator.api.v1alpha1.evidence.mcp import McpServer
from kiro_operator.core.checks.responsiveness.mcp_server_health import McpServerHealthParameters
from kiro_operator.core.evidence.mcp import MCP_HEALTH, Health
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved

LIMIT = 65_536
"""Bytes of an answer: its status is what counts."""
WHOLE = 0.9
"""Of the time that the sample may take, for all servers."""


class McpHealth:
    """One GET a server and round."""

    source = MCP_HEALTH
    rules: tuple[Rule, ...] = ()

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._turns = Turns()

    async def observe(self, request: ports.PollRequest) -> tuple[Health, ...] | Unobserved:
        """One answer a server that has a health path, by the servers' names."""
        spec = request.spec.mcp
        if spec is None or not spec.servers:
            return NO_SERVERS
        parameters = request.parameters("mcp-server-health") or McpServerHealthParameters()
        within = min(parameters.timeout, timedelta(seconds=10), 0.6 * request.interval).total_seconds()
        servers = sorted((server for server in spec.servers if server.health_path), key=lambda one: one.name)
        limit = min(self.source.timeout, request.interval.total_seconds())
        turns = self._turns.sample(len(servers), WHOLE * limit)
        return tuple(
            await asyncio.gather(*(self._one(server, request.namespace, turns, within) for server in servers))
        )

    async def _one(self, server: McpServer, namespace: str, turns: Sample, longest: float) -> Health:
        base = self._fetcher.url(server, namespace)
        if isinstance(base, Unobserved):
            return Health(server.name, server.health_path, problem=base)
        url = base + server.health_path
        try:
            async with turns.turn(url) as share:
                answer = await self._fetcher.fetch(
                    server, namespace, server.health_path, within=min(longest, share), limit=LIMIT
                )
        except TimeoutError:
            answer = NOT_ASKED
        if isinstance(answer, Response):
            return Health(server.name, url, answer.status, answer.seconds)
        return Health(server.name, url, problem=answer)
