"""ResourceQuotas, LimitRanges and CPU limits: what holds the platform back."""

import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.performance._series import (
    SLOW,
    Expression,
    about,
    advised,
)
from kiro_operator.core.evidence.inventory import INVENTORY, Inventory, Limit
from kiro_operator.core.evidence.series import SERIES, SHOWN, Answer, Query, answer, partial
from kiro_operator.core.findings import found
from kiro_operator.core.objects import Container, Deployment, Phase, Pod, Truth
from kiro_operator.core.partial import incomplete, unnumbered, weighed
from kiro_operator.core.promql import filled, worst
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Source, Unobserved, controller_of
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

_QUOTA = re.compile(r"exceeded quota: ([-a-z0-9.]{1,253})")
_RANGE = re.compile(r"(?:maximum|minimum) [\w./-]{1,128} usage per \w{1,32} is|limit to request ratio per")
_NAMED = 3


class LimitsAndQuotasParameters(Parameters):
    """Thresholds of limits-and-quotas."""

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
    """How much is throttled, of those that are most."""
    expression = filled(parameters.throttling_query, namespace)
    return (Query(worst(expression), told=expression),)


def judge(snapshot: Snapshot, parameters: LimitsAndQuotasParameters, now: datetime) -> Verdict:
    """Judge what was refused, what soon will be, and what is slowed down."""
    deployments, inventory = snapshot.deployments, snapshot.value(INVENTORY)
    if isinstance(deployments, Unobserved):
        return unknown(deployments)
    refused = sorted(deployments.unsettled, key=lambda item: item.metadata.name)
    findings = [finding for item in refused if (finding := _refused(item, now)) is not None]
    if not isinstance(inventory, Unobserved):
        since = snapshot.sampled_at(INVENTORY, now)
        findings += _nearly_used(inventory, parameters.quota_percent, since)
        known = {finding.object for finding in findings}
        findings += [item for item in _outgrown(inventory, snapshot, since) if item.object not in known]
    throttling = answer(snapshot, queries(parameters, snapshot.namespace)[0])
    missing: tuple[str, ...] = ()
    throttled: list[Finding] = []
    if not isinstance(throttling, Unobserved):
        missing = partial(throttling)
        since = snapshot.sampled_at(SERIES, now)
        throttled = _throttled(throttling, snapshot.namespace, parameters.throttling_percent, since)
    told, status = weighed(findings, throttled, missing)
    if told:
        return found(told, status=status)
    return _nothing_found(inventory, throttling, missing, snapshot, now)


def _nothing_found(
    inventory: Inventory | Unobserved,
    throttling: Answer | Unobserved,
    missing: tuple[str, ...],
    snapshot: Snapshot,
    now: datetime,
) -> Verdict:
    if isinstance(inventory, Unobserved):
        return unknown(inventory)
    for part in ("quotas", "limit_ranges"):
        if part in inventory.missing:
            return unknown(inventory.missing[part])
    if isinstance(snapshot.pods, Unobserved) and _of_containers(inventory):
        # Whether pods have outgrown a LimitRange is not known.
        return unknown(snapshot.pods)
    if isinstance(throttling, Unobserved):
        if throttling.reason == NOT_CONFIGURED:
            return passed("Quotas have room; throttling is not judged, as spec.prometheus is not set.")
        return unknown(advised(throttling))
    if missing:
        return incomplete(missing)
    refs = {
        about(series.labels, snapshot.namespace)[0]
        for series in throttling.series
        if not math.isfinite(series.last)
    }
    if refs:
        since = snapshot.sampled_at(SERIES, now)
        return found([unnumbered(ref, "throttling", since) for ref in sorted(refs)], status=Status.WARN)
    return passed("Quotas have room, no pod is refused, and no container is throttled much.")


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


