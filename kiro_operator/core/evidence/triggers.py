"""What Prometheus says to the metrics that escalation triggers name."""

from collections.abc import Mapping

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.evidence.series import Answer, Query
from kiro_operator.core.snapshot import Polled

METRICS = 64
"""Metrics that are asked for in one sample."""

TRIGGER_METRICS: Polled[tuple[Answer, ...]] = Polled("trigger-metrics", tuple[Answer, ...])
"""The answers to the queries of all policies."""


def trigger_queries(policies: Mapping[str, KiroSafetyPolicySpec]) -> tuple[Query, ...]:
    """Each metric that a trigger names, once, as far as the bound lets."""
    metrics = {
        trigger.metric: None
        for _, spec in sorted(policies.items())
        if spec.escalation is not None
        for trigger in spec.escalation.triggers
        if trigger.metric is not None
    }
    return tuple(Query(metric) for metric in metrics)[:METRICS]
