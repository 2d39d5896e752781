"""Recurring spans of time, in the wall-clock time of a place.

A schedule names wall-clock times. A time that the clocks skip in spring opens its window at the
first minute after the gap; a time that happens twice in autumn opens it twice. The duration is
time that really passes. Only wall-clock times are handed to cronsim, and turned into instants
here: given a zone it opens some schedules once in autumn, drops others in spring, and, going
backwards, misses those of the repeated hour.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from kiro_operator.api.v1alpha1.safetypolicy import Window

_DAY = timedelta(days=1)
_FIELDS = 5


def open_until(window: Window, now: datetime) -> datetime | None:
    """When the window that is open now closes; None while it is closed.

    Raises:
        ValueError: its schedule or its time zone cannot be understood.
    """
    zone = _zone(window.time_zone)
    earliest = _wall(now, UTC) - window.duration
    offsets = [_offset(moment, zone) for moment in (now, now - _DAY, now - _DAY - window.duration)]
    latest: datetime | None = None
    for wall in _openings_until(window.schedule, _wall(now, UTC) + max(offsets)):
        # No wall-clock time is a later instant than the smallest offset makes it.
        if wall - min(offsets) <= (earliest if latest is None else _wall(latest, UTC)):
            break
        for instant in _instants(wall, zone):
            if instant <= now and (latest is None or instant > latest):
                latest = instant
    return latest + window.duration if latest is not None and now < latest + window.duration else None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"time zone {name!r} is not known: write one such as Europe/Berlin or UTC"
        ) from error


def _openings_until(schedule: str, wall: datetime) -> Iterator[datetime]:
    """The schedule's wall-clock times, newest first, up to and with the one given."""
    advice = "write five cron fields, minute hour day month weekday, such as 0 22 * * 5"
    if len(schedule.split()) != _FIELDS:
        raise ValueError(f"schedule {schedule!r} has not five fields: {advice}")
    try:
        return CronSim(schedule, wall + timedelta(seconds=1), reverse=True)
    except (CronSimError, ValueError, AssertionError) as error:
        raise ValueError(f"schedule {schedule!r} cannot be read ({error}): {advice}") from error


def _instants(wall: datetime, zone: ZoneInfo) -> set[datetime]:
    """The instants, in UTC, at which clocks of the zone show that time."""
    while _wall(wall.replace(tzinfo=zone).astimezone(UTC), zone) != wall:
        wall += timedelta(minutes=1)
    return {wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    """What clocks of the zone show at that moment."""
    return moment.astimezone(zone).replace(tzinfo=None)


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return _wall(moment, zone) - _wall(moment, UTC)
