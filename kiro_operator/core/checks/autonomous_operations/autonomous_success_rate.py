"""How many autonomous operations succeed: ``kiro_autonomous_success_rate``, with its trend."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import fmean
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import SERIES, SHOWN, Query, Series, answer, partial
from kiro_operator.core.findings import clip, found
from kiro_operator.core.partial import incomplete, proven, unnumbered
from kiro_operator.core.promql import filled
from kiro_operator.core.quiet import figure
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

_STEPS = 48
_SLACK = 1e-9
_HALVES = 4
"""Points from which on there is a trend to tell."""
_LABELS = ("service", "job", "instance", "pod", "component")


class AutonomousSuccessRateParameters(Parameters):
    """Thresholds of autonomous-success-rate."""

    query: Annotated[str, Field(min_length=1, max_length=1024)] = Field(
        default='kiro_autonomous_success_rate{namespace="$namespace"}',
        description="PromQL: the share that succeeds; $namespace is the KiroHealthCheck's.",
    )
    unit: Literal["Ratio", "Percent"] = Field(
        default="Ratio",
        description="Ratio for 0 to 1, Percent for 0 to 100.",
        json_schema_extra={"maxLength": 7},
    )
    target_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=90, description="Share that has to succeed, in percent."
    )
    window: Annotated[timedelta, Between("1h", "168h")] = Field(
        default=timedelta(hours=24), description="Span of time over which the trend is told."
    )


class Rate(Struct, frozen=True):
    """What one series says, as shares from 0 to 1."""

    name: str
    last: float
    halves: tuple[float, float] | None
    """The mean of the earlier half of the window, and of the later; None where there are too few points."""


def queries(parameters: AutonomousSuccessRateParameters, namespace: str) -> tuple[Query, ...]:
    """The rate over the window; its last point is the rate now."""
    step = timedelta(seconds=max(60, parameters.window.total_seconds() // _STEPS))
    return (Query(filled(parameters.query, namespace), parameters.window, step),)


def judge(snapshot: Snapshot, parameters: AutonomousSuccessRateParameters, now: datetime) -> Verdict:
    """Hold the last rate of each series against the target."""
    (query,) = queries(parameters, snapshot.namespace)
    told = answer(snapshot, query)
    if isinstance(told, Unobserved):
        return unknown(told)
    since = snapshot.sampled_at(SERIES, now)
    fresh = [series for series in told.series if _is_fresh(series, since, query.step)]
    numberless = [series for series in fresh if not math.isfinite(series.last)]
    if not fresh:
        return unknown(
            Unobserved(
                "Stale",
                "The success rate has ended: Prometheus has no recent point of it. See whether Kiro still "
                "exports it, and its target in Prometheus.",
            )
        )
    scale = 1.0 if parameters.unit == "Ratio" else 100.0
    rates = [_rate(series, scale) for series in fresh if math.isfinite(series.last)]
    if not rates:
        text = f"The success rate is no number now: see what the query divides by: {query.words}"
        return unknown(Unobserved("NotANumber", text))
    if not all(_is_share(rate.last) for rate in rates):
        return unknown(
            Unobserved(
                "NotARate",
                f"The query's answer is no {parameters.unit.lower()}: set the parameter unit, or a "
                "query whose answer is the share that succeeds.",
            )
        )
    target = parameters.target_percent / 100
    # Of several series of one name the worst is told.
    by_name = {rate.name: rate for rate in sorted(rates, key=lambda rate: -rate.last)}
    low = [rate for _, rate in sorted(by_name.items()) if rate.last < target - _SLACK]
    missing = partial(told)
    if low:
        worst = min(rate.last for rate in low)
        return found(
            [_finding(rate, since) for rate in low],
            status=proven(missing),
            observed=figure(100 * worst, "%"),
            threshold=f"{parameters.target_percent}%",
        )
    if missing:
        return incomplete(missing)
    if numberless:
        refs = sorted({Ref("Metric", _name(series.labels)) for series in numberless})
        return found([unnumbered(ref, "success rate", since) for ref in refs], status=Status.WARN)
    courses = [rate.halves for rate in rates if rate.halves is not None]
    lowest = (min(one[0] for one in courses), min(one[1] for one in courses)) if courses else None
    return passed(f"Enough autonomous operations succeed{_course(lowest)}.")


def _is_fresh(series: Series, now: datetime, step: timedelta) -> bool:
    return bool(series.points) and now.timestamp() - series.points[-1][0] < 2 * step.total_seconds()


def _rate(series: Series, scale: float) -> Rate:
    values = [value / scale for _, value in series.points]
    return Rate(_name(series.labels), values[-1], halves([value for value in values if _is_share(value)]))


def _is_share(value: float) -> bool:
    return 0 <= value <= 1 + _SLACK


def halves(values: list[float]) -> tuple[float, float] | None:
    """The means of the earlier and of the later half of a course; None where there are too few points."""
    if len(values) < _HALVES:
        return None
    middle = len(values) // 2
    return fmean(values[:middle]), fmean(values[middle:])


def _course(halves_: tuple[float, float] | None) -> str:
    """The trend in figures: a word for it would flip where a course is hardly more than steady."""
    if halves_ is None:
        return ""
    earlier, later = (figure(100 * share, "%") for share in halves_)
    return f" ({earlier} in the earlier half of the window, {later} in the later)"


def _name(labels: Mapping[str, str]) -> str:
    told = next((labels[label] for label in _LABELS if labels.get(label)), "")
    return clip(told or labels.get("__name__", "") or "kiro_autonomous_success_rate", 253)


def _finding(rate: Rate, since: datetime) -> Finding:
    text = (
        f"Autonomous operations of {rate.name} succeed too seldom{_course(rate.halves)}: see autonomous-logs "
        "for what fails, and service-account-permissions and autonomous-scope for what is refused"
    )
    return Finding(Ref("Metric", rate.name), "SuccessRateLow", text, since)


CHECK = Check(
    title="Enough autonomous operations succeed",
    section="autonomous-operations-logs",
    command=SHOWN,
    sources=(SERIES,),
    judge=judge,
    parameters=AutonomousSuccessRateParameters,
    queries=queries,
)
