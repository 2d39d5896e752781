"""Whether autoscalers can do their work, and whether a load that varies has one."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Self

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.cost_efficiency import _amounts, _history
from kiro_operator.core.checks.cost_efficiency._requests import requested
from kiro_operator.core.evidence.prices import PRICES, Prices, prices
from kiro_operator.core.evidence.series import SERIES, Answer, Query, partial
from kiro_operator.core.findings import found, some
from kiro_operator.core.objects import (
    ConditionKind,
    HorizontalPodAutoscaler,
    ObjectCondition,
    Truth,
    Workload,
)
from kiro_operator.core.partial import incomplete, weighed
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import NOT_CONFIGURED, Collection, Ref, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Amendment, Finding, Status, Verdict, passed, skipped, unknown

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

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.min_points * _history.STEP > self.window:
            raise ValueError("minPoints must fit into window, which has one in ten minutes")
        return self


def queries(parameters: AutoscalingConfigurationParameters, namespace: str) -> Sequence[Query]:
    """High, low and mean of each workload's CPU load, and the number of points."""
    load = _history.by_owner("sum", _history.cpu(namespace))
    high, low = ("high", "quantile_over_time(0.95, "), ("low", "quantile_over_time(0.1, ")
    mean, count = ("mean", "avg_over_time("), ("points", "count_over_time(")
    return (_history.stats(load, parameters.window, high, low, mean, count),)


class _Fault(Struct, frozen=True):
    """A finding with what was measured and what it was held against."""

    finding: Finding
    observed: str | None = None
    threshold: str | None = None


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
    faults = [fault for item in sorted(ours, key=_name) if (fault := _fault(item, parameters, now))]
    scaled = {(item.spec.scale_target_ref.kind, item.spec.scale_target_ref.name) for item in scalers}
    alone = {key: item for key, item in workloads.items() if key not in scaled and item.desired}
    [query] = queries(parameters, snapshot.namespace)
    load = _history.read(snapshot, query)
    if isinstance(load, Unobserved):
        if faults:
            return _told(faults)
        if alone and load.reason != NOT_CONFIGURED:
            return unknown(load)
        return passed("The autoscalers can do their work; load was not looked at.")
    missing = partial(load)
    loads = _loads(alone, workloads, load, parameters)
    since = snapshot.sampled_at(SERIES, now)
    unscaled = [
        _unscaled(ref, seen, parameters, snapshot, since)
        for ref, seen in loads.items()
        if seen is not None and _varies(seen, parameters)
    ]
    findings, status = weighed(
        [item.finding for item in faults], [item.finding for item in unscaled], missing
    )
    if findings:
        return _told([*faults, *unscaled][: len(findings)], status)
    if missing:
        return incomplete(missing)
    young = [ref.name for ref, seen in loads.items() if seen is None]
    if young and len(young) == len(loads) and not ours:
        text = f"There are less than {parameters.min_points} points of history for any workload."
        return unknown(Unobserved("TooFewPoints", text))
    text = "The autoscalers can do their work, and no varying load is without one."
    return passed(text + (f" Too young to be judged: {some(young)}." if young else ""))


def _told(faults: Sequence[_Fault], status: Status = Status.FAIL) -> Verdict:
    first = faults[0]
    return found(
        [item.finding for item in faults],
        status=status,
        observed=first.observed,
        threshold=first.threshold,
    )


class _Load(Struct, frozen=True):
    """Cores that a workload uses."""

    high: float
    low: float
    mean: float


def _loads(
    alone: Mapping[_Key, Workload],
    workloads: Mapping[_Key, Workload],
    load: Answer,
    parameters: AutoscalingConfigurationParameters,
) -> dict[Ref, _Load | None]:
    """The load of each workload without an autoscaler; None where there is too little history."""
    exact = frozenset(name for kind, name in workloads if kind != "Deployment")
    high, low, mean, points = (_history.stat(load, name) for name in ("high", "low", "mean", "points"))
    known = sorted({owner for owner, _ in high})
    loads: dict[Ref, _Load | None] = {}
    for (kind, name), item in sorted(alone.items()):
        keys = [(owner, "") for owner in _history.owners(Ref(kind, name), known, exact)]
        # A rollout splits the history; the longest part speaks for it.
        key = max(keys, key=lambda key: (points.get(key, 0.0), key), default=None)
        enough = key is not None and points.get(key, 0.0) >= parameters.min_points
        loads[Ref(kind, name, item.metadata.uid)] = (
            _Load(high[key], low.get(key, 0.0), mean.get(key, high[key])) if key and enough else None
        )
    return loads


