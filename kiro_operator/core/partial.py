"""What an answer of Prometheus proves when it is not all that there is.

What is missing may be what would explain a fault, or another one: it makes neither Fail nor Pass.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from kiro_operator.core.evidence.series import CUT, PARTIAL, Answer, partial
from kiro_operator.core.findings import clip
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict


def lacking(*answers: Answer | Unobserved) -> tuple[str, ...]:
    """What the server says is missing from several answers, and which of them are empty for it."""
    words = {text for told in answers if isinstance(told, Answer) for text in partial(told)}
    empty = {told.message for told in answers if isinstance(told, Unobserved) and told.reason == PARTIAL}
    return tuple(sorted(words | empty))


def proven(missing: Collection[str]) -> Status:
    """The gravest that a fault may be, seen in an answer from which this is missing.

    A cut takes nothing away from the series that are there: a fault in one of them is a fault.
    """
    return Status.FAIL if set(missing) <= {CUT} else Status.WARN


def weighed(
    certain: Sequence[Finding], seen: Sequence[Finding], missing: Collection[str]
) -> tuple[list[Finding], Status]:
    """What is to be told, and how grave it is: beside what is certain nothing that may not be so.

    Args:
        certain: faults known from elsewhere.
        seen: faults seen in an answer.
        missing: what is missing from that answer.
    """
    status = proven(missing)
    if certain and status is not Status.FAIL:
        return list(certain), Status.FAIL
    return [*certain, *seen], status


def incomplete(missing: Collection[str]) -> Verdict:
    """No fault is seen, and something is missing."""
    text = f"Prometheus says that its answer is not complete: {'; '.join(missing)}"
    return Verdict(Status.WARN, PARTIAL, clip(text, 1000))


def unnumbered(ref: Ref, noun: str, since: datetime) -> Finding:
    """Something that cannot be judged, beside others that can."""
    text = f"its {noun} is no number: see what the query divides by"
    return Finding(ref, "NotANumber", f"{ref.kind} {ref.name}: {text}", since)
