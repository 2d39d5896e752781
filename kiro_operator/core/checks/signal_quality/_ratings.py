"""What the checks on ratings share: a note on what people wrote and nobody understands."""

from collections.abc import Sequence

from msgspec.structs import replace

from kiro_operator.core.findings import MESSAGE_LIMIT, clip
from kiro_operator.core.verdict import Status, Verdict

_NAMED = 3
_WORDS = 200


def with_misread(verdict: Verdict, misread: Sequence[str]) -> Verdict:
    """The verdict with a note on the ratings that did not count; it does not pass while there are any."""
    if not misread:
        return verdict
    told = "; ".join(clip(text, _WORDS) for text in misread[:_NAMED])
    rest = len(misread) - _NAMED
    note = f"Not counted: {told}{f'; and {rest} more' if rest > 0 else ''}."
    if verdict.status is Status.PASS:
        return Verdict(Status.WARN, "RatingsMisread", note)
    return replace(verdict, message=f"{clip(verdict.message, MESSAGE_LIMIT - len(note) - 1)} {note}")
