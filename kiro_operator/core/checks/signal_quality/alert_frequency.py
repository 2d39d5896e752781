"""Alerts and verdicts of our own that come and go, alerts in storms, and those that nobody acts on."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.signal_quality._alerts import (
    FEWEST,
    HISTORY,
    episodes,
    fired,
    first_missing,
    history,
    most_within,
)
from kiro_operator.core.evidence.alerts import ALERTS, Alert, Alerts
from kiro_operator.core.evidence.series import PARTIAL, SERIES, Answer, Query, partial
from kiro_operator.core.findings import clip, earliest, found, some
from kiro_operator.core.promql import PART
from kiro_operator.core.snapshot import Ref, Snapshot, Source
from kiro_operator.core.statistics import wilson
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, too_few, unknown

STEPS = 180
"""Looks at the history over the window."""
_NAMED = 3


class AlertFrequencyParameters(Parameters):
    """Thresholds of alert-frequency."""

    window: Annotated[timedelta, Between("1h", "24h")] = Field(
        default=timedelta(hours=6), description="How far back alerts are looked at."
    )
    max_episodes: Annotated[int, Field(ge=FEWEST - 1, le=60)] = Field(
        default=5, description="Times that one alert, or one check, may begin to fire or fail in the window."
    )
    storm_size: Annotated[int, Field(ge=FEWEST, le=500)] = Field(
        default=20, description="Alerts that begin together and so are a storm."
    )
    storm_within: Annotated[timedelta, Between("1m", "1h")] = Field(
        default=timedelta(minutes=5), description="Time within which the alerts of a storm begin."
    )
    unattended_after: Annotated[timedelta, Between("10m", "168h")] = Field(
        default=timedelta(hours=4), description="Age from which on an alert should be resolved or silenced."
    )
    unattended_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=50, description="Share of the alerts that may be unattended, in percent."
    )
    minimum: Annotated[int, Field(ge=FEWEST, le=100)] = Field(
        default=10, description="Alerts below which no share of them is judged."
    )
    ignored: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=32)] = Field(
        default=["Watchdog", "InfoInhibitor"],
        description="Names of alerts that are meant to fire all the time.",
    )


def queries(parameters: AlertFrequencyParameters, namespace: str) -> Sequence[Query]:
    """The namespace's alerts, each on its own, because one of many may come and go."""
    selected = f'ALERTS{{alertstate="firing",namespace="{namespace}"}}'
    return (history(selected, parameters.window, parameters.window / STEPS),)


def judge(snapshot: Snapshot, parameters: AlertFrequencyParameters, now: datetime) -> Verdict:
    """Judge what Prometheus remembers of alerts, what Alertmanager holds, and our own verdicts.

    What is missing from an answer may be what joins two episodes, or what was attended to: of such an answer
    only that fails which more of it would make worse.
    """
    [query] = queries(parameters, snapshot.namespace)
    past, present = fired(snapshot, query), snapshot.value(ALERTS)
    findings: list[Finding] = []
    in_part = unsure = False
    if isinstance(past, Answer):
        in_part = bool(partial(past))
        findings += [] if in_part else _past(past, snapshot, parameters, now)
    if isinstance(present, Alerts):
        at = snapshot.sampled_at(ALERTS, now)
        counted = [item for item in present.alerts if item.name not in parameters.ignored]
        if not any(item.reason == "AlertStorm" for item in findings):
            findings += _storm([item.since.timestamp() for item in counted], snapshot, parameters, at)
        if present.truncated:
            in_part = True
        else:
            unattended, unsure = _unattended(counted, snapshot, parameters, at)
            findings += unattended
    turned, next_check = _turned(snapshot, parameters, now)
    findings += turned
    if findings:
        return found(findings, next_check=next_check)
    if (missing := first_missing(past, present)) is not None:
        return unknown(missing)
    if in_part:
        text = "There are more alerts than are read, or Prometheus answered in part: see which repeat."
        return Verdict(Status.WARN, PARTIAL, text)
    if unsure:
        return too_few("Many alerts are left alone, but they are too few to tell a habit from chance.")
    return passed("Alerts are few, lasting and attended to.")


