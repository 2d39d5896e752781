"""Asks each endpoint that autonomous operations depend on for an answer, whatever it is."""

import asyncio

from kiro_operator import ports
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.api.v1alpha1.evidence.autonomy import NamedEndpoint
from kiro_operator.core.checks.autonomous_operations.autonomous_network_access import (
    AutonomousNetworkAccessParameters,
)
from kiro_operator.core.evidence.reachability import ENDPOINTS, Reached
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

CONCURRENT = 4
BUDGET = 12.0
"""Seconds for one sample; of a short interval four fifths."""
LARGEST = 64 * 1024
"""Bytes read of an answer; one that is larger is an answer as well."""

_ANSWERS = frozenset({"Redirected", "AnswerTooLarge"})
"""What the fetcher does not take is an answer nevertheless."""


class Endpoints:
    """Samples one GET an endpoint."""

    source = ENDPOINTS
    rules: tuple[Rule, ...] = ()

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    async def observe(self, request: ports.PollRequest) -> tuple[Reached, ...] | Unobserved:
        """One outcome an endpoint, by name."""
        wanted = sorted(request.spec.autonomy.endpoints, key=lambda item: item.name)
        if not wanted:
            return Unobserved(
                NOT_CONFIGURED,
                "spec.autonomy.endpoints names nothing that autonomous operations have to reach",
            )
        asked = request.parameters("autonomous-network-access")
        parameters: AutonomousNetworkAccessParameters = asked or AutonomousNetworkAccessParameters()
        # What waits for its turn gets its fair share of the budget too.
        rounds = -(-len(wanted) // CONCURRENT)
        budget = min(BUDGET, 0.8 * request.interval.total_seconds())
        within = min(parameters.timeout.total_seconds(), budget / rounds)
        free = asyncio.Semaphore(CONCURRENT)

        async def one(endpoint: NamedEndpoint) -> Reached:
            async with free:
                return await self._reach(endpoint, request.namespace, within)

        return tuple(await asyncio.gather(*(one(endpoint) for endpoint in wanted)))

    async def _reach(self, endpoint: NamedEndpoint, namespace: str, within: float) -> Reached:
        url = self._fetcher.url(endpoint, namespace)
        if isinstance(url, Unobserved):
            return Reached(endpoint.name, endpoint.host or "", missing=url)
        path = "" if endpoint.path else "/"
        answer = await self._fetcher.fetch(endpoint, namespace, path, within=within, limit=LARGEST)
        if not isinstance(answer, Unobserved):
            return Reached(endpoint.name, url, answer.seconds)
        return Reached(endpoint.name, url, missing=None if answer.reason in _ANSWERS else answer)
