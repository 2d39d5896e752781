"""ResourceQuotas, LimitRanges and CPU limits: what holds the platform back."""

import math
import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.performance._series import (
    INTERVAL,
    Expression,
    about,
    advised,
    filled,
    incomplete,
)
from kiro_operator.core.evidence.series import SERIES, Answer, Query, answer, partial
from kiro_operator.core.findings import found
from kiro_operator.core.objects import Deployment, Truth
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

_QUOTA = re.compile(r"exceeded quota: ([-a-z0-9.]{1,253})")
_RANGE = re.compile(r"(maximum|minimum) ([-a-z./]{1,64}) usage per (\w{1,32}) is|limit to request ratio per")


class LimitsAndQuotasParameters(Parameters):
    """Thresholds of limits-and-quotas."""

    quota_query: Expression = Field(
        default='kiro_quota_utilization{namespace="$namespace"}',
        description=(
            "PromQL: the share of each ResourceQuota that is used, from 0 to 1; $namespace is the "
            "KiroHealthCheck's."
        ),
    )
    quota_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=90, description="Share of a quota in use, in percent, above which it is too much."
    )
    throttling_query: Expression = Field(
        default='max by (container) (kiro_cpu_throttling_ratio{namespace="$namespace"})',
        description=(
            "PromQL: the share of CPU periods in which each container is throttled, from 0 to 1; "
            "$namespace is the KiroHealthCheck's."
        ),
    )
    throttling_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=25, description="Share of throttled periods, in percent, above which it is too much."
    )


def queries(parameters: LimitsAndQuotasParameters, namespace: str) -> tuple[Query, ...]:
    """How much of the quotas is used, and how much is throttled."""
    return (
        Query(filled(parameters.quota_query, namespace)),
        Query(filled(parameters.throttling_query, namespace)),
    )


def judge(snapshot: Snapshot, parameters: LimitsAndQuotasParameters, now: datetime) -> Verdict:
    """Judge what was refused, as workloads tell it, and what soon will be, as Prometheus tells it."""
    deployments = snapshot.deployments
    if isinstance(deployments, Unobserved):
        return unknown(deployments)
    refused = sorted(deployments.unsettled, key=lambda item: item.metadata.name)
    findings = [finding for item in refused if (finding := _refused(item, now)) is not None]
    quota, throttling = (answer(snapshot, query) for query in queries(parameters, snapshot.namespace))
    since = snapshot.sampled_at(SERIES, now)
    sampled = [
        *_over(quota, snapshot.namespace, parameters.quota_percent, _nearly_used, since),
        *_over(throttling, snapshot.namespace, parameters.throttling_percent, _throttled, since),
    ]
    missing = sorted(
        {text for told in (quota, throttling) if isinstance(told, Answer) for text in partial(told)}
    )
    if findings or sampled:
        return found(findings + sampled, status=Status.WARN if missing and not findings else Status.FAIL)
    if missing:
        return incomplete(tuple(missing))
    return _nothing_found(quota, throttling)


def _nothing_found(quota: Answer | Unobserved, throttling: Answer | Unobserved) -> Verdict:
    if isinstance(throttling, Unobserved):
        if throttling.reason == NOT_CONFIGURED:
            return passed("No pod is refused; spec.prometheus is not set, so nothing else is judged.")
        return unknown(advised(throttling))
    if not isinstance(quota, Unobserved):
        return passed("Quotas have room, no pod is refused, and no container is throttled much.")
    if quota.reason == "NoData":
        return passed("No pod is refused, no container is throttled much, and no quota is seen.")
    return unknown(quota)


def _refused(deployment: Deployment, now: datetime) -> Finding | None:
    """The namespace's quota, or LimitRange, does not let pods be created."""
    condition = deployment.condition("ReplicaFailure")
    if condition is None or condition.status is not Truth.TRUE:
        return None
    # The message names another pod with each try; only what does not change is told.
    name, since = deployment.metadata.name, min(condition.last_transition_time or now, now)
    ref = Ref("Deployment", name, deployment.metadata.uid)
    if match := _QUOTA.search(condition.message):
        text = f"ResourceQuota {match[1]} does not let it create pods: raise the quota or lower requests"
        return Finding(ref, "QuotaExceeded", f"Deployment {name}: {text}", since, at_once=True)
    if _RANGE.search(condition.message):
        text = "a LimitRange does not let it create pods: hold its resources against kubectl get limitrange"
        return Finding(ref, "LimitRangeViolated", f"Deployment {name}: {text}", since, at_once=True)
    return None


def _over(
    told: Answer | Unobserved,
    namespace: str,
    percent: int,
    tell: Callable[[Ref, str, int, datetime], Finding],
    since: datetime,
) -> list[Finding]:
    if isinstance(told, Unobserved):
        return []
    bad: dict[Ref, list[str]] = {}
    for series in told.series:
        if math.isfinite(series.last) and 100 * series.last > percent:
            ref, detail = about(series.labels, namespace)
            bad.setdefault(ref, []).append(detail)
    return [tell(ref, "".join(sorted(bad[ref])[:3]), percent, since) for ref in sorted(bad)]


def _nearly_used(ref: Ref, detail: str, percent: int, since: datetime) -> Finding:
    text = f"more than {percent}% is used{detail}: raise the quota before pods are refused"
    return Finding(ref, "QuotaNearlyUsed", f"{ref.kind} {ref.name}: {text}", since)


def _throttled(ref: Ref, detail: str, percent: int, since: datetime) -> Finding:
    text = f"it is throttled in more than {percent}% of the CPU periods{detail}: raise its CPU limit"
    return Finding(ref, "CpuThrottled", f"{ref.kind} {ref.name}: {text}", since)


CHECK = Check(
    title="Quotas and limits hold nothing back",
    section="performance-scaling",
    command="kubectl describe resourcequota,limitrange -n {namespace}",
    sources=(Source.DEPLOYMENTS, SERIES),
    judge=judge,
    parameters=LimitsAndQuotasParameters,
    queries=queries,
    interval=INTERVAL,
)
