"""What optimization decisions were predicted to save against what they saved."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS
from kiro_operator.core.findings import found
from kiro_operator.core.optimizations import (
    Wish,
    applied,
    began,
    named,
    newest,
    proven,
    realised,
    too_few,
    wishing,
)
from kiro_operator.core.records import DecisionRecord
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.statistics import percentage
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown


class CostBenefitParameters(Parameters):
    """Thresholds of cost-benefit."""

    min_percent: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50, description="Share of the predicted saving that has to come true."
    )
    max_percent: Annotated[int, Field(ge=100, le=10000)] = Field(
        default=200, description="Share of the predicted saving above which the prediction was too low."
    )
    max_outside_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=20, description="Share of decisions that may be outside of this band."
    )
    min_decisions: Annotated[int, Field(ge=3, le=400)] = Field(
        default=5, description="Fewest decisions with both figures that are judged."
    )
    window: Annotated[timedelta, Between("1h", "2160h")] = Field(
        default=timedelta(days=30), description="How far back decisions count."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.min_percent == self.max_percent:
            raise ValueError("minPercent must be below maxPercent: no saving is predicted to the cent")
        return self


def judge(snapshot: Snapshot, parameters: CostBenefitParameters, now: datetime) -> Verdict:
    """Judge the share of predictions that were off, by what their number can prove."""
    sample = snapshot.value(OPTIMIZATIONS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    ratios = [
        (record, ratio)
        for record in applied(sample, parameters.window, now)
        if (ratio := _percent(record)) is not None
    ]
    if len(ratios) < parameters.min_decisions:
        what = "decisions with a predicted and a realised saving"
        return unknown(too_few(what, parameters.min_decisions, sample))
    outside = [
        record for record, ratio in ratios if not parameters.min_percent <= ratio <= parameters.max_percent
    ]
    allowed = parameters.max_outside_percent / 100
    if not outside or len(outside) / len(ratios) <= allowed:
        return passed("Optimization decisions save about what was predicted.")
    findings = [_finding(record, parameters, snapshot, now) for record in newest(outside)]
    # What saves more than was promised is no harm: it speaks for better predictions, and against no decision.
    less = sum(ratio < parameters.min_percent for _, ratio in ratios)
    wish = Wish.CAUTIOUS if proven(less, len(ratios), allowed) else None
    return found(
        wishing(findings, wish, "cost-benefit", snapshot),
        status=Status.FAIL if proven(len(outside), len(ratios), allowed) else Status.WARN,
        observed=f"outside of the band: {percentage(len(outside) / len(ratios))}",
        threshold=f"{parameters.max_outside_percent}%",
    )


def _percent(record: DecisionRecord) -> float | None:
    if record.predicted_saving is None or record.realised_saving is None or record.predicted_saving <= 0:
        return None
    return 100 * record.realised_saving / record.predicted_saving


def _finding(
    record: DecisionRecord, parameters: CostBenefitParameters, snapshot: Snapshot, now: datetime
) -> Finding:
    ref, what = named(record)
    since = began(record, snapshot, now)
    if (_percent(record) or 0.0) < parameters.min_percent:
        message = (
            f"{what} {realised(record)}, which is less than {parameters.min_percent} %: see what the "
            f"prediction for {record.action} leaves out"
        )
        return Finding(ref, "SavedLess", message, since)
    message = (
        f"{what} {realised(record)}, which is more than {parameters.max_percent} %: such decisions may be "
        "passed over, because they look less worthwhile than they are"
    )
    return Finding(ref, "SavedMore", message, since)


CHECK = Check(
    title="Decisions save what was predicted",
    section="cost-efficiency-algorithms",
    command="kubectl logs -n {namespace} -l component=cost-optimization",
    sources=(OPTIMIZATIONS, OPTIMIZATION_CONFIG),
    judge=judge,
    parameters=CostBenefitParameters,
    interval=timedelta(minutes=15),
    failure_threshold=1,
    success_threshold=1,
)
