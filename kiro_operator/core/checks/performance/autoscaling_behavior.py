"""Autoscalers: what they want against what there is, and whether they come to rest."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec.structs import replace
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.performance._series import INTERVAL, Expression
from kiro_operator.core.evidence.series import SERIES, Answer, Query, Series, answer, partial
from kiro_operator.core.findings import clip, earliest, found, some
from kiro_operator.core.objects import ConditionKind, Deployment, HorizontalPodAutoscaler, StatefulSet, Truth
from kiro_operator.core.partial import incomplete, unnumbered, weighed
from kiro_operator.core.promql import filled, worst
from kiro_operator.core.snapshot import (
    NOT_CONFIGURED,
    Collection,
    Ref,
    Snapshot,
    Source,
    Unobserved,
    controller_of,
    workload,
)
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, skipped, unknown

_EXPORTER = "have Prometheus scrape kube-state-metrics, or set the parameter query"


class AutoscalingBehaviorParameters(Parameters):
    """Thresholds of autoscaling-behavior."""

    query: Expression = Field(
        default='changes(kube_horizontalpodautoscaler_status_desired_replicas{namespace="$namespace"}[1h])',
        description=(
            "PromQL: how often each autoscaler changed its mind of late, by the label "
            "horizontalpodautoscaler; $namespace is the KiroHealthCheck's."
        ),
    )
    max_changes: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=10, description="Changes above which an autoscaler thrashes."
    )
    grace: Annotated[timedelta, Between("1m", "24h")] = Field(
        default=timedelta(minutes=10), description="How long what an autoscaler wants may be missing."
    )


def queries(parameters: AutoscalingBehaviorParameters, namespace: str) -> tuple[Query, ...]:
    """How often desired replicas changed, of those that change most."""
    expression = filled(parameters.query, namespace)
    return (Query(worst(expression), told=expression),)


def judge(snapshot: Snapshot, parameters: AutoscalingBehaviorParameters, now: datetime) -> Verdict:
    """Judge each autoscaler of a selected workload."""
    if isinstance(snapshot.autoscalers, Unobserved):
        return unknown(snapshot.autoscalers)
    scalers = sorted(_selected(snapshot.autoscalers, snapshot), key=lambda scaler: scaler.metadata.name)
    if not scalers:
        return skipped("NoAutoscalers", "No HorizontalPodAutoscaler scales a selected workload.")
    findings: list[Finding] = []
    due: datetime | None = None
    waiting = _waiting(snapshot)
    for scaler in scalers:
        fault = _inactive(scaler, now) or _short(scaler, snapshot, waiting, parameters.grace, now)
        if fault is None:
            continue
        if now - fault.since >= parameters.grace:
            findings.append(fault)
        else:
            due = earliest(due, fault.since + parameters.grace)
    told = answer(snapshot, queries(parameters, snapshot.namespace)[0])
    verdict = _restless(findings, told, scalers, parameters, snapshot.sampled_at(SERIES, now))
    return replace(verdict, next_check=due)


def _restless(
    findings: list[Finding],
    told: Answer | Unobserved,
    scalers: Sequence[HorizontalPodAutoscaler],
    parameters: AutoscalingBehaviorParameters,
    since: datetime,
) -> Verdict:
    """The verdict over what is watched, and what Prometheus tells of how often they changed."""
    if isinstance(told, Unobserved):
        if findings:
            return found(findings)
        if told.reason != NOT_CONFIGURED:
            return unknown(_advised(told))
        return passed("Every autoscaler has the replicas that it wants; their changes are not counted.")
    missing = partial(told)
    findings, status = weighed(findings, _thrashing(told, scalers, parameters, since), missing)
    if findings:
        return found(findings, status=status)
    if missing:
        return incomplete(missing)
    numberless = {_scaled_by(series) for series in told.series if not math.isfinite(series.last)}
    if refs := [_ref(scaler) for scaler in scalers if scaler.metadata.name in numberless]:
        return found([unnumbered(ref, "count of changes", since) for ref in refs], status=Status.WARN)
    return _at_rest(told, scalers)


def _at_rest(told: Answer, scalers: Sequence[HorizontalPodAutoscaler]) -> Verdict:
    """What is said where no fault is found: as much as was seen."""
    changes = _changes(told)
    uncounted = [scaler.metadata.name for scaler in scalers if scaler.metadata.name not in changes]
    if len(uncounted) == len(scalers):
        words = f"Prometheus counts changes of other autoscalers, and not of {some(uncounted)}: {_EXPORTER}"
        return unknown(Unobserved("NoData", words))
    rest = (
        f"comes to rest, but changes of {some(uncounted)} are not counted" if uncounted else "comes to rest"
    )
    return passed(f"Every autoscaler has the replicas that it wants and {rest}.")


def _advised(cause: Unobserved) -> Unobserved:
    """The same, with what to do about changes that nothing counts."""
    return Unobserved(cause.reason, f"{cause.message}: {_EXPORTER}") if cause.reason == "NoData" else cause


def _selected(
    scalers: Collection[HorizontalPodAutoscaler], snapshot: Snapshot
) -> Iterable[HorizontalPodAutoscaler]:
    """Those of selected workloads, and those of kinds that are not watched."""
    names = {
        "Deployment": _names(snapshot.deployments),
        "StatefulSet": _names(snapshot.stateful_sets),
    }
    for scaler in scalers:
        target = scaler.spec.scale_target_ref
        chosen = names.get(target.kind)
        if chosen is None or target.name in chosen:
            yield scaler


def _names(workloads: Collection[Deployment] | Collection[StatefulSet] | Unobserved) -> set[str] | None:
    return None if isinstance(workloads, Unobserved) else {item.metadata.name for item in workloads}


def _inactive(scaler: HorizontalPodAutoscaler, now: datetime) -> Finding | None:
    """It says itself that it cannot do its work."""
    for kind, reason in (
        (ConditionKind.ABLE_TO_SCALE, "UnableToScale"),
        (ConditionKind.SCALING_ACTIVE, "ScalingInactive"),
    ):
        for condition in scaler.status.conditions or ():
            # Scaled to zero by hand is switched off on purpose.
            if (
                condition.type is kind
                and condition.status is Truth.FALSE
                and condition.reason != "ScalingDisabled"
            ):
                since = min(condition.last_transition_time or now, now)
                why = clip(condition.reason, 64) or "no reason given"
                return _finding(scaler, reason, f"it cannot scale ({why}): see kubectl describe hpa", since)
    return None


def _short(
    scaler: HorizontalPodAutoscaler,
    snapshot: Snapshot,
    waiting: Mapping[Ref, datetime],
    grace: timedelta,
    now: datetime,
) -> Finding | None:
    """It wants more replicas than are available."""
    status, target = scaler.status, scaler.spec.scale_target_ref
    known = _workload(snapshot, target.kind, target.name)
    available = status.current_replicas if known is None else known[1]
    if available >= status.desired_replicas:
        return None
    scaled = status.last_scale_time or scaler.metadata.creation_timestamp or now
    first = waiting.get(known[0]) if known and workload(known[0], snapshot) is not None else None
    since = min(max(scaled, first or scaled), now)
    return _finding(
        scaler,
        "BelowDesired",
        f"{target.kind} {target.name} has {available} of the {status.desired_replicas} replicas available "
        f"that it wants, for more than {format_duration(grace)}: see why pods are not created or not ready "
        "(quota, full nodes, crashes)",
        since,
    )


def _workload(snapshot: Snapshot, kind: str, name: str) -> tuple[Ref, int] | None:
    source: Collection[Deployment] | Collection[StatefulSet] | Unobserved
    match kind:
        case "Deployment":
            source = snapshot.deployments
        case "StatefulSet":
            source = snapshot.stateful_sets
        case _:
            return None
    item = None if isinstance(source, Unobserved) else source.get(name)
    return None if item is None else (Ref(kind, name, item.metadata.uid), item.available)


def _waiting(snapshot: Snapshot) -> dict[Ref, datetime]:
    """Since when the first pod that is not Ready is not, by workload."""
    first: dict[Ref, datetime] = {}
    for pod in () if isinstance(snapshot.pods, Unobserved) else snapshot.pods.unsettled:
        condition = pod.condition("Ready")
        if condition is not None and condition.status is Truth.TRUE:
            continue
        since = condition.last_transition_time if condition else pod.metadata.creation_timestamp
        owner = controller_of(pod, snapshot)
        if owner is not None and since is not None:
            first[owner] = min(since, first.get(owner, since))
    return first


def _changes(told: Answer) -> dict[str, float]:
    """How often each autoscaler changed its mind, by name."""
    return {_scaled_by(series): series.last for series in told.series if math.isfinite(series.last)}


def _thrashing(
    told: Answer,
    scalers: Iterable[HorizontalPodAutoscaler],
    parameters: AutoscalingBehaviorParameters,
    since: datetime,
) -> list[Finding]:
    changes = _changes(told)
    return [
        _finding(
            scaler,
            "Thrashing",
            f"it changed the number of replicas more than {parameters.max_changes} times of late: lengthen "
            "its stabilization window, or use a steadier metric",
            since,
            at_once=False,
        )
        for scaler in scalers
        if changes.get(scaler.metadata.name, 0.0) > parameters.max_changes
    ]


def _finding(
    scaler: HorizontalPodAutoscaler, reason: str, text: str, since: datetime, *, at_once: bool = True
) -> Finding:
    ref = _ref(scaler)
    return Finding(ref, reason, f"HorizontalPodAutoscaler {ref.name}: {text}", since, at_once=at_once)


def _ref(scaler: HorizontalPodAutoscaler) -> Ref:
    return Ref("HorizontalPodAutoscaler", scaler.metadata.name, scaler.metadata.uid)


def _scaled_by(series: Series) -> str:
    return series.labels.get("horizontalpodautoscaler", "")


CHECK = Check(
    title="Autoscalers get what they want, and come to rest",
    section="performance-scaling",
    command="kubectl get hpa -n {namespace}",
    sources=(
        Source.AUTOSCALERS,
        Source.DEPLOYMENTS,
        Source.STATEFUL_SETS,
        Source.PODS,
        Source.REPLICA_SETS,
        SERIES,
    ),
    judge=judge,
    parameters=AutoscalingBehaviorParameters,
    queries=queries,
    interval=INTERVAL,
)