def _nearly_used(inventory: Inventory, percent: int, since: datetime) -> list[Finding]:
    findings: list[Finding] = []
    for quota in sorted(inventory.quotas, key=lambda item: item.name):
        full = sorted(
            resource
            for resource, hard in quota.hard.items()
            if 100 * quota.used.get(resource, 0.0) > percent * hard
        )
        if full:
            what = f"ResourceQuota {quota.name}: more than {percent}% of {', '.join(full[:_NAMED])} is used"
            text = f"{what}: raise it before pods are refused"
            findings.append(Finding(Ref("ResourceQuota", quota.name), "QuotaNearlyUsed", text, since))
    return findings


def _outgrown(inventory: Inventory, snapshot: Snapshot, since: datetime) -> list[Finding]:
    """Workloads whose pods run, and could not be created anew."""
    limits = _of_containers(inventory)
    if not limits or isinstance(snapshot.pods, Unobserved):
        return []  # without a LimitRange no walk over all pods
    bad: dict[Ref, str] = {}
    for pod in sorted(snapshot.pods, key=lambda item: item.metadata.name):
        if pod.status.phase is not Phase.RUNNING or not (what := _outside_of(pod, limits)):
            continue
        owner = controller_of(pod, snapshot) or Ref("Pod", pod.metadata.name, pod.metadata.uid)
        text = f"{owner.kind} {owner.name}: {what}: its pods run, but new ones will be refused"
        bad.setdefault(owner, text)
    return [Finding(owner, "LimitRangeViolated", bad[owner], since) for owner in sorted(bad)]


def _of_containers(inventory: Inventory) -> list[tuple[str, Limit]]:
    """Limits of containers, each with the name of its LimitRange."""
    return [
        (limit_range.name, limit)
        for limit_range in sorted(inventory.limit_ranges, key=lambda item: item.name)
        for limit in limit_range.limits
        if limit.type == "Container"
    ]


def _outside_of(pod: Pod, limits: Sequence[tuple[str, Limit]]) -> str:
    for container in pod.spec.containers:
        for name, limit in limits:
            if resource := _outside(container, limit):
                return f"LimitRange {name} allows container {container.name} less or more {resource}"
    return ""


def _outside(container: Container, limit: Limit) -> str:
    """The first resource of which a container may not have as much, or as little; empty when all is well."""
    for resource, most in sorted(limit.max.items()):
        if _quantity(container.resources.limits.get(resource, ""), 0.0) > most:
            return resource
    for resource, least in sorted(limit.min.items()):
        if _quantity(container.resources.requests.get(resource, ""), math.inf) < least:
            return resource
    return ""


def _quantity(text: str, unset: float) -> float:
    try:
        return parse_quantity(text) if text else unset
    except ValueError:
        return unset  # the API server validates quantities; what it let through is not judged


def _throttled(told: Answer, namespace: str, percent: int, since: datetime) -> list[Finding]:
    refs = {
        about(series.labels, namespace)[0]
        for series in told.series
        if math.isfinite(series.last) and 100 * series.last > percent
    }
    text = f"it is throttled in more than {percent}% of the CPU periods: raise its CPU limit"
    return [Finding(ref, "CpuThrottled", f"{ref.kind} {ref.name}: {text}", since) for ref in sorted(refs)]


_REFUSALS = (
    "kubectl describe resourcequota,limitrange -n {namespace}; "
    "kubectl get events -n {namespace} --field-selector reason=FailedCreate; "
    "kubectl describe {object} -n {namespace}"
)

CHECK = Check(
    title="Quotas and limits hold nothing back",
    section="performance-scaling",
    command=f"kubectl describe resourcequota,limitrange -n {{namespace}}; {SHOWN}",
    commands={
        "CpuThrottled": SHOWN,
        **dict.fromkeys(("QuotaExceeded", "LimitRangeViolated"), _REFUSALS),
    },
    sources=(Source.DEPLOYMENTS, INVENTORY, SERIES),
    judge=judge,
    parameters=LimitsAndQuotasParameters,
    queries=queries,
    interval=SLOW,
)
