"""How long each target has been well, as far as this process has watched.

The ledger tells what was done, not what came after. Whether a target that no remedy helped has
recovered in between, so that its next fault is a new episode, is remembered here; a process that
has just started has seen nobody recover, which is the narrow assumption.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct


class Wellness(Struct, frozen=True):
    """What this process has seen of one target's health."""

    well_since: datetime | None = None
    """Since when nothing is found against it; None while something is, or nothing can be seen."""
    recovered_at: datetime | None = None
    """When it had last been well for a quiet period on end."""
    unwell_at: datetime | None = None
    """When something was last found against it, or nothing could be seen."""


Memory = Mapping[str, Wellness]
"""By the UID of the target."""


def remember(before: Wellness, *, well: bool, quiet: timedelta, now: datetime) -> Wellness:
    """What is known of a target after one more look. Times in the future count as now."""
    well_since, recovered_at, unwell_at = (
        moment and min(moment, now) for moment in (before.well_since, before.recovered_at, before.unwell_at)
    )
    if well_since is not None and now - well_since >= quiet:
        recovered_at = now
    if not well:
        return Wellness(None, recovered_at, now)
    return Wellness(well_since or now, recovered_at, unwell_at)
