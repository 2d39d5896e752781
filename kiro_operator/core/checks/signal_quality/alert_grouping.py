"""Alerts that say the same thing apart: never grouped, or not inhibited by what causes them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.signal_quality._alerts import (
    HISTORY,
    episodes,
    fired,
    first_missing,
    history,
    most_within,
)
from kiro_operator.core.evidence.alerts import ALERTS, Alert, Alerts
from kiro_operator.core.evidence.series import SERIES, Answer, Query, partial
from kiro_operator.core.findings import clip, found
from kiro_operator.core.promql import PART
from kiro_operator.core.snapshot import Ref, Snapshot
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

STEP = timedelta(minutes=5)
LARGEST = 100
"""Alert names of which the pairs are compared."""
_NAMED = 4
_LATE = timedelta(minutes=2)
"""How much later than what follows from it a cause may be told."""


class AlertGroupingParameters(Parameters):
    """Thresholds of alert-grouping."""

    causes: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=32)] = Field(
        default=["KubeNodeNotReady", "KubeNodeUnreachable", "NodeDown"],
        description="Names of alerts that explain others with the same value of the label equal.",
    )
    equal: Annotated[str, Field(min_length=1, max_length=63, pattern="^[a-zA-Z_][a-zA-Z0-9_]*$")] = Field(
        default="node", description="Label that a cause and what follows from it have in common."
    )
    min_children: Annotated[int, Field(ge=1, le=100)] = Field(
        default=2,
        description="Alerts that follow from one cause and are not inhibited, from which on it fails.",
    )
    min_groups: Annotated[int, Field(ge=3, le=100)] = Field(
        default=5, description="Groups of one receiver that begin together, from which on it fails."
    )
    within: Annotated[timedelta, Between("10s", "30m")] = Field(
        default=timedelta(minutes=2), description="Time within which groups that begin together begin."
    )
    window: Annotated[timedelta, Between("6h", "168h")] = Field(
        default=timedelta(hours=24),
        description="How far back alerts that always fire together are looked for.",
    )
    min_episodes: Annotated[int, Field(ge=2, le=100)] = Field(
        default=3, description="Times that alerts have to have fired together to do so always."
    )
    overlap_percent: Annotated[int, Field(ge=50, le=100)] = Field(
        default=90, description="Share of the time in which either fires that both do, in percent."
    )


def queries(parameters: AlertGroupingParameters, namespace: str) -> Sequence[Query]:
    """When alerts of each name fired in the namespace."""
    selected = f'max by (alertname) (ALERTS{{alertstate="firing",namespace="{namespace}"}})'
    return (history(selected, parameters.window, STEP),)


def judge(snapshot: Snapshot, parameters: AlertGroupingParameters, now: datetime) -> Verdict:
    """Judge the groups that are there now, and the history for alerts that belong together."""
    [query] = queries(parameters, snapshot.namespace)
    past, present = fired(snapshot, query), snapshot.value(ALERTS)
    findings: list[Finding] = []
    if isinstance(present, Alerts):
        at = snapshot.sampled_at(ALERTS, now)
        findings += _children(present.alerts, parameters, at)
        findings += _groups(present, parameters, at)
    if isinstance(past, Answer):
        findings += _always(
            past, present if isinstance(present, Alerts) else Alerts(), snapshot, parameters, now
        )
    if findings:
        return found(findings)
    if (missing := first_missing(past, present)) is not None:
        return unknown(missing)
    if (isinstance(present, Alerts) and present.truncated) or (isinstance(past, Answer) and partial(past)):
        return Verdict(Status.WARN, "PartialAnswer", "There are more alerts than are read: see which repeat.")
    return passed("Alerts that belong together are told together.")


def _children(present: Iterable[Alert], parameters: AlertGroupingParameters, at: datetime) -> list[Finding]:
    """Causes beside which what follows from them is told as well."""
    loud = [item for item in present if not item.silenced and not item.inhibited]
    causes: dict[tuple[str, str], datetime] = {}
    for item in loud:
        where = item.labels.get(parameters.equal)
        if where and item.name in parameters.causes:
            key = clip(item.name, 128), where
            causes[key] = min(item.since, causes.get(key, item.since))
    findings: list[Finding] = []
    for (name, where), since in sorted(causes.items()):
        children = [
            item
            for item in loud
            if item.labels.get(parameters.equal) == where
            and item.name not in parameters.causes
            and item.since >= since - _LATE
        ]
        if len(children) >= parameters.min_children:
            text = (
                f"Alert {name} of {parameters.equal} {where} does not inhibit what follows from it "
                f"({_some(item.name for item in children)}): inhibit it with equal: [{parameters.equal}]"
            )
            findings.append(Finding(Ref("Alert", name), "ChildrenNotInhibited", text, min(since, at)))
    return findings


def _groups(present: Alerts, parameters: AlertGroupingParameters, at: datetime) -> list[Finding]:
    """Receivers that get many groups at once."""
    began = {item.fingerprint: item.since for item in present.alerts if not (item.silenced or item.inhibited)}
    starts: dict[str, list[float]] = {}
    for group in present.groups:
        times = [began[name].timestamp() for name in group.alerts if name in began]
        if times:
            starts.setdefault(group.receiver, []).append(min(times))
    return [
        Finding(
            Ref("Receiver", receiver),
            "GroupsFireTogether",
            f"Receiver {receiver} gets {parameters.min_groups} or more groups that began within "
            f"{format_duration(parameters.within)}: group_by what they have in common",
            at,
        )
        for receiver, times in sorted(starts.items())
        if most_within(times, parameters.within) >= parameters.min_groups
    ]


def _always(
    past: Answer, present: Alerts, snapshot: Snapshot, parameters: AlertGroupingParameters, now: datetime
) -> list[Finding]:
    """Alerts that never fire without each other, unless they are told in one group."""
    seen: dict[str, frozenset[float]] = {}
    for series in past.series:
        times = [time for time, _ in series.points]
        repeated = len(episodes(times, past.query.step)) >= parameters.min_episodes
        if series.labels.get(PART) == HISTORY and repeated:
            seen[clip(series.labels.get("alertname", ""), 128)] = frozenset(times)
    together = [
        names for names in _clusters(seen, parameters.overlap_percent) if not _grouped(names, present)
    ]
    return [
        Finding(
            Ref("Alert", names[0]),
            "AlwaysTogether",
            f"Alert {names[0]} always fires together with {_some(names[1:])}: "
            "group them, inhibit what follows from the other, or keep one",
            snapshot.sampled_at(SERIES, now),
        )
        for names in together
    ]


def _clusters(seen: Mapping[str, frozenset[float]], percent: int) -> list[list[str]]:
    """Names whose times overlap, directly or by way of others; by their first name."""
    head = {name: name for name in sorted(seen)[:LARGEST]}
    for one, other in combinations(head, 2):
        both, either = len(seen[one] & seen[other]), len(seen[one] | seen[other])
        if 100 * both >= percent * either and head[one] != head[other]:
            old, new = head[other], head[one]
            head = {name: new if at == old else at for name, at in head.items()}
    clusters: dict[str, list[str]] = {}
    for name, at in head.items():
        clusters.setdefault(at, []).append(name)
    return sorted(names for names in clusters.values() if len(names) > 1)


def _grouped(names: Sequence[str], present: Alerts) -> bool:
    """Whether one group that is there now holds alerts of all these names."""
    by_fingerprint = {item.fingerprint: item.name for item in present.alerts}
    return any(
        set(names) <= {by_fingerprint.get(name, "") for name in group.alerts} for group in present.groups
    )


def _some(names: Iterable[str]) -> str:
    ordered = sorted({clip(name, 128) for name in names})
    return ", ".join(ordered[:_NAMED]) + (" and others" if len(ordered) > _NAMED else "")


CHECK = Check(
    title="Alerts that belong together are told together",
    section="signal-quality-alerts",
    command="amtool alert query --alertmanager.url={alertmanager} -o json; "
    "promtool query instant {prometheus} 'ALERTS{{namespace=\"{namespace}\"}}'",
    sources=(ALERTS, SERIES),
    judge=judge,
    parameters=AlertGroupingParameters,
    queries=queries,
    interval=timedelta(minutes=5),
    failure_threshold=1,
    success_threshold=1,
)
