"""What the selected containers wrote since the last sample."""

from msgspec import Struct

from kiro_operator.core.records import Record
from kiro_operator.core.snapshot import Polled, Unobserved


class LogTail(Struct, frozen=True):
    """The new lines of one container's log, already redacted and bounded."""

    pod: str
    container: str
    lines: tuple[str, ...]
    seconds: float
    """Span of time the lines were asked for."""
    truncated: bool = False
    """More was written than the bounds let through."""
    previous: bool = False
    """The lines are those of the instance before the last crash."""
    records: tuple[Record, ...] = ()
    """The records in the lines, read once for all checks; spec.records says how."""
    malformed: int = 0
    """Lines that are marked as records and cannot be read as such."""
    window: tuple[Record, ...] = ()
    """The records of the last spec.records.window, these included; bounded to the latest."""


POD_LOGS: Polled[tuple[LogTail | Unobserved, ...]] = Polled("pod-logs", tuple[LogTail | Unobserved, ...])
