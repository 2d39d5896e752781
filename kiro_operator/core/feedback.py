"""What people say of past actions and verdicts, by annotations.

On a KiroRemediation ``kiro.dev/outcome`` says what the action was worth, ``kiro.dev/feedback`` whether the
decision for or against it was right, and ``kiro.dev/proposal`` which applied proposal it was made under.

On a KiroHealthCheck each annotation rates one thing that its status told, by the time since when it told it:
``feedback.kiro.dev/CHECK.TIME`` a check's verdict, ``outcome.kiro.dev/Escalated.TIME`` an escalation. One
annotation a rating, because people who write at the same time must not overwrite each other.
"""

import re
from collections.abc import Container, Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from msgspec import Struct

from kiro_operator.api.v1alpha1.remediation import RemediationState
from kiro_operator.core.objects import Record

WORTH = {"helpful": True, "necessary": True, "unnecessary": False, "false-positive": False}
"""Words of ``kiro.dev/outcome``, and whether the action was worth it."""
OUTCOMES = ", ".join(WORTH)

_WITHHELD = frozenset({RemediationState.DENIED, RemediationState.EXPIRED})
_ENDED = frozenset({RemediationState.SUCCEEDED, RemediationState.FAILED})


class Cell(StrEnum):
    """Where a decision belongs in the table of decisions against the truth."""

    TRUE_POSITIVE = "true-positive"
    FALSE_POSITIVE = "false-positive"
    TRUE_NEGATIVE = "true-negative"
    FALSE_NEGATIVE = "false-negative"


_CELLS = frozenset(cell.value for cell in Cell)
_RELATIVE = frozenset({"correct", "wrong"})
"""Words that are held against what was decided."""
FEEDBACK = ", ".join((*sorted(_RELATIVE), *Cell))
"""Words of ``kiro.dev/feedback``."""
VERDICTS = ", ".join(Cell)
"""Words of ``feedback.kiro.dev/…``: what a verdict was is not kept, so it has to be said."""

NOTES = 1000
"""Ratings of one kind that are read of one KiroHealthCheck: the latest."""
AHEAD = timedelta(days=1)
"""How far ahead a rated time may be: clocks differ, and days do."""
_NOTED = ("feedback.kiro.dev/", "outcome.kiro.dev/")
_SUBJECT = re.compile(r"(.+)\.([0-9]{8}T[0-9]{6}Z)")
_ESCALATED = "Escalated"

Kind = Literal["feedback", "outcome"]


class Rating(Struct, frozen=True):
    """What is known of the worth of one KiroRemediation, or of one thing that a KiroHealthCheck told."""

    name: str
    """Of the KiroRemediation, or of the annotation."""
    time: datetime
    """When it was made, or since when it was told."""
    check: str
    """The check that asked for it, or whose verdict it is; empty for an escalation."""
    policy: str
    proposal: str
    worth: bool | None
    """By its outcome; None when nobody has said."""
    helped: bool | None
    """By its outcome, or else by what came of it; None when neither is known."""
    cell: Cell | None
    """By its feedback."""


class Noted(Struct, frozen=True):
    """Ratings of one kind, and why others were not understood."""

    ratings: tuple[Rating, ...] = ()
    """Oldest first."""
    misread: tuple[str, ...] = ()


class Notes(Struct, frozen=True):
    """What people noted on a KiroHealthCheck."""

    feedback: Noted = Noted()
    outcomes: Noted = Noted()


def annotated(annotations: Mapping[str, str]) -> dict[str, str]:
    """Those of the annotations of a KiroHealthCheck that rate something."""
    return {key: text for key, text in annotations.items() if key.startswith(_NOTED)}


def notes(annotations: Mapping[str, str], checks: Container[str]) -> Notes:
    """The ratings on a KiroHealthCheck, where these are the checks that there are."""
    return Notes(_noted("feedback", annotations, checks), _noted("outcome", annotations, checks))


def recent(noted: Noted, window: timedelta, now: datetime) -> tuple[list[Rating], list[str]]:
    """The ratings of what was told within a window, and all that cannot be counted, each with its reason."""
    kept = [item for item in noted.ratings if now - window < item.time <= now + AHEAD]
    ahead = [f"{item.name}: its time is still to come" for item in noted.ratings if item.time > now + AHEAD]
    return kept, [*noted.misread, *ahead]


