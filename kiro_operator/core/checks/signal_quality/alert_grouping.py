"""Alerts that say the same thing apart: never grouped, or not inhibited by what causes them."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import combinations
from typing import Annotated, Self

from pydantic import Field, model_validator

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
from kiro_operator.core.findings import clip, found, some
from kiro_operator.core.promql import PART
from kiro_operator.core.snapshot import NOT_CONFIGURED, Ref, Snapshot, Unobserved
from kiro_operator.core.statistics import wilson
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

STEP = timedelta(minutes=5)
LARGEST = 100
"""Alert names of which the pairs are compared."""
_NAMED = 4
_HALF = 0.5
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
    min_children: Annotated[int, Field(ge=FEWEST - 1, le=100)] = Field(
        default=4,
        description="Alerts that follow from one cause and are not inhibited, from which on it fails.",
    )
    min_groups: Annotated[int, Field(ge=FEWEST, le=100)] = Field(
        default=5, description="Groups of one receiver that begin together, from which on it fails."
    )
    within: Annotated[timedelta, Between("10s", "30m")] = Field(
        default=timedelta(minutes=2), description="Time within which groups that begin together begin."
    )
    window: Annotated[timedelta, Between("6h", "168h")] = Field(
        default=timedelta(hours=24),
        description="How far back alerts that always fire together are looked for.",
    )
    min_episodes: Annotated[int, Field(ge=FEWEST - 1, le=100)] = Field(
        default=5, description="Times that alerts have to have fired together to do so always."
    )
    overlap_percent: Annotated[int, Field(ge=50, le=100)] = Field(
        default=90, description="Share of the time in which either fires that both do, in percent."
    )

    @model_validator(mode="after")
    def _within_reach(self) -> Self:
        # An episode takes one look, and so does the silence after it.
        if 2 * self.min_episodes * STEP > self.window:
            raise ValueError("minEpisodes must fit into window, in which one takes ten minutes at least")
        return self


def queries(parameters: AlertGroupingParameters, namespace: str) -> Sequence[Query]:
    """When alerts of each name fired in the namespace."""
    selected = f'max by (alertname) (ALERTS{{alertstate="firing",namespace="{namespace}"}})'
    return (history(selected, parameters.window, STEP),)


def judge(snapshot: Snapshot, parameters: AlertGroupingParameters, now: datetime) -> Verdict:
    """Judge the groups that are there now, and the history for alerts that belong together.

    What is missing from an answer may be what began a group earlier, what joins two episodes, or the group
    that holds alerts together. A cause and what follows from it are seen or they are not.
    """
    [query] = queries(parameters, snapshot.namespace)
    past, present = fired(snapshot, query), snapshot.value(ALERTS)
    findings: list[Finding] = []
    in_part = False
    if isinstance(present, Alerts):
        at = snapshot.sampled_at(ALERTS, now)
        in_part = present.truncated
        findings += _children(present.alerts, parameters, at)
        findings += [] if in_part else _groups(present, parameters, at)
    if isinstance(past, Answer):
        in_part = in_part or bool(partial(past))
        groups = _groups_known(present)
        if groups is not None and not in_part:
            findings += _always(past, groups, parameters, snapshot.sampled_at(SERIES, now))
    if findings:
        return found(findings)
    if (missing := first_missing(past, present)) is not None:
        return unknown(missing)
    if in_part:
        text = "There are more alerts than are read, or Prometheus answered in part: see which repeat."
        return Verdict(Status.WARN, PARTIAL, text)
    return passed("Alerts that belong together are told together.")


def _groups_known(present: Alerts | Unobserved) -> Alerts | None:
    """The groups that there are; None when there are some that cannot be seen."""
    if isinstance(present, Alerts):
        return present
    return Alerts() if present.reason == NOT_CONFIGURED else None


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
    past: Answer, present: Alerts, parameters: AlertGroupingParameters, since: datetime
) -> list[Finding]:
    """Alerts that never fire without each other, unless they are told in one group."""
    step = past.query.step
    seen: dict[str, frozenset[float]] = {}
    for series in past.series:
        times = [time for time, _ in series.points]
        repeated = len(episodes(times, step)) >= parameters.min_episodes
        if series.labels.get(PART) == HISTORY and repeated:
            seen[clip(series.labels.get("alertname", ""), 128)] = frozenset(times)
    clusters = _clusters(
        sorted(seen)[:LARGEST],
        lambda one, other: _together(seen[one], seen[other], step, parameters.overlap_percent),
    )
    return [
        Finding(
            Ref("Alert", names[0]),
            "AlwaysTogether",
            f"Alert {names[0]} always fires together with {_some(names[1:])}: "
            "group them, inhibit what follows from the other, or keep one",
            since,
        )
        for names in clusters
        if not _grouped(names, present)
    ]


def _together(one: frozenset[float], other: frozenset[float], step: timedelta, percent: int) -> bool:
    """Whether two fire at the same times, and surely in more episodes together than apart."""
    both, either = one & other, one | other
    if 100 * len(both) < percent * len(either):
        return False
    stretches = episodes(sorted(either), step)
    shared = sum(any(begin <= time <= end for time in both) for begin, end in stretches)
    return wilson(shared, len(stretches))[0] > _HALF


def _clusters(names: Sequence[str], together: Callable[[str, str], bool]) -> list[list[str]]:
    """Names that belong together, directly or by way of others; by their first name."""
    head = {name: name for name in names}
    for one, other in combinations(names, 2):
        if head[one] != head[other] and together(one, other):
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
    return some(sorted({clip(name, 128) for name in names}), _NAMED)


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
