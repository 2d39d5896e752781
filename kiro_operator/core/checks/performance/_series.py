"""What the checks of one metric share: a threshold, and the metric's own history."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial as bound
from typing import Annotated, ClassVar, Self

from msgspec import Struct
from pydantic import Field, model_validator

from kiro_operator.core.baseline import Baseline, baseline, degraded, present_and_past
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import SERIES, Answer, Query, answer, partial
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

INTERVAL = timedelta(minutes=1)
"""What one scrape interval does not change is not asked more often."""
SLOW = timedelta(minutes=5)
"""For what takes hours to change."""
RECORDED = "set the parameter query, or have Prometheus load deploy/monitoring/recording-rules.yaml"
Expression = Annotated[str, Field(min_length=1, max_length=1024)]

_DAY = timedelta(days=1)
_KINDS = (
    # The first of these labels that a series has says what it is about: the nearest thing first.
    ("persistentvolumeclaim", "PersistentVolumeClaim"),
    ("resourcequota", "ResourceQuota"),
    ("horizontalpodautoscaler", "HorizontalPodAutoscaler"),
    ("pod", "Pod"),
    ("container", "Container"),
    ("datname", "Database"),
    ("service", "Service"),
    ("node", "Node"),
    ("nodename", "Node"),
    ("instance", "Instance"),
)
_DETAILS = ("mountpoint", "device", "resource")
_NAME = 200


class SeriesParameters(Parameters):
    """What every check of one metric lets be set; ``query``, ``threshold`` and ``floor`` are its own."""

    falls: ClassVar[bool] = False
    """Whether less of it is worse, so that ``floor`` is about what is usual and not about the present."""
    query: Expression
    threshold: Annotated[int, Field(ge=0, le=1_000_000_000)]
    degradation_percent: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=50,
        description="Change for the worse against the usual value, in percent, that is too much; 0: none is.",
    )
    floor: Annotated[int, Field(ge=0, le=1_000_000_000)]
    baseline_days: Annotated[int, Field(ge=1, le=30)] = Field(
        default=7, description="Previous days whose values at this time of day make up the usual value."
    )
    min_baseline_days: Annotated[int, Field(ge=1, le=30)] = Field(
        default=3, description="Days that have to have a value before anything counts as usual."
    )

    @model_validator(mode="after")
    def _enough_days(self) -> Self:
        if self.min_baseline_days > self.baseline_days:
            raise ValueError("minBaselineDays must not be above baselineDays: no more days are looked at")
        return self

    def shadowed(self) -> str:
        """A floor above the threshold leaves degradation nothing to find."""
        if self.falls or not self.degradation_percent or self.floor < self.threshold:
            return ""
        return (
            f"degradationPercent never decides: from floor {self.floor} on, threshold {self.threshold} does"
        )


class Measure(Struct, frozen=True, kw_only=True):
    """What a metric stands for."""

    noun: str
    """As it is told, such as CPU use."""
    reason: str
    """Of a threshold that is passed."""
    advice: str
    unit: str = "%"
    scale: float = 100.0
    """What a value of the query is multiplied by to be in the threshold's unit."""
    lower_is_worse: bool = False


class Reading(Struct, frozen=True):
    """One thing's present value, in the threshold's unit, and what is usual for it."""

    object: Ref
    detail: str
    value: float
    usual: Baseline | None


def measured(measure: Measure, parameters: type[SeriesParameters], *, title: str, section: str) -> Check:
    """The check of one metric."""
    return Check(
        title=title,
        section=section,
        command=shown(parameters.model_fields["query"].default),
        sources=(SERIES,),
        judge=bound(judge, measure),
        parameters=parameters,
        queries=queries,
        interval=INTERVAL,
    )


def queries(parameters: SeriesParameters, namespace: str) -> tuple[Query, ...]:
    """The present value and those of the same time on previous days, in one."""
    expression = filled(parameters.query, namespace)
    if not parameters.degradation_percent:
        return (Query(expression),)
    return (Query(expression, parameters.baseline_days * _DAY, _DAY),)


def filled(expression: str, namespace: str) -> str:
    """A query with the namespace of the KiroHealthCheck in it."""
    return expression.replace("$namespace", namespace)


def shown(expression: str) -> str:
    """The command that shows a person the answer to a query."""
    escaped = expression.replace("{", "{{").replace("}", "}}").replace("$namespace", "{namespace}")
    return f"promtool query instant http://prometheus:9090 '{escaped}'"


