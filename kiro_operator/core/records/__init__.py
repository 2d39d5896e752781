"""Records that Kiro writes into its logs: JSON lines with fields that docs/records.md defines."""

from kiro_operator.core.records.parse import parse
from kiro_operator.core.records.types import (
    DecisionKind,
    DecisionRecord,
    Feedback,
    OperationRecord,
    Outcome,
    QueryRecord,
    Record,
    RecordObject,
    Records,
    TraceRecord,
)

__all__ = [
    "DecisionKind",
    "DecisionRecord",
    "Feedback",
    "OperationRecord",
    "Outcome",
    "QueryRecord",
    "Record",
    "RecordObject",
    "Records",
    "TraceRecord",
    "parse",
]
