"""Whether applied optimization decisions save anything: savings, or spend, before and after each."""

from datetime import date, datetime, timedelta
from statistics import median
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.costs import settled, span
from kiro_operator.core.evidence.aws import AWS_COST
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
from kiro_operator.core.snapshot import NOT_CONFIGURED, Snapshot, Unobserved
from kiro_operator.core.statistics import percentage
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

_SETTLING_DAYS = 2


class OptimizationStrategyParameters(Parameters):
    """Thresholds of optimization-strategy."""

    min_effect_percent: Annotated[int, Field(ge=1, le=100)] = Field(
        default=10, description="Share of the predicted saving below which a decision had no effect."
    )
    max_ineffective_percent: Annotated[int, Field(ge=1, le=99)] = Field(
        default=30, description="Share of decisions that may be without effect."
    )
    min_decisions: Annotated[int, Field(ge=3, le=400)] = Field(
        default=5, description="Fewest decisions of known effect that are judged."
    )
    min_fall_percent: Annotated[int, Field(ge=1, le=90)] = Field(
        default=1,
        description="Fall of a usual day's spend below which a day's decisions had no effect, in percent.",
    )
    days: Annotated[int, Field(ge=3, le=14)] = Field(
        default=7, description="Days of spend that are compared before and after a decision."
    )
    window: Annotated[timedelta, Between("1h", "2160h")] = Field(
        default=timedelta(days=45), description="How far back decisions count."
    )

    def shadowed(self) -> str:
        """Spend is only known of decisions that are older than the days after them."""
        if self.window > timedelta(days=self.days):
            return ""
        return f"spend never tells: {self.days} days after a decision it is out of window"


class _Effect(Struct, frozen=True):
    """Whether a decision saved something, and the figures that say so."""

    saved: bool
    figures: str


def judge(snapshot: Snapshot, parameters: OptimizationStrategyParameters, now: datetime) -> Verdict:
    """Judge the share of decisions without effect, by what their number can prove."""
    sample = snapshot.value(OPTIMIZATIONS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    decisions = applied(sample, parameters.window, now)
    spend = _effects_on_spend(snapshot, parameters, decisions)
    without: dict[DecisionRecord, str] = {}
    count = 0
    logged: list[bool] = []
    for record in decisions:
        effect = _told(record, parameters)
        if effect is not None:
            logged.append(effect.saved)
        else:
            # Spend cannot tell the decisions of one day apart: they are one.
            effect = spend.pop(_day(record), None)
        if effect is not None:
            count += 1
            if not effect.saved:
                without[record] = effect.figures
    if count < parameters.min_decisions:
        missing = too_few("applied decisions of known effect", parameters.min_decisions, sample)
        return unknown(_spend_unseen(snapshot, missing) if count < len(decisions) else missing)
    allowed = parameters.max_ineffective_percent / 100
    if not without or len(without) / count <= allowed:
        return passed("Applied optimization decisions have an effect.")
    findings = [_finding(record, without[record], snapshot, now) for record in newest(list(without))]
    # Spend moves for many reasons: that it has not fallen says nothing of how boldly decisions are made.
    enough = len(logged) >= parameters.min_decisions
    wish = Wish.CAUTIOUS if enough and proven(logged.count(False), len(logged), allowed) else None
    return found(
        wishing(findings, wish, "optimization-strategy", snapshot),
        status=Status.FAIL if proven(len(without), count, allowed) else Status.WARN,
        observed=f"without effect: {percentage(len(without) / count)}",
        threshold=f"{parameters.max_ineffective_percent}%",
    )


def _spend_unseen(snapshot: Snapshot, missing: Unobserved) -> Unobserved:
    """Where decisions tell nothing of their effect, that spend cannot be seen is why there are too few."""
    costs = snapshot.value(AWS_COST)
    if not isinstance(costs, Unobserved) or costs.reason == NOT_CONFIGURED:
        return missing
    return Unobserved(costs.reason, f"{missing.message}; {costs.message}")


def _told(record: DecisionRecord, parameters: OptimizationStrategyParameters) -> _Effect | None:
    """What the decision saved, by its own record; None when that does not tell."""
    if record.realised_saving is None:
        return None
    least = parameters.min_effect_percent / 100 * max(record.predicted_saving or 0.0, 0.0)
    saved = record.realised_saving > 0 and record.realised_saving >= least
    return _Effect(saved, realised(record))


def _effects_on_spend(
    snapshot: Snapshot, parameters: OptimizationStrategyParameters, decisions: tuple[DecisionRecord, ...]
) -> dict[date, _Effect]:
    """Whether a usual day costs less after each day of a decision than before it, where that is known.

    What was predicted is no measure here: a record tells neither its currency nor for how long it is.
    """
    costs = snapshot.value(AWS_COST)
    if isinstance(costs, Unobserved):
        return {}
    amounts = settled(costs, _SETTLING_DAYS)
    effects: dict[date, _Effect] = {}
    most = 1 - parameters.min_fall_percent / 100
    for day in {_day(record) for record in decisions}:
        before = span(amounts, day, parameters.days)
        after = span(amounts, day + timedelta(days=1 + parameters.days), parameters.days)
        if before and after:
            then, now = median(before), median(after)
            figures = f"a usual day cost {then:.3g} {costs.unit} before it and {now:.3g} after it"
            effects[day] = _Effect(now <= then * most and now < then, figures)
    return effects


def _day(record: DecisionRecord) -> date:
    # Only decisions with a time get here.
    return record.time.date() if record.time else date.min


def _finding(record: DecisionRecord, figures: str, snapshot: Snapshot, now: datetime) -> Finding:
    ref, what = named(record)
    message = (
        f"{what} had no effect on what is spent ({figures}): see whether it was carried out in full, or "
        f"whether something else eats up what {record.action} saves"
    )
    return Finding(ref, "NoEffect", message, began(record, snapshot, now))


CHECK = Check(
    title="Applied optimization decisions save something",
    section="cost-efficiency-metrics",
    command="kubectl logs -n {namespace} -l component=cost-optimization",
    # Of Cost Explorer only where spec.aws is set: it tells where the records do not.
    sources=(OPTIMIZATIONS, AWS_COST, OPTIMIZATION_CONFIG),
    judge=judge,
    parameters=OptimizationStrategyParameters,
    interval=timedelta(minutes=15),
    failure_threshold=1,
    success_threshold=1,
)