def judge(measure: Measure, snapshot: Snapshot, parameters: SeriesParameters, now: datetime) -> Verdict:
    """Judge each series of the answer, first by the threshold, then by its own history."""
    [query] = queries(parameters, snapshot.namespace)
    told = answer(snapshot, query)
    if isinstance(told, Unobserved):
        return unknown(advised(told))
    readings = _readings(told, snapshot, parameters, measure)
    if isinstance(readings, Unobserved):
        return unknown(readings)
    since = snapshot.sampled_at(SERIES, now)
    findings = _over(readings, measure, parameters, since)
    worse = _worse(readings, measure, parameters, since, {finding.object for finding in findings})
    missing = partial(told)
    if findings or worse:
        values = [item.value for item in readings]
        worst = min(values) if measure.lower_is_worse else max(values)
        return found(
            findings + worse,
            status=Status.WARN if missing else Status.FAIL,
            observed=f"{coarse(worst):g}{measure.unit}",
            threshold=f"{parameters.threshold}{measure.unit}" if parameters.threshold else None,
        )
    if missing:
        return incomplete(missing)
    if parameters.degradation_percent and all(item.usual is None for item in readings):
        return unknown(
            Unobserved(
                "NoBaseline",
                f"The {measure.noun} is within its threshold, but it has no values at this time of day on "
                f"{_least(parameters)} of the last {parameters.baseline_days} days to be held against.",
            )
        )
    return passed(f"The {measure.noun} is within its threshold and as usual.")


def advised(cause: Unobserved) -> Unobserved:
    """The same, with what to do about a metric that is not there."""
    if cause.reason != "NoData":
        return cause
    return Unobserved(cause.reason, clip(f"{cause.message}: {RECORDED}", 1000))


def incomplete(missing: tuple[str, ...]) -> Verdict:
    """What there is passes, and something is missing from it."""
    text = f"Prometheus says that its answer is not complete: {'; '.join(missing)}"
    return Verdict(Status.WARN, "PartialResponse", clip(text, 1000))


def about(labels: Mapping[str, str], namespace: str) -> tuple[Ref, str]:
    """What a series is about, and which part of it."""
    kind, label = next(((kind, key) for key, kind in _KINDS if labels.get(key)), ("Namespace", ""))
    name = _plain(labels[label]) if label else namespace
    detail = ", ".join(_plain(labels[key]) for key in _DETAILS if labels.get(key))
    return Ref(kind, name), f" ({detail})" if detail else ""


def coarse(value: float) -> float:
    """Rounded down so that the status stays quiet: to 5 below 100, else in steps such as 100, 150, 200."""
    if value < 100:
        return 5.0 * math.floor(value / 5) if value >= 5 else float(math.floor(value))
    size = 10.0 ** math.floor(math.log10(value)) / 2
    return size * math.floor(value / size)


def _readings(
    told: Answer, snapshot: Snapshot, parameters: SeriesParameters, measure: Measure
) -> list[Reading] | Unobserved:
    """What has a present value, one reading an object and detail; Unobserved when nothing has."""
    sample = snapshot.sample(SERIES)
    at = sample.time.timestamp() if sample else 0.0
    readings: dict[tuple[Ref, str], Reading] = {}
    ended = True
    for series in told.series:
        present, past = present_and_past(series.points, at)
        ended = ended and present is None
        if present is None or not math.isfinite(present * measure.scale):
            continue
        ref, detail = about(series.labels, snapshot.namespace)
        usual = baseline((value * measure.scale for value in past), _least(parameters))
        reading = Reading(ref, detail, present * measure.scale, usual)
        other = readings.get((ref, detail))
        if other is None or (reading.value < other.value) == measure.lower_is_worse:
            readings[ref, detail] = reading
    if readings:
        return [readings[key] for key in sorted(readings)]
    if ended:
        return Unobserved("NoData", f"{told.query.expr} has no present value, only old ones: {RECORDED}")
    return Unobserved("NotANumber", f"the present value is no number, of: {told.query.expr}")


def _least(parameters: SeriesParameters) -> int:
    return min(parameters.min_baseline_days, parameters.baseline_days)


def _over(
    readings: list[Reading], measure: Measure, parameters: SeriesParameters, since: datetime
) -> list[Finding]:
    limit, way = parameters.threshold, "below" if measure.lower_is_worse else "above"
    bad: dict[Ref, list[str]] = {}
    for item in readings:
        if (item.value < limit) if measure.lower_is_worse else (item.value > limit):
            bad.setdefault(item.object, []).append(item.detail)
    text = f"its {measure.noun} is {way} {limit}{measure.unit}: {measure.advice}"
    return [_finding(ref, measure.reason, details, text, since) for ref, details in bad.items()]


def _worse(
    readings: list[Reading],
    measure: Measure,
    parameters: SeriesParameters,
    since: datetime,
    known: set[Ref],
) -> list[Finding]:
    percent, worse = parameters.degradation_percent, measure.lower_is_worse
    bad: dict[Ref, list[str]] = {}
    for item in readings:
        if not percent or item.usual is None or item.object in known:
            continue
        counts = item.usual.usual if worse else item.value
        if counts >= parameters.floor and degraded(item.value, item.usual, percent, lower_is_worse=worse):
            bad.setdefault(item.object, []).append(item.detail)
    text = (
        f"its {measure.noun} is more than {percent}% {'below' if worse else 'above'} what is usual, the "
        f"median of this time of day over the last {parameters.baseline_days} days: {measure.advice}"
    )
    return [_finding(ref, "Degraded", details, text, since) for ref, details in bad.items()]


def _finding(ref: Ref, reason: str, details: list[str], text: str, since: datetime) -> Finding:
    return Finding(ref, reason, f"{ref.kind} {ref.name}{''.join(details[:3])}: {text}", since)


def _plain(text: str) -> str:
    return clip("".join(c if c.isprintable() else "?" for c in text), _NAME)