def _past(
    past: Answer, snapshot: Snapshot, parameters: AlertFrequencyParameters, now: datetime
) -> list[Finding]:
    since = snapshot.sampled_at(SERIES, now)
    flapping: set[str] = set()
    began: list[float] = []
    for series in past.series:
        name = series.labels.get("alertname", "")
        if series.labels.get(PART) != HISTORY or name in parameters.ignored:
            continue
        stretches = episodes([time for time, _ in series.points], past.query.step)
        began += [begin for begin, _ in stretches]
        if len(stretches) > parameters.max_episodes:
            flapping.add(clip(name, 128))
    window = format_duration(parameters.window)
    findings = [
        Finding(
            Ref("Alert", name),
            "AlertFlapping",
            f"Alert {name} began more than {parameters.max_episodes} times within {window}: give its rule a "
            "longer for, keep_firing_for, or a threshold outside of the metric's normal range",
            since,
        )
        for name in sorted(flapping)
    ]
    start = since.timestamp() - parameters.window.total_seconds() + 1.5 * past.query.step.total_seconds()
    return findings + _storm([time for time in began if time > start], snapshot, parameters, since)


def _storm(
    began: Sequence[float], snapshot: Snapshot, parameters: AlertFrequencyParameters, since: datetime
) -> list[Finding]:
    if most_within(began, parameters.storm_within) < parameters.storm_size:
        return []
    text = (
        f"In namespace {snapshot.namespace} {parameters.storm_size} or more alerts began within "
        f"{format_duration(parameters.storm_within)}: group them by cause, inhibit what follows"
    )
    return [Finding(Ref("Namespace", snapshot.namespace), "AlertStorm", text, since)]


def _unattended(
    counted: Sequence[Alert], snapshot: Snapshot, parameters: AlertFrequencyParameters, at: datetime
) -> tuple[list[Finding], bool]:
    """That alerts are surely left alone too often, or else whether they may be."""
    judged = [item for item in counted if not item.inhibited]
    left = [item for item in judged if not item.silenced and at - item.since >= parameters.unattended_after]
    limit = parameters.unattended_percent / 100
    if len(judged) < parameters.minimum or wilson(len(left), len(judged))[0] <= limit:
        return [], len(left) > limit * len(judged)
    names = sorted({clip(item.name, 128) for item in left})
    text = (
        f"In namespace {snapshot.namespace} too many alerts have been left alone for more than "
        f"{format_duration(parameters.unattended_after)} ({some(names, _NAMED)}): resolve or silence them, "
        "or drop the rules"
    )
    return [Finding(Ref("Namespace", snapshot.namespace), "AlertsUnattended", text, at)], False


def _turned(
    snapshot: Snapshot, parameters: AlertFrequencyParameters, now: datetime
) -> tuple[list[Finding], datetime | None]:
    """Checks of this KiroHealthCheck that fail again and again, and when the first of them calms down."""
    findings: list[Finding] = []
    calm: datetime | None = None
    for check_id, times in sorted(snapshot.own.failed.items()):
        recent = [time for time in times if time > now - parameters.window]
        if len(recent) <= parameters.max_episodes:
            continue
        text = (
            f"Check {check_id} began to fail more than {parameters.max_episodes} times within "
            f"{format_duration(parameters.window)}: mend what comes back each time, or raise its threshold, "
            "failAfter or failureThreshold"
        )
        ref = Ref("Check", check_id)
        findings.append(Finding(ref, "VerdictFlapping", text, min(recent[-1], now), at_once=True))
        calm = earliest(calm, recent[-1 - parameters.max_episodes] + parameters.window)
    return findings, calm


CHECK = Check(
    title="Alerts are few, lasting and attended to",
    section="signal-quality-alerts",
    command="amtool alert query 'namespace=\"{namespace}\"' --alertmanager.url={alertmanager}; "
    "promtool query instant {prometheus} 'ALERTS{{namespace=\"{namespace}\"}}'",
    sources=(SERIES, ALERTS, Source.VERDICTS),
    judge=judge,
    parameters=AlertFrequencyParameters,
    queries=queries,
    interval=timedelta(minutes=5),
    failure_threshold=1,
    success_threshold=1,
)
