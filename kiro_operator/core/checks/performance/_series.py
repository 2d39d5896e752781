"""What the checks of one metric share: a threshold, and the metric's own history."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial as bound
from typing import Annotated, ClassVar, Self

from msgspec import Struct
from pydantic import Field, model_validator

from kiro_operator.core.baseline import Baseline, baseline, degraded, present_and_past
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import SERIES, SHOWN, Answer, Query, answer, partial
from kiro_operator.core.findings import clip, found
from kiro_operator.core.partial import incomplete, proven, unnumbered
from kiro_operator.core.promql import PART, USUAL, filled, with_usual, worst
from kiro_operator.core.quiet import figure
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
        default=7, description="Previous days whose values in this hour of the clock make up the usual value."
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
        command=SHOWN,
        sources=(SERIES,),
        judge=bound(judge, measure),
        parameters=parameters,
        queries=bound(queries, measure),
        interval=INTERVAL,
    )


def queries(measure: Measure, parameters: SeriesParameters, namespace: str) -> tuple[Query, ...]:
    """The present values that matter most, and what they were in this hour of previous days, in one."""
    expression, lowest = filled(parameters.query, namespace), measure.lower_is_worse
    if not parameters.degradation_percent:
        return (Query(worst(expression, lowest=lowest), told=expression),)
    asked = with_usual(expression, lowest=lowest)
    return (Query(asked, parameters.baseline_days * _DAY, _DAY, expression),)


def judge(measure: Measure, snapshot: Snapshot, parameters: SeriesParameters, now: datetime) -> Verdict:
    """Judge each series of the answer, first by the threshold, then by its own history."""
    [query] = queries(measure, parameters, snapshot.namespace)
    told = answer(snapshot, query)
    if isinstance(told, Unobserved):
        return unknown(advised(told))
    readings, numberless = _readings(told, snapshot, parameters, measure)
    if not readings:
        return unknown(_nothing(query, numberless))
    since = snapshot.sampled_at(SERIES, now)
    over = [item for item in readings if _is_over(item, measure, parameters)]
    known = {item.object for item in over}
    worse = [item for item in readings if item.object not in known and _is_worse(item, measure, parameters)]
    missing = partial(told)
    if over or worse:
        findings = _over(over, measure, parameters, since) + _worse(worse, measure, parameters, since)
        values = [item.value for item in over or worse[:1]]
        return found(
            findings,
            status=proven(missing),
            observed=figure(min(values) if measure.lower_is_worse else max(values), measure.unit),
            threshold=_threshold(measure, parameters) if over else _limit(worse[0], measure, parameters),
        )
    if missing:
        return incomplete(missing)
    if numberless:
        return found([unnumbered(ref, measure.noun, since) for ref in numberless], status=Status.WARN)
    return _within(readings, measure, parameters)


def _within(readings: Sequence[Reading], measure: Measure, parameters: SeriesParameters) -> Verdict:
    """All are within the threshold; whether they are as usual is said only where it was looked at."""
    within = f"The {measure.noun} is within its threshold"
    if not parameters.degradation_percent:
        return passed(f"{within}.")
    days = parameters.baseline_days
    compared = sum(item.usual is not None for item in readings)
    if not compared:
        return unknown(
            Unobserved(
                "NoBaseline",
                f"{within}, but it has no values in this hour of the day on {parameters.min_baseline_days} "
                f"of the last {days} days to be held against.",
            )
        )
    others = "" if compared == len(readings) else " What is new was not compared."
    return passed(f"{within} and as usual in this hour, by up to {days} days.{others}")


def advised(cause: Unobserved) -> Unobserved:
    """The same, with what to do about a metric that is not there."""
    if cause.reason != "NoData":
        return cause
    return Unobserved(cause.reason, clip(f"{cause.message}: {RECORDED}", 1000))


def about(labels: Mapping[str, str], namespace: str) -> tuple[Ref, str]:
    """What a series is about, and which part of it."""
    kind, label = next(((kind, key) for key, kind in _KINDS if labels.get(key)), ("Namespace", ""))
    name = _plain(labels[label]) if label else namespace
    detail = ", ".join(_plain(labels[key]) for key in _DETAILS if labels.get(key))
    return Ref(kind, name), f" ({detail})" if detail else ""


def named(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """Labels without the metric's name, which functions take away, and without the part of the answer."""
    return frozenset((key, value) for key, value in labels.items() if key not in {"__name__", PART})


