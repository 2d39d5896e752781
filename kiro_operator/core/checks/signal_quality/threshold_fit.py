"""Whether thresholds fit the metrics they are set on: not within the normal range, and not out of reach."""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.performance._series import SeriesParameters
from kiro_operator.core.checks.performance.cpu_usage import CpuUsageParameters
from kiro_operator.core.checks.performance.memory_usage import MemoryUsageParameters
from kiro_operator.core.evidence.series import SERIES, SHOWN, Query, answer, partial
from kiro_operator.core.findings import found
from kiro_operator.core.partial import incomplete, weighed
from kiro_operator.core.promql import PART, filled, union
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import ITSELF, Amendment, Finding, Status, Verdict, passed, too_few, unknown

POINTS = 288
"""Of each metric over the window: every five minutes of a day."""
FAR = 100.0
"""A threshold so many times what was ever measured is likely in another unit."""


class Threshold(Parameters):
    """A threshold that somebody alerts or acts on."""

    name: Annotated[str, Field(min_length=1, max_length=63)]
    query: Annotated[str, Field(min_length=1, max_length=1024)]
    threshold: Annotated[float, Field(allow_inf_nan=False)]
    direction: Literal["Above", "Below"] = "Above"
    bound: Annotated[float, Field(allow_inf_nan=False)] | None = None


def _of(check: str, parameters: SeriesParameters) -> Threshold:
    """The threshold of a check of this operator on a share from 0 to 1."""
    return Threshold(name=check, query=parameters.query, threshold=parameters.threshold / 100, bound=1)


OURS: Mapping[str, SeriesParameters] = {
    "cpu-usage": CpuUsageParameters(),
    "memory-usage": MemoryUsageParameters(),
}
"""Checks whose thresholds are judged where nothing else is asked for, with their defaults."""


class ThresholdFitParameters(Parameters):
    """What threshold-fit judges."""

    thresholds: Annotated[list[Threshold], Field(max_length=16)] = Field(
        default=[],
        description=(
            "Each {name, query, threshold, direction, bound}; [] for those of cpu-usage and memory-usage, as "
            "they are set."
        ),
    )
    window: Annotated[timedelta, Between("1h", "168h")] = Field(
        default=timedelta(hours=24), description="How far back the metric's range is taken from."
    )
    normal_percent: Annotated[int, Field(ge=1, le=50)] = Field(
        default=5, description="Share of the time, in percent, that a metric may spend beyond a threshold."
    )
    minimum: Annotated[int, Field(ge=20, le=288)] = Field(
        default=100, description="Points, of at most 288 in the window, that are needed to know a range."
    )


def informed(parameters: ThresholdFitParameters, others: Mapping[str, Parameters]) -> ThresholdFitParameters:
    """With the thresholds of this operator's own checks, as they are set, where none are listed."""
    ours = {name: item for name in OURS if isinstance(item := others.get(name), SeriesParameters)}
    if parameters.thresholds or not ours:
        return parameters
    return parameters.model_copy(update={"thresholds": [_of(name, item) for name, item in ours.items()]})


def _thresholds(parameters: ThresholdFitParameters) -> Sequence[Threshold]:
    return parameters.thresholds or [_of(name, item) for name, item in OURS.items()]


def queries(parameters: ThresholdFitParameters, namespace: str) -> Sequence[Query]:
    """The course of all metrics: the highest series of each, or the lowest where less is worse."""
    parts = {
        str(number): f"{'max' if item.direction == 'Above' else 'min'}({filled(item.query, namespace)})"
        for number, item in enumerate(_thresholds(parameters))
    }
    return (Query(union(parts), parameters.window, parameters.window / POINTS),)