def misread(records: Iterable[Record], kind: Kind, since: datetime) -> list[str]:
    """Words on the records made after a time that nobody understands."""
    known, words = (_CELLS | _RELATIVE, FEEDBACK) if kind == "feedback" else (frozenset(WORTH), OUTCOMES)
    said = {
        item.metadata.name: getattr(item.metadata.annotations, kind)
        for item in records
        if (created := item.metadata.creation_timestamp) is not None and created > since
    }
    return [
        f"kiro.dev/{kind} of {name}: {_quoted(text)} is none of {words}"
        for name, text in sorted(said.items())
        if text and _word(text) not in known
    ]


def _noted(kind: Kind, annotations: Mapping[str, str], checks: Container[str]) -> Noted:
    prefix = f"{kind}.kiro.dev/"
    read = [
        _note(kind, key, annotations[key], checks) for key in sorted(annotations) if key.startswith(prefix)
    ]
    found = sorted(
        (item for item in read if isinstance(item, Rating)), key=lambda item: (item.time, item.name)
    )
    unread = [item for item in read if isinstance(item, str)][:NOTES]
    if len(found) > NOTES:
        unread.insert(0, f"only the latest {NOTES} annotations {prefix}… are read: remove old ones")
    return Noted(tuple(found[-NOTES:]), tuple(unread))


def _note(kind: Kind, key: str, text: str, checks: Container[str]) -> Rating | str:
    """One annotation as a rating, or what is wrong with it."""
    subject = _SUBJECT.fullmatch(key.partition("/")[2])
    time = _time(subject[2]) if subject else None
    word = _word(text)
    if subject is None or time is None:
        what = "CHECK" if kind == "feedback" else _ESCALATED
        return f"{key}: write {kind}.kiro.dev/{what}.TIME, with a TIME such as 20260302T110000Z"
    if kind == "feedback":
        if subject[1] not in checks:
            return f"{key}: there is no check {subject[1]}"
        if word not in _CELLS:
            return f"{key}: {_quoted(text)} is none of {VERDICTS}"
        return Rating(key, time, subject[1], "", "", None, None, Cell(word))
    if subject[1] != _ESCALATED:
        return f"{key}: only {_ESCALATED} is rated by its outcome"
    if word not in WORTH:
        return f"{key}: {_quoted(text)} is none of {OUTCOMES}"
    return Rating(key, time, "", "", "", WORTH[word], WORTH[word], None)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%S%z")
    except ValueError:
        return None


def _quoted(text: str) -> str:
    """The beginning of what somebody wrote, printable."""
    return repr(text[:32])


def ratings(records: Iterable[Record], since: datetime) -> list[Rating]:
    """The records made after a time, oldest first."""
    found = [
        _rating(record, created)
        for record in records
        if (created := record.metadata.creation_timestamp) is not None and created > since
    ]
    return sorted(found, key=lambda rating: (rating.time, rating.name))


def _rating(record: Record, created: datetime) -> Rating:
    noted = record.metadata.annotations
    state, worth = record.status.get("state"), WORTH.get(_word(noted.outcome))
    return Rating(
        record.metadata.name,
        created,
        str(record.spec.get("check", "")),
        str((record.spec.get("policy") or {}).get("name", "")),
        noted.proposal.strip(),
        worth,
        (state == RemediationState.SUCCEEDED if state in _ENDED else None) if worth is None else worth,
        _cell(_word(noted.feedback), record),
    )


def _cell(said: str, record: Record) -> Cell | None:
    if said in _CELLS:
        return Cell(said)
    if said not in _RELATIVE:
        return None
    right = said == "correct"
    if record.status.get("state") in _WITHHELD and not record.status.get("actedAt"):
        return Cell.TRUE_NEGATIVE if right else Cell.FALSE_NEGATIVE
    return Cell.TRUE_POSITIVE if right else Cell.FALSE_POSITIVE


def _word(text: str) -> str:
    return text.strip().lower()
