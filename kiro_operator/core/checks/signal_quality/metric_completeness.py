"""Whether expected series are there, go on, and have no gaps."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.series import SERIES, Query, answer, partial
from kiro_operator.core.findings import clip, found
from kiro_operator.core.partial import incomplete, proven
from kiro_operator.core.promql import PART, filled, union
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

DOCUMENTED = (
    "kiro_autonomous_success_rate",
    'container_memory_usage_bytes{namespace="$namespace"}',
    "node_cpu_utilization",
)
"""What the procedures look at. What was never there in a window is not asked for."""
STEP = timedelta(minutes=5)
_ANY = "any"


class MetricCompletenessParameters(Parameters):
    """Thresholds of metric-completeness."""

    expected: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=16)] = (
        Field(
            default=[],
            description="Series that must be there, as selectors; [] for the documented ones that ever were.",
        )
    )
    window: Annotated[timedelta, Between("1h", "48h")] = Field(
        default=timedelta(hours=6), description="How far back gaps are looked for."
    )
    max_gap: Annotated[timedelta, Between("5m", "24h")] = Field(
        default=timedelta(minutes=15), description="Longest time for which a series may be absent."
    )

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        if self.max_gap >= self.window:
            raise ValueError("maxGap must be shorter than window: no longer gap could be seen in it")
        return self


def queries(parameters: MetricCompletenessParameters, namespace: str) -> Sequence[Query]:
    """How many series there were of each kind, all along; and whether Prometheus has any target."""
    parts = {
        str(number): f"count({selector})" for number, selector in enumerate(_selectors(parameters, namespace))
    }
    return (Query(union({_ANY: "count(up)", **parts}), parameters.window, STEP),)


def judge(snapshot: Snapshot, parameters: MetricCompletenessParameters, now: datetime) -> Verdict:
    """Judge each expected selector."""
    [query] = queries(parameters, snapshot.namespace)
    told = answer(snapshot, query)
    if isinstance(told, Unobserved):
        return unknown(told)
    end = snapshot.sampled_at(SERIES, now)
    times = {series.labels.get(PART, ""): [time for time, _ in series.points] for series in told.series}
    missing = partial(told)
    findings = list(_findings(snapshot.namespace, parameters, times, end))
    if findings:
        # A store that is down looks like a series that is not there.
        return found(findings, status=proven(missing))
    if set(times) <= {_ANY} and not missing:
        return unknown(
            Unobserved("NoData", "Prometheus has none of the documented series: set the parameter expected.")
        )
    if missing:
        return incomplete(missing)
    return passed("Every expected series is there, without gaps.")


def _findings(
    namespace: str,
    parameters: MetricCompletenessParameters,
    times: Mapping[str, Sequence[float]],
    end: datetime,
) -> Iterator[Finding]:
    longest = format_duration(parameters.max_gap)
    told = {
        "SeriesAbsent": "is expected and is not there: deploy its exporter, or take it out of expected",
        "SeriesEnded": f"has ended more than {longest} ago: see whether its target is still scraped",
        "SeriesGaps": f"has gaps of more than {longest}: see whether its target is scraped all the time",
    }
    for number, selector in enumerate(_selectors(parameters, namespace)):
        reason = _fault(times.get(str(number), ()), parameters, end)
        if reason is not None:
            name = clip(selector, 200)
            yield Finding(Ref("Series", name), reason, f"Series {name} {told[reason]}", end)


def _fault(seen: Sequence[float], parameters: MetricCompletenessParameters, end: datetime) -> str | None:
    if not seen:
        return "SeriesAbsent" if parameters.expected else None
    longest = (parameters.max_gap + STEP).total_seconds()
    if end.timestamp() - seen[-1] > longest:
        return "SeriesEnded"
    return "SeriesGaps" if any(after - before > longest for before, after in pairwise(seen)) else None


def _selectors(parameters: MetricCompletenessParameters, namespace: str) -> list[str]:
    return [filled(selector, namespace) for selector in parameters.expected or DOCUMENTED]


CHECK = Check(
    title="Expected metrics are there",
    section="signal-quality-data",
    command="promtool query instant {prometheus} 'count by (__name__) ({{namespace=\"{namespace}\"}})'",
    sources=(SERIES,),
    judge=judge,
    parameters=MetricCompletenessParameters,
    queries=queries,
)