def judge(snapshot: Snapshot, parameters: ThresholdFitParameters, now: datetime) -> Verdict:
    """Judge each threshold whose metric has a known range."""
    [query] = queries(parameters, snapshot.namespace)
    told = answer(snapshot, query)
    if isinstance(told, Unobserved):
        return unknown(told)
    values = {
        series.labels.get(PART, ""): [value for _, value in series.points if math.isfinite(value)]
        for series in told.series
    }
    since = snapshot.sampled_at(SERIES, now)
    judged = 0
    findings: list[Finding] = []
    far: list[Finding] = []
    for number, item in enumerate(_thresholds(parameters)):
        seen = values.get(str(number), [])
        if len(seen) < parameters.minimum:
            continue
        judged += 1
        reason = _misfit(item, seen, parameters)
        if reason is not None:
            finding = Finding(
                Ref("Threshold", item.name),
                reason,
                _text(item, reason),
                since,
                amendment=_fitting(item, reason, seen, parameters),
            )
            (far if reason == "ThresholdFarAway" else findings).append(finding)
    missing = partial(told)
    # What is out of reach is so whatever else there is.
    certain = [item for item in findings if item.reason == "ThresholdUnreachable"]
    others = [item for item in findings if item.reason != "ThresholdUnreachable"]
    findings, status = weighed(certain, others, missing)
    if findings:
        return found(sorted(findings, key=lambda item: (item.reason, item.object)), status=status)
    if far:
        return found(sorted(far, key=lambda item: item.object), status=Status.WARN)
    if missing:
        return incomplete(missing)
    if not judged:
        return too_few(f"No metric has {parameters.minimum} points yet: its normal range is not known.")
    return passed("No threshold lies within its metric's normal range, and each can be reached.")


def _misfit(item: Threshold, seen: Sequence[float], parameters: ThresholdFitParameters) -> str | None:
    above = item.direction == "Above"
    if item.bound is not None and (item.threshold >= item.bound if above else item.threshold <= item.bound):
        return "ThresholdUnreachable"
    beyond = sum(value > item.threshold if above else value < item.threshold for value in seen)
    if 100 * beyond > parameters.normal_percent * len(seen):
        return "ThresholdInNormalRange"
    extreme = max(seen) if above else min(seen)
    distant = item.threshold > FAR * extreme if above else item.threshold < extreme / FAR
    return "ThresholdFarAway" if extreme > 0 and item.threshold > 0 and distant else None


def _fitting(
    item: Threshold, reason: str, seen: Sequence[float], parameters: ThresholdFitParameters
) -> Amendment | None:
    """A threshold of one of our checks that would fit; None where there is none, or it is not ours."""
    ours = OURS.get(item.name)
    if ours is None or item.bound != 1 or reason == "ThresholdFarAway":
        return None
    percent = ours.threshold
    if reason == "ThresholdInNormalRange":
        rank = math.ceil(len(seen) * (1 - parameters.normal_percent / 100)) - 1
        percent = math.ceil(round(100 * sorted(seen)[max(0, rank)], 6))
    if not 100 * item.threshold != percent < 100:
        return None
    values = ((f"{item.name}/threshold", str(percent)),)
    return Amendment(ActionName.CHANGE_THRESHOLD, ITSELF, values)


def _text(item: Threshold, reason: str) -> str:
    what = f"Threshold {item.name}, {item.direction.lower()} {item.threshold:g},"
    match reason:
        case "ThresholdUnreachable":
            return f"{what} is never passed: the metric goes to {item.bound:g} and no further"
        case "ThresholdInNormalRange":
            return f"{what} is within the metric's normal range: move it, or find what has become normal"
        case _:
            return f"{what} is far from all that was measured: see whether its unit is the metric's"


CHECK = Check(
    title="Thresholds fit their metrics",
    section="signal-quality-data",
    command=f"{SHOWN}; promtool query instant {{prometheus}} "
    "'quantile_over_time(0.95, node_cpu_utilization[1d:5m])'",
    sources=(SERIES,),
    judge=judge,
    parameters=ThresholdFitParameters,
    informed=informed,
    queries=queries,
    # The range of a day hardly changes in minutes, and it is its own flap control.
    interval=timedelta(minutes=10),
    failure_threshold=1,
    success_threshold=1,
)
