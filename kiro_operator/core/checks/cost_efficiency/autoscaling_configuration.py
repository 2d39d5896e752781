"""Whether autoscalers can do their work, and whether a load that varies has one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.cost_efficiency import _history
from kiro_operator.core.evidence.series import SERIES, Answer, Query, partial
from kiro_operator.core.findings import found
from kiro_operator.core.objects import (
    ConditionKind,
    HorizontalPodAutoscaler,
    ObjectCondition,
    Truth,
    Workload,
)
from kiro_operator.core.partial import incomplete, weighed
from kiro_operator.core.snapshot import NOT_CONFIGURED, Collection, Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, skipped, unknown

_Key = tuple[str, str]
"""Kind and name of a workload."""


class AutoscalingConfigurationParameters(Parameters):
    """Thresholds of autoscaling-configuration."""

    pinned_for: Annotated[timedelta, Between("1m", "24h")] = Field(
        default=timedelta(minutes=30), description="How long an autoscaler may want more than its maximum."
    )
    window: Annotated[timedelta, Between("24h", "720h")] = Field(
        default=timedelta(days=7), description="How far back load is looked at."
    )
    variable_ratio: Annotated[float, Field(ge=1.5, le=100)] = Field(
        default=4.0,
        description="Load varies when its high (95th percentile) is so many times its low (10th).",
    )
    min_millicores: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=500,
        description="High CPU load of a workload below which scaling is not worth it, in millicores.",
    )
    min_points: Annotated[int, Field(ge=10, le=10_000)] = Field(
        default=_history.POINTS, description="Points of history without which load is not judged."
    )


def queries(parameters: AutoscalingConfigurationParameters, namespace: str) -> Sequence[Query]:
    """High and low of each workload's CPU load, and the number of points."""
    load = _history.by_owner("sum", _history.cpu(namespace))
    high, low = ("high", "quantile_over_time(0.95, "), ("low", "quantile_over_time(0.1, ")
    return (_history.stats(load, parameters.window, high, low, ("points", "count_over_time(")),)


def judge(snapshot: Snapshot, parameters: AutoscalingConfigurationParameters, now: datetime) -> Verdict:
    """Judge each autoscaler of a selected workload, then the load of workloads without one."""
    scalers = snapshot.autoscalers
    if isinstance(scalers, Unobserved):
        return unknown(scalers)
    workloads = _workloads(snapshot)
    if isinstance(workloads, Unobserved):
        return unknown(workloads)
    ours = [item for item in scalers if _concerns(item, workloads, snapshot)]
    if not workloads and not ours:
        return skipped("NoWorkloads", "No Deployment or StatefulSet is selected.")
    findings = [finding for item in sorted(ours, key=_name) if (finding := _fault(item, parameters, now))]
    scaled = {(item.spec.scale_target_ref.kind, item.spec.scale_target_ref.name) for item in scalers}
    alone = {key: item for key, item in workloads.items() if key not in scaled}
    [query] = queries(parameters, snapshot.namespace)
    load = _history.read(snapshot, query)
    if isinstance(load, Unobserved):
        if findings:
            return found(findings)
        if alone and load.reason != NOT_CONFIGURED:
            return unknown(load)
        return passed("The autoscalers can do their work; load was not looked at.")
    missing = partial(load)
    unscaled = list(_unscaled(alone, workloads, load, parameters, snapshot.sampled_at(SERIES, now)))
    findings, status = weighed(findings, unscaled, missing)
    if findings:
        return found(findings, status=status)
    if missing:
        return incomplete(missing)
    return passed("The autoscalers can do their work, and no varying load is without one.")


def _unscaled(
    alone: Mapping[_Key, Workload],
    workloads: Mapping[_Key, Workload],
    load: Answer,
    parameters: AutoscalingConfigurationParameters,
    since: datetime,
) -> Iterator[Finding]:
    """Workloads without an autoscaler whose load is worth one."""
    exact = frozenset(name for kind, name in workloads if kind != "Deployment")
    high, low, points = (_history.stat(load, name) for name in ("high", "low", "points"))
    known = sorted({owner for owner, _ in high})
    for (kind, name), item in sorted(alone.items()):
        keys = [(owner, "") for owner in _history.owners(Ref(kind, name), known, exact)]
        # A rollout splits the history; the longest part speaks for it.
        key = max(keys, key=lambda key: (points.get(key, 0.0), key), default=None)
        if key is None or points.get(key, 0.0) < parameters.min_points:
            continue
        least = parameters.variable_ratio * low.get(key, math.inf)
        if high[key] >= max(parameters.min_millicores / 1000, least):
            text = (
                f"{kind} {name} has no autoscaler, and its load varies much: add a HorizontalPodAutoscaler, "
                "so that it does not run at full size while there is little to do"
            )
            yield Finding(Ref(kind, name, item.metadata.uid), "NoAutoscaler", text, since)


