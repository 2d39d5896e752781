"""Whether the policies let through what turns out to have been unnecessary: outcomes on KiroRemediations."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.feedback import OUTCOMES, Rating, ratings
from kiro_operator.core.findings import earliest, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.statistics import banded, wilson
from kiro_operator.core.verdict import Finding, Verdict, passed, too_few, unknown


class EscalationThresholdsParameters(Parameters):
    """Thresholds of escalation-thresholds."""

    unnecessary_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=30, description="Share of rated actions that were unnecessary, in percent, that is too much."
    )
    minimum: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=10, description="Rated actions of a policy below which nothing is said of it."
    )
    window: Annotated[timedelta, Between("24h", "8760h")] = Field(
        default=timedelta(days=30), description="How far back actions count."
    )


def judge(snapshot: Snapshot, parameters: EscalationThresholdsParameters, now: datetime) -> Verdict:
    """Judge each policy by the actions under it that somebody has rated."""
    records = snapshot.remediations
    if isinstance(records, Unobserved):
        return unknown(records)
    rated = [item for item in ratings(records, now - parameters.window) if item.worth is not None]
    if not rated:
        return unknown(
            Unobserved(
                "NoFeedback",
                f"No recent KiroRemediation is annotated kiro.dev/outcome: write one of {OUTCOMES}.",
            )
        )
    by_policy: dict[str, list[Rating]] = {}
    for item in rated:
        by_policy.setdefault(item.policy, []).append(item)
    enough = {name: items for name, items in sorted(by_policy.items()) if len(items) >= parameters.minimum}
    if not enough:
        return too_few(f"No policy has {parameters.minimum} actions yet that somebody has rated.")
    limit = parameters.unnecessary_percent / 100
    next_check = earliest(*(item.time + parameters.window for item in rated))
    findings: list[Finding] = []
    peak, unsure = 0.0, []
    for name, items in enough.items():
        wasted = [item for item in items if not item.worth]
        share = len(wasted) / len(items)
        if wilson(len(wasted), len(items))[0] > limit:
            findings.append(_finding(name, wasted, now))
            peak = max(peak, share)
        elif share > limit:
            unsure.append(name)
    if findings:
        return found(
            findings,
            observed=f"{banded(peak)} unnecessary",
            threshold=f"{parameters.unnecessary_percent}%",
            next_check=next_check,
        )
    if unsure:
        return too_few(
            f"Under {', '.join(unsure[:3])} many actions were unnecessary, but too few are rated to be sure."
        )
    return passed("What the policies let through was mostly worth it, by those who rated it.")


def _finding(policy: str, wasted: Sequence[Rating], now: datetime) -> Finding:
    checks = [item.check for item in wasted]
    first = min(sorted(set(checks)), key=lambda check: -checks.count(check))
    text = (
        f"KiroSafetyPolicy {policy} lets too much through that was unnecessary, most of it asked for by "
        f"{first}: raise that check's threshold or failAfter, or set its action to Manual"
    )
    since = min(now, wasted[-1].time)
    return Finding(Ref("KiroSafetyPolicy", policy), "EscalationsUnnecessary", text, since)


CHECK = Check(
    title="What is escalated and acted on is worth it",
    section="signal-quality-alerts",
    command="kubectl get kiroremediations -n {namespace} -o custom-columns="
    "'NAME:.metadata.name,CHECK:.spec.check,OUTCOME:.metadata.annotations.kiro\\.dev/outcome'",
    sources=(Source.REMEDIATIONS,),
    judge=judge,
    parameters=EscalationThresholdsParameters,
)
