"""Opportunities to save that were seen, and on which nobody decided for days."""

from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.findings import found
from kiro_operator.core.optimizations import NAMED, named
from kiro_operator.core.records import DecisionKind, DecisionRecord
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

Key = tuple[object, ...]


class MissedOpportunitiesParameters(Parameters):
    """Thresholds of missed-opportunities."""

    max_age: Annotated[timedelta, Between("1h", "2160h")] = Field(
        default=timedelta(days=7), description="How long an opportunity may wait for a decision."
    )
    max_missed: Annotated[int, Field(ge=0, le=400)] = Field(
        default=0, description="How many may wait for longer."
    )


class Open(Struct, frozen=True):
    """An opportunity that waits, and since when."""

    record: DecisionRecord
    since: datetime


def judge(snapshot: Snapshot, parameters: MissedOpportunitiesParameters, now: datetime) -> Verdict:
    """Judge how long each opportunity has waited."""
    sample = snapshot.value(OPTIMIZATIONS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    if not any(record.kind is DecisionKind.OPPORTUNITY and record.time for record in sample.records):
        return unknown(_none(sample))
    waiting = _waiting(sample, now)
    overdue = [one for one in waiting if one.since + parameters.max_age <= now]
    next_check = min((one.since + parameters.max_age for one in waiting if one not in overdue), default=None)
    if len(overdue) > parameters.max_missed:
        return found([_finding(one) for one in overdue[:NAMED]], next_check=next_check)
    text = passed("No opportunity to save waits for longer than it may.")
    return Verdict(text.status, text.reason, text.message, next_check=next_check)


def _none(sample: Optimizations) -> Unobserved:
    text = "the logs of cost optimization hold no opportunity, which may be because nobody looks for any"
    if sample.missing:
        text += f"; not all could be read: {sample.missing[0].message}"
    return Unobserved("NoOpportunities", text)


def _waiting(sample: Optimizations, now: datetime) -> list[Open]:
    """Opportunities after whose last decision they were seen again, or that never had one; oldest first."""
    waiting: dict[Key, Open] = {}
    for record in sample.records:  # in the order of time
        if record.time is None:
            continue
        if record.kind is DecisionKind.OPPORTUNITY:
            if record.applied is not True:
                waiting.setdefault(_key(record), Open(record, min(record.time, now)))
            continue
        # Also one not to act is a decision.
        waiting.pop(_key(record), None)
        for key in [key for key, one in waiting.items() if one.record.id == record.id]:
            del waiting[key]
    return sorted(waiting.values(), key=lambda one: (one.since, one.record.id))


def _key(record: DecisionRecord) -> Key:
    return (record.action, record.object) if record.object.name else (record.id,)


def _finding(one: Open) -> Finding:
    ref, what = named(one.record)
    message = f"{what} was seen and nobody has decided on it: apply it, or log a decision with applied: false"
    return Finding(ref, "MissedOpportunity", message, one.since)


CHECK = Check(
    title="Opportunities to save are decided on",
    section="cost-efficiency-algorithms",
    command="kubectl logs -n {namespace} -l component=cost-optimization",
    sources=(OPTIMIZATIONS,),
    judge=judge,
    parameters=MissedOpportunitiesParameters,
    interval=timedelta(minutes=15),
    failure_threshold=1,
    success_threshold=1,
)