def _name(item: HorizontalPodAutoscaler) -> str:
    return item.metadata.name


def _workloads(snapshot: Snapshot) -> Mapping[_Key, Workload] | Unobserved:
    found_: dict[tuple[str, str], Workload] = {}
    collections: tuple[Collection[Workload] | Unobserved, ...] = (
        snapshot.deployments,
        snapshot.stateful_sets,
    )  # type: ignore[assignment]
    for collection in collections:
        if isinstance(collection, Unobserved):
            return collection
        found_.update({(item.kind, item.metadata.name): item for item in collection})
    return found_


def _concerns(item: HorizontalPodAutoscaler, workloads: Mapping[_Key, Workload], snapshot: Snapshot) -> bool:
    """Whether it scales a selected workload, or one that does not exist."""
    target = item.spec.scale_target_ref
    if (target.kind, target.name) in workloads:
        return True
    collection = {"Deployment": snapshot.deployments, "StatefulSet": snapshot.stateful_sets}.get(target.kind)
    return (
        collection is not None
        and not isinstance(collection, Unobserved)
        and collection.get(target.name) is None
    )


def _fault(
    item: HorizontalPodAutoscaler, parameters: AutoscalingConfigurationParameters, now: datetime
) -> Finding | None:
    """The gravest fault of an autoscaler."""
    name, ref = item.metadata.name, Ref("HorizontalPodAutoscaler", item.metadata.name, item.metadata.uid)
    since = min(item.metadata.creation_timestamp or now, now)
    conditions = {condition.type: condition for condition in item.status.conditions or ()}
    fault = _condition_fault(item, conditions, parameters, now)
    if fault is not None:
        reason, text, began = fault
        return Finding(ref, reason, f"HorizontalPodAutoscaler {name} {text}", min(began or now, now))
    if item.spec.min_replicas >= item.spec.max_replicas > 0:
        text = (
            f"HorizontalPodAutoscaler {name} has a minimum that is its maximum, so it never scales: widen it"
        )
        return Finding(ref, "MinEqualsMax", text, since)
    return None


def _condition_fault(
    item: HorizontalPodAutoscaler,
    conditions: Mapping[ConditionKind, ObjectCondition],
    parameters: AutoscalingConfigurationParameters,
    now: datetime,
) -> tuple[str, str, datetime | None] | None:
    """Reason, what is wrong, and since when."""
    able = conditions.get(ConditionKind.ABLE_TO_SCALE)
    if able is not None and able.status is Truth.FALSE:
        text = f"cannot scale ({able.reason}): see whether its target exists"
        return "CannotScale", text, able.last_transition_time
    active = conditions.get(ConditionKind.SCALING_ACTIVE)
    # ScalingDisabled: somebody has set the replicas to zero on purpose.
    if active is not None and active.status is Truth.FALSE and active.reason != "ScalingDisabled":
        text = (
            f"gets no metrics to scale by ({active.reason}): set requests on all containers, and see whether "
            "the metrics API answers"
        )
        return "MetricsMissing", text, active.last_transition_time
    limited = conditions.get(ConditionKind.SCALING_LIMITED)
    if limited is None or limited.status is not Truth.TRUE or limited.reason != "TooManyReplicas":
        return None
    # The condition may be older: it is also True where an autoscaler is at its minimum.
    began = max(filter(None, (limited.last_transition_time, item.status.last_scale_time)), default=now)
    if item.status.current_replicas < item.spec.max_replicas or now - began < parameters.pinned_for:
        return None
    text = (
        f"has wanted more than its maximum of {item.spec.max_replicas} replicas for long: raise maxReplicas, "
        "or what each pod can carry"
    )
    return "PinnedAtMax", text, began


CHECK = Check(
    title="Autoscalers are there and can work",
    section="cost-efficiency-allocation",
    command="kubectl get hpa -n {namespace}; kubectl describe {object} -n {namespace}",
    sources=(Source.AUTOSCALERS, SERIES),
    judge=judge,
    parameters=AutoscalingConfigurationParameters,
    queries=queries,
    interval=timedelta(minutes=5),
    failure_threshold=1,
    success_threshold=1,
)
