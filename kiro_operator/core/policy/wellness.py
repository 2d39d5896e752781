"""How long each target has been well, as far as this process has watched.

The ledger tells what was done, not what came after. Whether a target that no remedy helped has
recovered in between, so that its next fault is a new episode, is remembered here; a process that
has just started has seen nobody recover, which is the narrow assumption.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

UNWATCHED = timedelta(minutes=5)
"""Time without a look after which nobody can say that a target was well throughout; each is due every two."""


class Need(Struct, frozen=True):
    """That a target wants an action; it ends when it has wanted none for a quiet period."""

    since: datetime
    """In whole seconds: it is told in the status, and read from there by the next process."""
    check: str
    """The check that asked for it last."""
    over_since: datetime | None = None
    """Since when nothing is wanted; None while something is, or nothing can be seen."""
    asked: bool = False
    """A person has been asked about an action, which may have been denied since."""


class Wellness(Struct, frozen=True):
    """What this process has seen of one target's health."""

    well_since: datetime | None = None
    """Since when nothing is found against it; None while something is, or nothing can be seen."""
    recovered_at: datetime | None = None
    """When it had last been well for a quiet period on end."""
    unwell_at: datetime | None = None
    """When something was last found against it, or nothing could be seen."""
    need: Need | None = None
    """Whether it wants an action, whatever its health."""
    back: Need | None = None
    """That it may give back what was added to it; it ends when something is found against the target."""
    seen_at: datetime | None = None
    """The last look, whatever it saw; None before the first of this process."""


Memory = Mapping[str, Wellness]
"""By the UID of the target."""


def looked_again(before: Wellness, now: datetime) -> Wellness:
    """What is known of a target as a look begins: what went on while nobody looked is no health.

    That is while the KiroHealthCheck was suspended, nothing could be worked on, or the clock leapt ahead.
    """
    if before.seen_at is None or now - before.seen_at <= UNWATCHED:
        return replace(before, seen_at=now)
    need = before.need and replace(before.need, over_since=None)
    return Wellness(None, before.recovered_at, now, need, before.back, now)


def remember(before: Wellness, *, well: bool, quiet: timedelta, now: datetime) -> Wellness:
    """What is known of a target after one more look. Times in the future count as now."""
    well_since, recovered_at, unwell_at = (
        moment and min(moment, now) for moment in (before.well_since, before.recovered_at, before.unwell_at)
    )
    if well_since is not None and now - well_since >= quiet:
        recovered_at = now
    if not well:
        return Wellness(None, recovered_at, now, before.need, before.back, before.seen_at)
    return Wellness(well_since or now, recovered_at, unwell_at, before.need, before.back, before.seen_at)


def still_needed(
    before: Need | None, check: str | None, *, seen: bool, quiet: timedelta, now: datetime
) -> Need | None:
    """What a target wants after one more look, at which ``check`` asked for an action, or none did.

    A look that sees nothing ends no need.
    """
    if before is not None and before.over_since is not None and now - before.over_since >= quiet:
        before = None
    if check is not None:
        return replace(before or Need(now.replace(microsecond=0), check), check=check, over_since=None)
    if before is None or not seen:
        return before and replace(before, over_since=None)
    return replace(before, over_since=min(before.over_since or now, now))
