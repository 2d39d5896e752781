"""How often the operator is right, in its verdicts and for and against acting: feedback that people noted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.checks.signal_quality._ratings import with_misread
from kiro_operator.core.feedback import FEEDBACK, VERDICTS, Cell, Rating, misread, ratings, recent
from kiro_operator.core.findings import earliest, found
from kiro_operator.core.snapshot import Ref, Snapshot, Source, Unobserved
from kiro_operator.core.statistics import percentage, wilson
from kiro_operator.core.verdict import Finding, Verdict, passed, too_few, unknown

_ADVICE = {
    "SensitivityLow": "misses what is wrong: lower its threshold or failAfter, or widen the policy",
    "SpecificityLow": "fails or acts where nothing is wrong: raise its threshold or failAfter",
}
_Rate = tuple[str, int, int, int]
"""Reason, right ones, all of them, and the target in percent."""


class DecisionAccuracyParameters(Parameters):
    """Targets of decision-accuracy."""

    sensitivity_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=80, description="Share of what was wrong, in percent, that should have been told or acted on."
    )
    specificity_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=80, description="Share of what was well, in percent, that should have been left alone."
    )
    minimum: Annotated[int, Field(ge=5, le=1000)] = Field(
        default=10,
        description="Rated decisions that something is wrong, and as many that nothing is, to judge.",
    )
    window: Annotated[timedelta, Between("24h", "8760h")] = Field(
        default=timedelta(days=90), description="How far back decisions count."
    )


def judge(snapshot: Snapshot, parameters: DecisionAccuracyParameters, now: datetime) -> Verdict:
    """Judge each check that has enough feedback; where none has, all of them together."""
    records = snapshot.remediations
    if isinstance(records, Unobserved):
        return unknown(records)
    verdicts, unread = recent(snapshot.own.notes.feedback, parameters.window, now)
    decisions = [item for item in ratings(records, now - parameters.window) if item.cell is not None]
    rated = sorted([*decisions, *verdicts], key=lambda item: item.time)
    judged = _judged(rated, snapshot.namespace, parameters, now)
    return with_misread(judged, [*misread(records, "feedback", now - parameters.window), *unread])


def _judged(
    rated: Sequence[Rating], namespace: str, parameters: DecisionAccuracyParameters, now: datetime
) -> Verdict:
    if not rated:
        return unknown(
            Unobserved(
                "NoFeedback",
                f"No recent KiroRemediation is annotated kiro.dev/feedback: write one of {FEEDBACK}; and no "
                f"verdict of this KiroHealthCheck feedback.kiro.dev/CHECK.TIME: write one of {VERDICTS}.",
            )
        )
    tables: dict[str, Counter[Cell | None]] = {}
    for item in rated:
        tables.setdefault(item.check, Counter())[item.cell] += 1
    groups = {
        Ref("Check", name): table for name, table in sorted(tables.items()) if _enough(table, parameters)
    }
    everything = sum(tables.values(), Counter())
    if not groups and _enough(everything, parameters):
        groups = {Ref("Namespace", namespace): everything}
    if not groups:
        return too_few(
            f"Feedback is needed on {parameters.minimum} verdicts or decisions that something is wrong, and "
            "on as many that nothing is."
        )
    since = min(now, rated[-1].time)
    findings, unsure, worst = _weigh(groups, parameters, since)
    if findings:
        return found(
            findings,
            observed=worst,
            threshold=f"sensitivity {parameters.sensitivity_percent}%, "
            f"specificity {parameters.specificity_percent}%",
            next_check=earliest(*(item.time + parameters.window for item in rated)),
        )
    if unsure:
        return too_few("Too much was decided wrongly, but too little is rated to be sure.")
    return passed("Verdicts and decisions were mostly right, by those who rated them.")


def _weigh(
    groups: Mapping[Ref, Counter[Cell | None]], parameters: DecisionAccuracyParameters, since: datetime
) -> tuple[list[Finding], bool, str]:
    """What is surely under target, whether something may be, and the first of it as it was measured."""
    findings: list[Finding] = []
    unsure, worst = False, ""
    for ref, table in groups.items():
        for reason, right, total, target in _rates(table, parameters):
            if wilson(right, total)[1] < target / 100:
                who = f"{ref.kind} {ref.name}" if ref.kind == "Check" else f"In {ref.name} the operator"
                findings.append(Finding(ref, reason, f"{who} {_ADVICE[reason]}", since))
                noun = "sensitivity" if reason == "SensitivityLow" else "specificity"
                worst = worst or f"{noun} {percentage(right / total)}"
            elif right * 100 < target * total:
                unsure = True
    return findings, unsure, worst


def _enough(table: Counter[Cell | None], parameters: DecisionAccuracyParameters) -> bool:
    """Whether decisions of both kinds are rated: from one kind alone, one of the rates is always 0 or 1."""
    acted = table[Cell.TRUE_POSITIVE] + table[Cell.FALSE_POSITIVE]
    withheld = table[Cell.TRUE_NEGATIVE] + table[Cell.FALSE_NEGATIVE]
    return min(acted, withheld) >= parameters.minimum and bool(list(_rates(table, parameters)))


def _rates(table: Counter[Cell | None], parameters: DecisionAccuracyParameters) -> Iterator[_Rate]:
    """Sensitivity and specificity, each only where enough cases bear on it."""
    needed = table[Cell.TRUE_POSITIVE] + table[Cell.FALSE_NEGATIVE]
    if needed >= parameters.minimum:
        yield "SensitivityLow", table[Cell.TRUE_POSITIVE], needed, parameters.sensitivity_percent
    unneeded = table[Cell.TRUE_NEGATIVE] + table[Cell.FALSE_POSITIVE]
    if unneeded >= parameters.minimum:
        yield "SpecificityLow", table[Cell.TRUE_NEGATIVE], unneeded, parameters.specificity_percent


CHECK = Check(
    title="Decisions are right, by those who know",
    section="signal-quality-decisions",
    command="kubectl get kiroremediations -n {namespace} -o custom-columns="
    "'NAME:.metadata.name,STATE:.status.state,FEEDBACK:.metadata.annotations.kiro\\.dev/feedback'",
    sources=(Source.REMEDIATIONS, Source.HEALTH_CHECK),
    judge=judge,
    parameters=DecisionAccuracyParameters,
)
