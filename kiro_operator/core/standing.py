"""Since when what one check finds has stood, for another check that weighs it."""

from collections.abc import Mapping
from datetime import datetime

from kiro_operator.core.snapshot import AWAITING, Ref, Stands, Unobserved, Weighed
from kiro_operator.core.verdict import Status, Verdict

Since = Mapping[tuple[str, str], datetime]
"""Since when each object is found at fault, by kind and name."""


def stood(before: Since, verdict: Verdict, now: datetime) -> Since:
    """Since when each object of a settled verdict has been found without a break.

    Unknown breaks nothing, nor does a Fail that is held while nothing new was seen, nor a Warn: half an
    answer proves nothing gone.
    """
    if verdict.status is Status.UNKNOWN or (verdict.status is Status.FAIL and not verdict.findings):
        return before
    if verdict.status not in {Status.FAIL, Status.WARN}:
        return {}
    keys = {(item.object.kind, item.object.name) for item in verdict.findings}
    found = {key: min(before.get(key, now), now) for key in keys}
    return {**before, **found} if verdict.status is Status.WARN else found


def weighed(verdict: Verdict, since: Since, now: datetime) -> Weighed:
    """A verdict as another check sees it."""
    stands = tuple(
        Stands(
            Ref(item.object.kind, item.object.name),
            item.message,
            since.get((item.object.kind, item.object.name), now),
        )
        for item in verdict.findings
        if verdict.status is Status.FAIL
    )
    if verdict.status is Status.PASS or stands:
        return Weighed(known=True, stands=stands)
    # A Fail without findings is that of an earlier process, which has not been looked at again.
    cause = AWAITING if verdict.status is Status.FAIL else Unobserved(verdict.reason, verdict.message)
    return Weighed(known=False, hidden=cause if since else None)
