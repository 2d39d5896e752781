"""Asks Prometheus for the metrics that escalation triggers name."""

from kiro_operator import ports
from kiro_operator.adapters.prometheus.series import Prometheus
from kiro_operator.core.evidence.series import Answer
from kiro_operator.core.evidence.triggers import TRIGGER_METRICS, trigger_queries
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Unobserved


class TriggerMetrics:
    """Samples them; where no trigger names one, nobody is asked."""

    source = TRIGGER_METRICS
    rules: tuple[Rule, ...] = ()

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus

    async def observe(self, request: ports.PollRequest) -> tuple[Answer, ...] | Unobserved:
        """The answers in the order of the queries."""
        queries = trigger_queries(request.snapshot.policies)
        return await self._prometheus.answers(request, queries) if queries else ()
