"""Optimization decisions over days: one record of each, out of all that was logged about it."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import msgspec

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.findings import clip
from kiro_operator.core.records import DecisionKind, DecisionRecord, RecordObject
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.statistics import wilson
from kiro_operator.core.verdict import Amendment, Finding

LIMIT = 500
"""Decisions and opportunities that are kept, the newest."""
NAMED = 20
"""Findings of one verdict."""
ABSENT = "NoDecisionLog"
"""Reason of a decision log that is not there; what is logged elsewhere counts all the same."""

_WORD = 100
_NEVER = datetime.fromtimestamp(0, UTC)
_LATER = ("predicted_saving", "realised_saving", "applied", "reverted", "wrong")


class Wish(StrEnum):
    """Which way what Kiro optimizes by should move."""

    BOLDER = "Bolder"
    CAUTIOUS = "Cautious"


def merged(records: Iterable[DecisionRecord]) -> tuple[DecisionRecord, ...]:
    """One record for each id, in the order of time: its first time, and what was told last of all else.

    The same line may stand in several logs; it counts once.
    """
    found: dict[tuple[DecisionKind, str], DecisionRecord] = {}
    for record in sorted(records, key=_order):
        key = (record.kind, record.id)
        found[key] = record if key not in found else _updated(found[key], record)
    return tuple(map(_short, sorted(found.values(), key=_order)[-LIMIT:]))


def _short(record: DecisionRecord) -> DecisionRecord:
    """With words that leave room in a message for the object's name."""
    return msgspec.structs.replace(
        record,
        id=clip(record.id, _WORD),
        action=clip(record.action, _WORD),
        object=msgspec.structs.replace(record.object, kind=clip(record.object.kind, _WORD)),
    )


def _order(record: DecisionRecord) -> tuple[datetime, bool, str]:
    # An opportunity before the decision on it, where both are of one second.
    return record.time or _NEVER, record.kind is DecisionKind.DECISION, record.id


def _updated(first: DecisionRecord, later: DecisionRecord) -> DecisionRecord:
    told = {name: value for name in _LATER if (value := getattr(later, name)) is not None}
    return msgspec.structs.replace(
        first,
        time=first.time or later.time,
        object=later.object if later.object != RecordObject() else first.object,
        **told,
    )


def applied(optimizations: Optimizations, window: timedelta, now: datetime) -> tuple[DecisionRecord, ...]:
    """Decisions within a window that were carried out, or of which nothing else is told."""
    return tuple(
        record
        for record in optimizations.records
        if record.kind is DecisionKind.DECISION
        and record.applied is not False
        and record.time is not None
        and now - window <= record.time
    )


def too_few(what: str, fewest: int, optimizations: Optimizations) -> Unobserved:
    """That there is not enough to judge; where something could not be read, that is the reason."""
    return lacking(
        "TooFewDecisions", f"fewer than {fewest} {what} in the logs of cost optimization", optimizations
    )


def unread(optimizations: Optimizations) -> Unobserved | None:
    """Why a log that is there could not be read; one that nobody writes hides nothing."""
    return next((one for one in optimizations.missing if one.reason != ABSENT), None)


def lacking(reason: str, text: str, optimizations: Optimizations) -> Unobserved:
    """That something is not in the logs, for that reason unless it may stand in what could not be read."""
    if hidden := unread(optimizations):
        return Unobserved(hidden.reason, f"{text}; not all could be read: {hidden.message}")
    if optimizations.malformed:
        return Unobserved(
            "MalformedRecords",
            f"{text}; some records cannot be read: see the fields in spec.records.decisions",
        )
    if optimizations.missing:
        text += f"; {optimizations.missing[0].message}"
    return Unobserved(reason, text)


def named(record: DecisionRecord) -> tuple[Ref, str]:
    """The object of a record, or else the record itself; and words for both."""
    which = f"{record.kind.value} {record.id}"
    if record.object.name:
        ref = Ref(record.object.kind or "Object", record.object.name)
        return ref, f"{record.action} of {ref.kind} {ref.name} ({which})"
    return Ref(record.kind.value.capitalize(), record.id), f"{record.action} ({which})"


def figure(amount: float) -> str:
    """An amount as a log tells it, in whatever currency that has."""
    return f"{amount:.8g}"


def realised(record: DecisionRecord) -> str:
    """What a decision saved, beside what it was to save where that is known."""
    text = f"saved {figure(record.realised_saving or 0.0)}"
    predicted = record.predicted_saving
    return text if predicted is None else f"{text} of {figure(predicted)} that were predicted"


def began(record: DecisionRecord, snapshot: Snapshot, now: datetime) -> datetime:
    """When the record was made, and never in the future."""
    return min(record.time or snapshot.sampled_at(OPTIMIZATIONS, now), now)


def newest(records: Sequence[DecisionRecord]) -> list[DecisionRecord]:
    """The last few, the newest first."""
    return list(reversed(records))[:NAMED]


def proven(count: int, of: int, allowed: float) -> bool:
    """Whether a share is above what is allowed beyond doubt."""
    return wilson(count, of)[0] > allowed


def wishing(findings: Iterable[Finding], wish: Wish | None, check: str, snapshot: Snapshot) -> list[Finding]:
    """The same findings, asking for a step of what Kiro optimizes by, where that is declared."""
    declared = snapshot.own.optimization
    if declared is None or wish is None:
        return list(findings)
    seen = snapshot.value(OPTIMIZATION_CONFIG)
    uid = "" if seen is None or isinstance(seen, Unobserved) else seen.uid
    target = Ref("ConfigMap", declared.config_map, uid)
    amendment = Amendment(ActionName.CHANGE_OPTIMIZATION, target, ((check, wish.value),))
    return [msgspec.structs.replace(item, amendment=amendment) for item in findings]
