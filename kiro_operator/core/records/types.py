"""What the records are once they are read."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Feedback(StrEnum):
    """What whoever asked said of the answer."""

    GOOD = "good"
    BAD = "bad"


class Outcome(StrEnum):
    """How an autonomous operation ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    REFUSED = "refused"


class DecisionKind(StrEnum):
    """Whether an optimization was decided on, or only seen to be possible."""

    DECISION = "decision"
    OPPORTUNITY = "opportunity"


class RecordObject(Struct, frozen=True, order=True):
    """The object that a record speaks of; what it does not tell is empty."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class QueryRecord(Struct, frozen=True, tag="query", tag_field="record"):
    """One query, and what came with it."""

    id: str
    time: datetime | None = None
    text: str = ""
    environment: str = ""
    scope: str = ""
    context: tuple[str, ...] = ()
    """Names of what was given along with it."""
    context_size: int = 0
    """How many things were given along with it, whether or not they have names."""
    documents: tuple[str, ...] = ()
    """Steering documents that applied."""
    feedback: Feedback | None = None
    latency: float | None = None
    """In seconds."""


class OperationRecord(Struct, frozen=True, tag="operation", tag_field="record"):
    """One autonomous operation."""

    id: str
    action: str
    outcome: Outcome
    time: datetime | None = None
    target: RecordObject = RecordObject()
    reason: str = ""
    boundary: str = ""
    change_size: float | None = None
    """How much it changed, in the unit of its boundary."""


class DecisionRecord(Struct, frozen=True, tag="decision", tag_field="record"):
    """One optimization decision or opportunity."""

    kind: DecisionKind
    id: str
    action: str
    time: datetime | None = None
    object: RecordObject = RecordObject()
    predicted_saving: float | None = None
    """In the log's own currency; what is compared is only a ratio."""
    realised_saving: float | None = None
    applied: bool | None = None
    """None: the record does not tell; so for the next two."""
    reverted: bool | None = None
    wrong: bool | None = None


class TraceRecord(Struct, frozen=True, tag="trace", tag_field="record"):
    """One step of the reasoning on a query."""

    query: str
    step: int
    time: datetime | None = None
    text: str = ""
    documents: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


Record = QueryRecord | OperationRecord | DecisionRecord | TraceRecord


class Records(Struct, frozen=True):
    """What some lines held."""

    records: tuple[Record, ...] = ()
    """In the order of the lines."""
    malformed: int = 0
    """Lines that are marked as records and cannot be read as such."""
    dropped: int = 0
    """Records that were more than are kept."""
