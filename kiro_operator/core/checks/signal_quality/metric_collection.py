"""Whether targets are scraped: ``up``, how long scrapes take and what they yield."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import SERIES, Answer, Query, Series, answer
from kiro_operator.core.findings import found
from kiro_operator.core.partial import incomplete, lacking, proven
from kiro_operator.core.promql import PART, WORST, filled, union
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

_REASONS = ("TargetDown", "TargetSlow", "TargetEmpty")
_REJECTED = "prometheus_target_scrapes_{}_total"
_CAUSES = (
    "exceeded_sample_limit",
    "sample_duplicate_timestamp",
    "sample_out_of_order",
    "sample_out_of_bounds",
)


class MetricCollectionParameters(Parameters):
    """Thresholds of metric-collection."""

    targets: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        default='namespace="$namespace"',
        description="Label matchers of the targets that count; $namespace is the KiroHealthCheck's.",
    )
    window: Annotated[timedelta, Between("2m", "24h")] = Field(
        default=timedelta(minutes=15), description="Time over which scrapes are averaged."
    )
    up_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=90, description="Share of a target's scrapes, in percent, that have to succeed."
    )
    max_seconds: Annotated[int, Field(ge=1, le=300)] = Field(
        default=5, description="Seconds that a scrape may take on average."
    )


def queries(parameters: MetricCollectionParameters, namespace: str) -> Sequence[Query]:
    """The targets that do worst, and what Prometheus has thrown away."""
    targets = f"{{{filled(parameters.targets, namespace)}}}"
    over = f"[{format_duration(parameters.window)}]"
    scraped = {
        "up": f"bottomk({WORST}, avg_over_time(up{targets}{over}))",
        "seconds": f"topk({WORST}, avg_over_time(scrape_duration_seconds{targets}{over}))",
        "samples": f"bottomk({WORST}, max_over_time(scrape_samples_scraped{targets}{over}))",
    }
    rejected = {cause: f"sum(increase({_REJECTED.format(cause)}{over})) > 0" for cause in _CAUSES}
    return Query(union(scraped)), Query(union(rejected))


def judge(snapshot: Snapshot, parameters: MetricCollectionParameters, now: datetime) -> Verdict:
    """Judge each target; what was thrown away is a warning, because it is told of no target."""
    targets, rejected = queries(parameters, snapshot.namespace)
    told = answer(snapshot, targets)
    if isinstance(told, Unobserved):
        return unknown(told)
    parts = {name: [item for item in told.series if item.labels.get(PART) == name] for name in _PARTS}
    if not parts["up"]:
        return unknown(Unobserved("NoTargets", f"Prometheus scrapes no target with {parameters.targets}."))
    since = snapshot.sampled_at(SERIES, now)
    down = {_target(item) for item in parts["up"] if item.last < parameters.up_percent / 100}
    slow = {_target(item) for item in parts["seconds"] if item.last > parameters.max_seconds} - down
    empty = {_target(item) for item in parts["samples"] if item.last == 0} - down - slow
    findings = [
        Finding(Ref("Target", name), reason, f"Target {name} {_text(reason, parameters)}", since)
        for reason, names in zip(_REASONS, (down, slow, empty), strict=True)
        for name in sorted(names)
    ]
    thrown = answer(snapshot, rejected)
    if findings:
        return found(findings, status=proven(lacking(told)))
    if lost := _lost(thrown, since):
        return found(lost, status=Status.WARN)
    if missing := lacking(told, thrown):
        return incomplete(missing)
    return passed("Every target is scraped in time.")


_PARTS = ("up", "seconds", "samples")


def _text(reason: str, parameters: MetricCollectionParameters) -> str:
    match reason:
        case "TargetDown":
            return "is down or fails too many scrapes: see its last error on Prometheus' page of targets"
        case "TargetSlow":
            return (
                f"takes more than {parameters.max_seconds} s for a scrape: "
                "expose fewer series, or scrape it less often"
            )
        case _:
            return "is up and shows no metric at all: see what its /metrics answers"


def _target(series: Series) -> str:
    labels = series.labels
    return f"{labels.get('job', '')}/{labels.get('pod') or labels.get('instance', '')}"[:200]


def _lost(told: Answer | Unobserved, since: datetime) -> list[Finding]:
    if isinstance(told, Unobserved):
        return []  # a Prometheus that does not scrape itself; nothing is thrown away silently by that
    causes: Iterable[str] = {item.labels.get(PART, "") for item in told.series if item.last > 0}
    return [
        Finding(
            Ref("Prometheus", "prometheus"),
            "SamplesRejected",
            f"prometheus throws samples away ({cause.replace('_', ' ')}): see its log for the target",
            since,
        )
        for cause in sorted(causes)
    ]


CHECK = Check(
    title="Metrics are collected",
    section="signal-quality-data",
    command="promtool query instant {prometheus} 'up{{namespace=\"{namespace}\"}} == 0'",
    sources=(SERIES,),
    judge=judge,
    parameters=MetricCollectionParameters,
    queries=queries,
)
