"""Savings that were seen and on which nobody decided for days: logged opportunities, and waste."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.findings import clip, earliest, found
from kiro_operator.core.optimizations import NAMED, Wish, figure, lacking, named, unread, wishing
from kiro_operator.core.records import DecisionKind, DecisionRecord, RecordObject
from kiro_operator.core.snapshot import Ref, Snapshot, Stands, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

WASTE = ("autoscaling-configuration", "over-provisioned", "unused-resources")
"""Checks that find waste themselves."""
_NO_WASTE = "HorizontalPodAutoscaler"
"""What is found of an autoscaler itself keeps it from working, and is no waste to decide on."""
_WORDS = 600
Key = tuple[object, ...]


class MissedOpportunitiesParameters(Parameters):
    """Thresholds of missed-opportunities."""

    max_age: Annotated[timedelta, Between("1h", "2160h")] = Field(
        default=timedelta(days=7), description="How long an opportunity, or waste, may wait for a decision."
    )
    max_missed: Annotated[int, Field(ge=0, le=400)] = Field(
        default=0, description="How many may wait for longer."
    )


class Open(Struct, frozen=True):
    """What waits for a decision, and since when."""

    record: DecisionRecord
    since: datetime


class Waste(Struct, frozen=True):
    """What stands without a decision on its object, since when, and which check finds it."""

    stands: Stands
    since: datetime
    check: str


def judge(snapshot: Snapshot, parameters: MissedOpportunitiesParameters, now: datetime) -> Verdict:
    """Judge how long each opportunity, and all waste that other checks find, has waited."""
    sample = snapshot.value(OPTIMIZATIONS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    age = parameters.max_age
    waiting = _waiting(sample, now)
    waste = list(_waste(snapshot, sample.records, now))
    missed = [one for one in waiting if one.since + age <= now]
    findings = [_finding(one, age) for one in missed]
    told = {(item.object.kind, item.object.name) for item in findings}
    left = [one for one in waste if one.since + age <= now and _name(one.stands.object) not in told]
    # A decision may stand in a log that could not be read: without it no waste counts as left alone.
    hidden = unread(sample)
    findings += [] if hidden else [_standing(one, age) for one in left]
    times = [one.since + age for one in waiting] + [one.since + age for one in waste]
    next_check = earliest(*(time for time in times if time > now))
    if len(findings) > parameters.max_missed:
        findings.sort(key=lambda item: (item.since, item.object))
        return found(
            wishing(findings[:NAMED], Wish.BOLDER, "missed-opportunities", snapshot),
            observed=f"{len(findings)} for longer than {format_duration(age)}",
            threshold=f"{parameters.max_missed} for longer than {format_duration(age)}",
            next_check=next_check,
        )
    if hidden and left:
        return unknown(hidden)
    return _no_more(snapshot, sample, next_check)


def _no_more(snapshot: Snapshot, sample: Optimizations, next_check: datetime | None) -> Verdict:
    """What is said where no more waits than may: as much as was looked at."""
    unseen = [one.hidden for _, one in sorted(snapshot.weighed.items()) if one.hidden is not None]
    if unseen:
        # What stood when it was last looked at is not gone because it cannot be seen.
        return unknown(unseen[0])
    known = [check for check in WASTE if _known(snapshot, check)]
    logged = any(record.kind is DecisionKind.OPPORTUNITY and record.time for record in sample.records)
    if not logged and not known:
        text = (
            "the logs of cost optimization hold no opportunity, which may be because nobody looks for any, "
            "and no check that looks for waste itself has an answer"
        )
        return unknown(lacking("NoOpportunities", text, sample))
    left = [*([] if logged else ["logged opportunities"]), *(name for name in WASTE if name not in known)]
    but = f"; not looked at: {', '.join(left)}" if left else ""
    well = passed(f"No saving waits for longer than it may{but}.")
    return Verdict(well.status, well.reason, well.message, next_check=next_check)


def _known(snapshot: Snapshot, check: str) -> bool:
    return check in snapshot.weighed and snapshot.weighed[check].known


def _waste(snapshot: Snapshot, records: Collection[DecisionRecord], now: datetime) -> Iterator[Waste]:
    """What other checks find, from when it stands or, if that is later, was last acted on."""
    for check in WASTE:
        stands = snapshot.weighed[check].stands if check in snapshot.weighed else ()
        for one in stands:
            if one.object.kind == _NO_WASTE:
                continue
            since = _undecided(one, records, snapshot.namespace)
            if since is not None:
                yield Waste(one, min(since, now), check)


def _undecided(one: Stands, records: Iterable[DecisionRecord], namespace: str) -> datetime | None:
    """Since when nobody has decided on the object; None where it was decided to leave it as it is."""
    since = one.since
    for record in records:
        if record.kind is not DecisionKind.DECISION or not _about(record.object, one.object, namespace):
            continue
        if record.applied is False:
            return None
        # It was acted on, and the waste is still there.
        since = max(since, record.time or since)
    return since


def _about(record: RecordObject, ref: Ref, namespace: str) -> bool:
    kind, name = _name(ref)
    return (record.kind.lower(), record.name) == (kind.lower(), name) and record.namespace in {"", namespace}


def _name(ref: Ref) -> tuple[str, str]:
    return ref.kind, ref.name


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


def _finding(one: Open, age: timedelta) -> Finding:
    ref, what = named(one.record)
    saving = one.record.predicted_saving
    worth = f" (predicted to save {figure(saving)})" if saving is not None else ""
    message = (
        f"{what}{worth} was seen and nobody has decided on it for more than {format_duration(age)}: apply "
        "it, or log a decision with applied: false"
    )
    return Finding(ref, "MissedOpportunity", message, one.since)


def _standing(one: Waste, age: timedelta) -> Finding:
    message = (
        f"{clip(one.stands.message, _WORDS)}; {one.check} has found this for more than "
        f"{format_duration(age)} and nobody has decided on it: act on it, or log a decision with "
        "applied: false"
    )
    return Finding(one.stands.object, "WasteLeftAlone", message, one.since)


CHECK = Check(
    title="Opportunities to save, and waste, are decided on",
    section="cost-efficiency-algorithms",
    command="kubectl logs -n {namespace} -l component=cost-optimization",
    sources=(OPTIMIZATIONS, OPTIMIZATION_CONFIG),
    weighs=WASTE,
    judge=judge,
    parameters=MissedOpportunitiesParameters,
    interval=timedelta(minutes=15),
    failure_threshold=1,
    success_threshold=1,
)
