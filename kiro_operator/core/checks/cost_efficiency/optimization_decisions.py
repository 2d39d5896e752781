"""Optimization decisions that were wrong or taken back: the logs of cost optimization."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS
from kiro_operator.core.findings import found
from kiro_operator.core.optimizations import Wish, applied, began, named, newest, proven, too_few, wishing
from kiro_operator.core.records import DecisionRecord
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.statistics import percentage
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown


class OptimizationDecisionsParameters(Parameters):
    """Thresholds of optimization-decisions."""

    max_bad_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=10, description="Share of decisions that may turn out wrong or be reverted."
    )
    min_decisions: Annotated[int, Field(ge=3, le=400)] = Field(
        default=10, description="Fewest decisions that are judged."
    )
    window: Annotated[timedelta, Between("1h", "2160h")] = Field(
        default=timedelta(days=30), description="How far back decisions count."
    )


def judge(snapshot: Snapshot, parameters: OptimizationDecisionsParameters, now: datetime) -> Verdict:
    """Judge the share of bad decisions, by what their number can prove."""
    sample = snapshot.value(OPTIMIZATIONS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    decisions = applied(sample, parameters.window, now)
    if len(decisions) < parameters.min_decisions:
        return unknown(too_few("decisions", parameters.min_decisions, sample))
    if all(record.wrong is None and record.reverted is None for record in decisions):
        return unknown(
            Unobserved(
                "NoOutcomes",
                "no decision in the logs tells whether it was wrong or reverted: have it logged, or map the "
                "fields in spec.records.decisions",
            )
        )
    bad = [record for record in decisions if record.wrong or record.reverted]
    allowed = parameters.max_bad_percent / 100
    if not bad or len(bad) / len(decisions) <= allowed:
        return passed("Few optimization decisions turn out wrong or are reverted.")
    findings = [_finding(record, snapshot, now) for record in newest(bad)]
    return found(
        wishing(findings, Wish.CAUTIOUS, "optimization-decisions", snapshot),
        status=Status.FAIL if proven(len(bad), len(decisions), allowed) else Status.WARN,
        observed=f"wrong or reverted: {percentage(len(bad) / len(decisions))}",
        threshold=f"{parameters.max_bad_percent}%",
    )


def _finding(record: DecisionRecord, snapshot: Snapshot, now: datetime) -> Finding:
    ref, what = named(record)
    reason, fate = ("WrongDecision", "turned out wrong") if record.wrong else ("Reverted", "was reverted")
    message = f"{what} {fate}: adjust the parameters of the algorithm that decides on {record.action}"
    return Finding(ref, reason, message, began(record, snapshot, now))


CHECK = Check(
    title="Optimization decisions turn out right",
    section="cost-efficiency-algorithms",
    command="kubectl logs -n {namespace} -l component=cost-optimization",
    sources=(OPTIMIZATIONS, OPTIMIZATION_CONFIG),
    judge=judge,
    parameters=OptimizationDecisionsParameters,
    interval=timedelta(minutes=15),
    # A share of weeks of decisions does not flap.
    failure_threshold=1,
    success_threshold=1,
)
