"""Days until volumes and file systems are full, if they go on as they do."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.performance._series import (
    SLOW,
    Expression,
    about,
    advised,
    named,
)
from kiro_operator.core.evidence.series import SERIES, SHOWN, Answer, Query, answer
from kiro_operator.core.findings import found, some
from kiro_operator.core.partial import incomplete, lacking, proven, unnumbered
from kiro_operator.core.promql import WORST, filled, worst
from kiro_operator.core.quiet import forecast
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

_DAY = timedelta(days=1)
_POINTS = 48
"""Points that the past is looked at by."""
_NAMED = 3
_DEFAULT = 'kiro_volume_utilization{namespace="$namespace"} or kiro_node_filesystem_utilization'


class CapacityForecastParameters(Parameters):
    """Thresholds of capacity-forecast."""

    query: Expression = Field(
        default=_DEFAULT,
        description=(
            "PromQL: how full everything is that can fill up, from 0 to 1; $namespace is the "
            "KiroHealthCheck's."
        ),
    )
    past: Annotated[timedelta, Between("1h", "720h")] = Field(
        default=_DAY, description="The past from which the future is told."
    )
    days: Annotated[int, Field(ge=1, le=90)] = Field(
        default=7, description="Days within which nothing may become full."
    )


def queries(parameters: CapacityForecastParameters, namespace: str) -> tuple[Query, ...]:
    """How full the fullest are, and will be where at least half of the past is known."""
    now = filled(parameters.query, namespace)
    # A moment without a number would make the whole forecast none.
    past = f"(({now}) >= -Inf)[{_seconds(parameters.past)}s:{_seconds(parameters.past / _POINTS)}s]"
    ahead = _seconds(parameters.days * _DAY)
    known = f"count_over_time({past}) >= {_POINTS // 2}"
    full_then = f"topk({WORST}, predict_linear({past}, {ahead}) and ({known}))"
    # What will be full need not be among the fullest today.
    present = f"{worst(now)} or (({now}) and {full_then})"
    return Query(present, told=now), Query(full_then, told=now)


def judge(snapshot: Snapshot, parameters: CapacityForecastParameters, now: datetime) -> Verdict:
    """Judge each thing that fills up by the day on which it will be full."""
    present, ahead = (answer(snapshot, query) for query in queries(parameters, snapshot.namespace))
    if isinstance(present, Unobserved):
        return unknown(advised(present))
    if isinstance(ahead, Unobserved):
        if ahead.reason != "NoData":
            return unknown(ahead)
        text = "Less than half of the past that the forecast needs is known: wait, or set past to less."
        return unknown(Unobserved("TooFewSamples", text))
    since = snapshot.sampled_at(SERIES, now)
    days = _days_left(present, ahead, snapshot.namespace, parameters.days)
    findings = [
        _finding(ref, detail, left, since)
        for ref, (detail, left) in _full({key: left for key, left in days.items() if left <= parameters.days})
    ]
    missing = lacking(present, ahead)
    if findings:
        soonest = min(days.values())
        return found(
            findings,
            status=proven(missing),
            observed=forecast(soonest, " days"),
            threshold=f"{parameters.days} days",
        )
    if missing:
        return incomplete(missing)
    if numberless := _numberless(present, ahead, snapshot.namespace):
        return found([unnumbered(ref, "use", since) for ref in numberless], status=Status.WARN)
    text = f"Nothing will be full within {parameters.days} days."
    unknown_ = sorted({about(series.labels, snapshot.namespace) for series in present.series} - set(days))
    if not unknown_:
        return passed(text)
    names = some([f"{ref.kind} {ref.name}{detail}" for ref, detail in unknown_], 2)
    return passed(f"{text} Not foretold, for want of history: {names}.")


def _days_left(present: Answer, ahead: Answer, namespace: str, days: int) -> dict[tuple[Ref, str], float]:
    """Days until each thing is full; infinite for what does not fill up."""
    now = {named(series.labels): series.last for series in present.series}
    left: dict[tuple[Ref, str], float] = {}
    for series in ahead.series:
        key = about(series.labels, namespace)
        value = now.get(named(series.labels), math.nan)
        growth = (series.last - value) / days
        if not (math.isfinite(value) and math.isfinite(growth)):
            continue
        until = (1.0 - value) / growth if growth > 0 else math.inf
        left[key] = min(until if value < 1 else 0.0, left.get(key, math.inf))
    return left


def _numberless(present: Answer, ahead: Answer, namespace: str) -> list[Ref]:
    """What has no number, or none that can be told ahead."""
    return sorted(
        {
            about(series.labels, namespace)[0]
            for series in (*present.series, *ahead.series)
            if not math.isfinite(series.last)
        }
    )


def _full(days: dict[tuple[Ref, str], float]) -> Iterator[tuple[Ref, tuple[str, float]]]:
    """Each object with all its parts, whichever of them is the first to be full, and the soonest day."""
    for ref, group in groupby(sorted(days), key=lambda key: key[0]):
        details = [detail for _, detail in group]
        yield ref, ("".join(details[:_NAMED]), min(days[ref, detail] for detail in details))


def _finding(ref: Ref, detail: str, left: float, since: datetime) -> Finding:
    when = f"in {forecast(left, ' days')}"
    text = f"it will be full {when} if it goes on like this: enlarge it, or delete what can go"
    return Finding(ref, "FullSoon", f"{ref.kind} {ref.name}{detail}: {text}", since)


def _seconds(span: timedelta) -> int:
    return max(1, int(span.total_seconds()))


CHECK = Check(
    title="Nothing will be full soon",
    section="performance-scaling",
    command=SHOWN,
    sources=(SERIES,),
    judge=judge,
    parameters=CapacityForecastParameters,
    queries=queries,
    interval=SLOW,
)