def _varies(load: _Load, parameters: AutoscalingConfigurationParameters) -> bool:
    return load.high >= max(parameters.min_millicores / 1000, parameters.variable_ratio * load.low)


def _unscaled(
    ref: Ref,
    load: _Load,
    parameters: AutoscalingConfigurationParameters,
    snapshot: Snapshot,
    since: datetime,
) -> _Fault:
    """A workload without an autoscaler whose load is worth one."""
    _, memory = requested(snapshot, ref)
    spare = max(0.0, load.high - load.mean)
    idle = _idle(spare, memory * spare / load.high, prices(snapshot))
    high, low = figure(load.high, " cores"), figure(load.low)
    text = (
        f"{ref.kind} {ref.name} has no autoscaler, and its load varies much, from {low} to {high}{idle}: add "
        "a HorizontalPodAutoscaler, so that it does not run at full size while there is little to do"
    )
    threshold = f"{parameters.variable_ratio:g} times the low, from {parameters.min_millicores}m on"
    observed = f"low {low}, high {high}"
    return _Fault(Finding(ref, "NoAutoscaler", text, since), observed, threshold)


def _idle(cores: float, memory: float, costs: Prices | None) -> str:
    """What following the load would spare on average."""
    what = _amounts.wasted(cores, memory)
    return (
        f"; {what} are idle on average{_amounts.a_month(costs, cores=cores, memory=memory)}" if what else ""
    )


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
) -> _Fault | None:
    """The gravest fault of an autoscaler."""
    name, ref = item.metadata.name, Ref("HorizontalPodAutoscaler", item.metadata.name, item.metadata.uid)
    since = min(item.metadata.creation_timestamp or now, now)
    conditions = {condition.type: condition for condition in item.status.conditions or ()}
    fault = _condition_fault(item, conditions, parameters, now)
    if fault is not None:
        reason, text, began = fault
        message = f"HorizontalPodAutoscaler {name} {text}"
        finding = Finding(ref, reason, message, min(began or now, now))
        if reason == "PinnedAtMax":
            finding = replace(finding, amendment=_wider(item, ref))
        if reason != "PinnedAtMax":
            return _Fault(finding)
        most = f"{item.spec.max_replicas} replicas"
        return _Fault(
            finding, f"more than {most} wanted", f"{most} for {format_duration(parameters.pinned_for)}"
        )
    if item.spec.min_replicas >= item.spec.max_replicas > 0:
        text = (
            f"HorizontalPodAutoscaler {name} has a minimum of {item.spec.min_replicas} that is its maximum, "
            "so it never scales: widen it"
        )
        return _Fault(Finding(ref, "MinEqualsMax", text, since, amendment=_wider(item, ref)))
    return None


def _wider(item: HorizontalPodAutoscaler, ref: Ref) -> Amendment:
    """Half as many again as its maximum, and at least one more."""
    most = item.spec.max_replicas
    return Amendment(ActionName.CHANGE_AUTOSCALING, ref, (("maxReplicas", str(most + max(1, most // 2))),))


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
        f"has wanted more than its maximum of {item.spec.max_replicas} replicas for more than "
        f"{format_duration(parameters.pinned_for)}: raise maxReplicas, or what each pod can carry"
    )
    return "PinnedAtMax", text, began


CHECK = Check(
    title="Autoscalers are there and can work",
    section="cost-efficiency-allocation",
    command="kubectl describe {object} -n {namespace}; kubectl get hpa -n {namespace}",
    commands={
        "NoAutoscaler": "kubectl get hpa -n {namespace}; promtool query instant {prometheus} 'sum by (pod) "
        '(rate(container_cpu_usage_seconds_total{{namespace="{namespace}"}}[10m]))\''
    },
    sources=(Source.AUTOSCALERS, Source.DEPLOYMENTS, Source.STATEFUL_SETS, SERIES, PRICES),
    judge=judge,
    parameters=AutoscalingConfigurationParameters,
    queries=queries,
    interval=timedelta(minutes=5),
    failure_threshold=1,
    success_threshold=1,
)