def _readings(
    told: Answer, snapshot: Snapshot, parameters: SeriesParameters, measure: Measure
) -> tuple[list[Reading], list[Ref]]:
    """What has a present value, one reading an object and detail, and what has one that is no number."""
    sample = snapshot.sample(SERIES)
    at = sample.time.timestamp() if sample else 0.0
    past = {
        named(series.labels): present_and_past(series.points, at)[1]
        for series in told.series
        if series.labels.get(PART) == USUAL
    }
    readings: dict[tuple[Ref, str], Reading] = {}
    numberless: set[Ref] = set()
    for series in told.series:
        present, _ = present_and_past(series.points, at)
        if present is None or series.labels.get(PART) == USUAL:
            continue
        ref, detail = about(series.labels, snapshot.namespace)
        value = present * measure.scale
        if not math.isfinite(value):
            numberless.add(ref)
            continue
        values = (item * measure.scale for item in past.get(named(series.labels), ()))
        usual = baseline(values, parameters.min_baseline_days)
        reading = Reading(ref, detail, value, usual)
        other = readings.get((ref, detail))
        if other is None or (reading.value < other.value) == measure.lower_is_worse:
            readings[ref, detail] = reading
    return [readings[key] for key in sorted(readings)], sorted(numberless)


def _nothing(query: Query, numberless: Sequence[Ref]) -> Unobserved:
    """Why there is no reading."""
    if numberless:
        return Unobserved("NotANumber", f"the present value is no number, of: {query.words}")
    return advised(Unobserved("NoData", f"there is no present value of: {query.words}"))


def _is_over(item: Reading, measure: Measure, parameters: SeriesParameters) -> bool:
    limit = parameters.threshold
    return item.value < limit if measure.lower_is_worse else item.value > limit


def _is_worse(item: Reading, measure: Measure, parameters: SeriesParameters) -> bool:
    percent, lower = parameters.degradation_percent, measure.lower_is_worse
    if not percent or item.usual is None:
        return False
    counts = item.usual.usual if lower else item.value
    return counts >= parameters.floor and degraded(item.value, item.usual, percent, lower_is_worse=lower)


def _threshold(measure: Measure, parameters: SeriesParameters) -> str:
    return f"{parameters.threshold}{measure.unit}"


def _limit(item: Reading, measure: Measure, parameters: SeriesParameters) -> str:
    """How far from its usual value something may be."""
    return f"{parameters.degradation_percent}% {_way(measure)} what is usual, {_usual(item, measure)}"


def _usual(item: Reading, measure: Measure) -> str:
    return figure(item.usual.usual if item.usual else 0.0, measure.unit)


def _way(measure: Measure) -> str:
    return "below" if measure.lower_is_worse else "above"


def _over(
    readings: Iterable[Reading], measure: Measure, parameters: SeriesParameters, since: datetime
) -> list[Finding]:
    text = f"its {measure.noun} is {_way(measure)} {_threshold(measure, parameters)}: {measure.advice}"
    return [_finding(measure.reason, items, text, since) for items in _by_object(readings)]


def _worse(
    readings: Iterable[Reading], measure: Measure, parameters: SeriesParameters, since: datetime
) -> list[Finding]:
    findings: list[Finding] = []
    for items in _by_object(readings):
        days = items[0].usual.days if items[0].usual else 0
        text = (
            f"its {measure.noun} is more than {parameters.degradation_percent}% {_way(measure)} what is "
            f"usual, {_usual(items[0], measure)}, the median of this hour of the clock on {days} "
            f"earlier day{'s' * (days != 1)}: {measure.advice}"
        )
        findings.append(_finding("Degraded", items, text, since))
    return findings


def _by_object(readings: Iterable[Reading]) -> Iterable[list[Reading]]:
    """The readings of each object, in the order that they come in."""
    grouped: dict[Ref, list[Reading]] = {}
    for item in readings:
        grouped.setdefault(item.object, []).append(item)
    return grouped.values()


def _finding(reason: str, items: list[Reading], text: str, since: datetime) -> Finding:
    ref, details = items[0].object, "".join(item.detail for item in items[:3])
    return Finding(ref, reason, f"{ref.kind} {ref.name}{details}: {text}", since)


def _plain(text: str) -> str:
    return clip("".join(c if c.isprintable() else "?" for c in text), _NAME)
