"""What people say of past actions, by annotations on KiroRemediations.

``kiro.dev/outcome`` says what an action was worth, ``kiro.dev/feedback`` whether the decision for or
against it was right, and ``kiro.dev/proposal`` which applied proposal it was made under.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

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
FEEDBACK = ", ".join(("correct", "wrong", *Cell))
"""Words of ``kiro.dev/feedback``."""


class Rating(Struct, frozen=True):
    """One KiroRemediation with what is known of its worth."""

    name: str
    time: datetime
    check: str
    policy: str
    proposal: str
    worth: bool | None
    """By its outcome; None when nobody has said."""
    helped: bool | None
    """By its outcome, or else by what came of it; None when neither is known."""
    cell: Cell | None
    """By its feedback."""


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
    if said not in {"correct", "wrong"}:
        return None
    right = said == "correct"
    if record.status.get("state") in _WITHHELD and not record.status.get("actedAt"):
        return Cell.TRUE_NEGATIVE if right else Cell.FALSE_NEGATIVE
    return Cell.TRUE_POSITIVE if right else Cell.FALSE_POSITIVE


def _word(text: str) -> str:
    return text.strip().lower()
