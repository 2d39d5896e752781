"""Whether applied proposals have made things better: actions before and after each of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.feedback import Rating, ratings
from kiro_operator.core.findings import earliest, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.statistics import difference
from kiro_operator.core.verdict import TOO_FEW_SAMPLES, Finding, Verdict, passed, too_few, unknown

_ADVICE = {
    "ProposalRegressed": "actions help less often than before it: take it back",
    "ProposalWithoutEffect": "actions help no more often than before it: take it back or try another",
}


class LearningEffectivenessParameters(Parameters):
    """Thresholds of learning-effectiveness."""

    improvement_percent: Annotated[int, Field(ge=0, le=50)] = Field(
        default=5, description="Percentage points more of the actions that a proposal has to make help."
    )
    minimum: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=10, description="Actions before a proposal, and as many after it, that are needed to judge."
    )
    window: Annotated[timedelta, Between("24h", "8760h")] = Field(
        default=timedelta(days=90), description="How far back actions count."
    )


class Effect(Struct, frozen=True):
    """The actions that bear on one proposal."""

    before: Sequence[Rating]
    after: Sequence[Rating]

    @property
    def counts(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """How many helped of how many, before and after."""
        before, after = (sum(bool(item.helped) for item in side) for side in (self.before, self.after))
        return (before, len(self.before)), (after, len(self.after))


def judge(snapshot: Snapshot, parameters: LearningEffectivenessParameters, now: datetime) -> Verdict:
    """Judge each proposal by the actions of the checks that it bears on."""
    records = snapshot.remediations
    if isinstance(records, Unobserved):
        return unknown(records)
    known = [item for item in ratings(records, now - parameters.window) if item.helped is not None]
    effects = {name: _effect(name, known) for name in sorted({item.proposal for item in known} - {""})}
    if not effects:
        return unknown(
            Unobserved(
                "NoProposals",
                "No recent KiroRemediation is annotated kiro.dev/proposal with the "
                "proposal it was made under.",
            )
        )
    enough = {
        name: effect
        for name, effect in effects.items()
        if min(len(effect.before), len(effect.after)) >= parameters.minimum
    }
    if not enough:
        return too_few(
            f"No proposal has {parameters.minimum} actions before it and {parameters.minimum} after it yet."
        )
    reasons = {name: _reason(effect, parameters.improvement_percent / 100) for name, effect in enough.items()}
    findings = [
        _finding(name, reason, min(now, enough[name].after[0].time))
        for name, reason in reasons.items()
        if reason in _ADVICE
    ]
    unsure = [name for name, reason in reasons.items() if reason == TOO_FEW_SAMPLES]
    findings.sort(key=lambda item: (item.reason != "ProposalRegressed", item.object))
    if findings:
        return found(
            findings,
            threshold=f"{parameters.improvement_percent} points better",
            next_check=earliest(*(item.time + parameters.window for item in known)),
        )
    if unsure:
        return too_few(f"What proposal {', '.join(unsure[:3])} has changed is not sure yet.")
    return passed("Applied proposals have made actions help more often.")


def _effect(proposal: str, known: Sequence[Rating]) -> Effect:
    """Before are the actions of the same checks that came earlier and belong to no proposal."""
    after = [item for item in known if item.proposal == proposal]
    checks = {item.check for item in after}
    before = [
        item for item in known if not item.proposal and item.check in checks and item.time < after[0].time
    ]
    return Effect(before, after)


def _reason(effect: Effect, wanted: float) -> str:
    """What is sure of a proposal; empty when it has helped, or nothing was left to improve."""
    low, high = difference(*effect.counts)
    before, after = (helped / total for helped, total in effect.counts)
    if high < 0:
        return "ProposalRegressed"
    if before > 1 - wanted:
        return "" if after > before - wanted else TOO_FEW_SAMPLES
    if high < wanted:
        return "ProposalWithoutEffect"
    return TOO_FEW_SAMPLES if low <= 0 else ""


def _finding(proposal: str, reason: str, since: datetime) -> Finding:
    return Finding(Ref("Proposal", proposal), reason, f"Proposal {proposal}: {_ADVICE[reason]}", since)


CHECK = Check(
    title="Applied proposals have helped",
    section="signal-quality-decisions",
    command="kubectl get kiroremediations -n {namespace} -o custom-columns="
    "'NAME:.metadata.name,STATE:.status.state,PROPOSAL:.metadata.annotations.kiro\\.dev/proposal'",
    sources=(Source.REMEDIATIONS,),
    judge=judge,
    parameters=LearningEffectivenessParameters,
)
