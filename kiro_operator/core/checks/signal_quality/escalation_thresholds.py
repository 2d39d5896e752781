"""Whether what is acted on and escalated turns out to have been unnecessary: outcomes that people noted."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.signal_quality._ratings import with_misread
from kiro_operator.core.feedback import OUTCOMES, Rating, misread, ratings, recent
from kiro_operator.core.findings import earliest, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.statistics import percentage, wilson
from kiro_operator.core.verdict import Finding, Verdict, passed, too_few, unknown


class EscalationThresholdsParameters(Parameters):
    """Thresholds of escalation-thresholds."""

    unnecessary_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=30, description="Share of what is rated that was unnecessary, in percent, that is too much."
    )
    minimum: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=10,
        description="Rated actions of a policy, or escalations, below which nothing is said of them.",
    )
    window: Annotated[timedelta, Between("24h", "8760h")] = Field(
        default=timedelta(days=30), description="How far back actions and escalations count."
    )


def judge(snapshot: Snapshot, parameters: EscalationThresholdsParameters, now: datetime) -> Verdict:
    """Judge each policy by the actions under it, and the escalations, that somebody has rated."""
    records = snapshot.remediations
    if isinstance(records, Unobserved):
        return unknown(records)
    escalations, unread = recent(snapshot.own.notes.outcomes, parameters.window, now)
    groups: dict[Ref, list[Rating]] = {}
    for item in ratings(records, now - parameters.window):
        if item.worth is not None:
            groups.setdefault(Ref("KiroSafetyPolicy", item.policy), []).append(item)
    if escalations:
        groups[Ref("KiroHealthCheck", snapshot.own.name)] = escalations
    return with_misread(
        _weigh(groups, parameters, now), [*misread(records, "outcome", now - parameters.window), *unread]
    )


def _weigh(
    groups: Mapping[Ref, Sequence[Rating]], parameters: EscalationThresholdsParameters, now: datetime
) -> Verdict:
    if not groups:
        return unknown(
            Unobserved(
                "NoFeedback",
                "No recent KiroRemediation is annotated kiro.dev/outcome, and no escalation of this "
                f"KiroHealthCheck outcome.kiro.dev/Escalated.TIME: write one of {OUTCOMES}.",
            )
        )
    enough = {ref: items for ref, items in sorted(groups.items()) if len(items) >= parameters.minimum}
    if not enough:
        return too_few(
            f"No policy has {parameters.minimum} actions yet that somebody has rated, nor are there as many "
            "rated escalations."
        )
    limit = parameters.unnecessary_percent / 100
    findings: list[Finding] = []
    peak, unsure = 0.0, []
    for ref, items in enough.items():
        wasted = [item for item in items if not item.worth]
        share = len(wasted) / len(items)
        if wilson(len(wasted), len(items))[0] > limit:
            findings.append(_finding(ref, wasted, now))
            peak = max(peak, share)
        elif share > limit:
            unsure.append(f"{ref.kind} {ref.name}")
    if findings:
        return found(
            findings,
            observed=f"{percentage(peak)} unnecessary",
            threshold=f"{parameters.unnecessary_percent}%",
            next_check=earliest(
                *(item.time + parameters.window for items in groups.values() for item in items)
            ),
        )
    if unsure:
        return too_few(
            f"Under {', '.join(unsure[:3])} much was unnecessary, but too little is rated to be sure."
        )
    return passed("What was acted on and escalated was mostly worth it, by those who rated it.")


def _finding(ref: Ref, wasted: Sequence[Rating], now: datetime) -> Finding:
    since = min(now, wasted[-1].time)
    if ref.kind == "KiroHealthCheck":
        text = (
            f"KiroHealthCheck {ref.name} escalates too much that was unnecessary: raise the thresholds or "
            "failAfter of the checks that escalate, or let a policy allow the action that helps"
        )
        return Finding(ref, "EscalationsUnnecessary", text, since)
    checks = [item.check for item in wasted]
    first = min(sorted(set(checks)), key=lambda check: -checks.count(check))
    text = (
        f"KiroSafetyPolicy {ref.name} lets too much through that was unnecessary, most of it asked for by "
        f"{first}: raise that check's threshold or failAfter, or set its action to Manual"
    )
    return Finding(ref, "EscalationsUnnecessary", text, since)


CHECK = Check(
    title="What is escalated and acted on is worth it",
    section="signal-quality-alerts",
    command="kubectl get kiroremediations -n {namespace} -o custom-columns="
    "'NAME:.metadata.name,CHECK:.spec.check,OUTCOME:.metadata.annotations.kiro\\.dev/outcome'",
    sources=(Source.REMEDIATIONS, Source.HEALTH_CHECK),
    judge=judge,
    parameters=EscalationThresholdsParameters,
)
