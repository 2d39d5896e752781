"""Recurring spans of time, in the wall-clock time of a place.

A schedule names wall-clock times. A time that the clocks skip in spring opens its window at the
first minute after the gap; a time that happens twice in autumn opens it twice. The duration is
time that really passes. Only wall-clock times are handed to cronsim, and turned into instants
here: given a zone it opens some schedules once in autumn, drops others in spring, and, going
backwards, misses those of the repeated hour.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from kiro_operator.api.v1alpha1.safetypolicy import Window

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_CLOSINGS = 200
"""Closings of windows that overlap that are followed."""
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


def opens_at(window: Window, now: datetime) -> datetime | None:
    """When the window opens next, after now; None where its schedule comes round no more.

    Raises:
        ValueError: its schedule or its time zone cannot be understood.
    """
    zone = _zone(window.time_zone)
    # Clocks that go back ahead of us show again what they showed before: those times are yet to come.
    back = max(timedelta(0), _offset(now, zone) - _offset(now + _DAY, zone))
    first: datetime | None = None
    for wall in _walls(window.schedule, _wall(now, zone) - back - _SECOND):
        # No wall-clock time is an earlier instant than the largest offset makes it.
        if first is not None and wall - _largest_offset(first, zone) > _wall(first, UTC):
            break
        for instant in _instants(wall, zone):
            if instant > now and (first is None or instant < first):
                first = instant
    return first


def _largest_offset(moment: datetime, zone: ZoneInfo) -> timedelta:
    return max(_offset(each, zone) for each in (moment - _DAY, moment, moment + _DAY))


@lru_cache(maxsize=512)
def closed_from(windows: tuple[Window, ...], now: datetime) -> tuple[datetime, str] | None:
    """From when on none of the windows is open, and which keeps them open until then; None while none is.

    Windows that overlap, also with themselves, are open on end. They are followed through a number of
    closings; where that does not reach the end, it is a time at which one of them is open still.

    Raises:
        ValueError: a schedule or a time zone cannot be understood.
    """
    found: tuple[datetime, str] | None = None
    at = now
    for _ in range(_CLOSINGS):
        latest = max(
            ((until, window.name) for window in windows if (until := _open(window, at)) is not None),
            default=None,
        )
        if latest is None:
            return found
        at, found = latest[0], latest
    return found


def _open(window: Window, now: datetime) -> datetime | None:
    """As open_until, and says which window cannot be understood."""
    try:
        return open_until(window, now)
    except ValueError as error:
        raise ValueError(f"{window.name}: {error}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(
            f"time zone {name!r} is not known: write one such as Europe/Berlin or UTC"
        ) from error


def _openings_until(schedule: str, wall: datetime) -> Iterator[datetime]:
    """The schedule's wall-clock times, newest first, up to and with the one given."""
    return _walls(schedule, wall + _SECOND, reverse=True)


def _walls(schedule: str, wall: datetime, *, reverse: bool = False) -> Iterator[datetime]:
    """The schedule's wall-clock times after the one given, or those before it, newest first."""
    advice = "write five cron fields, minute hour day month weekday, such as 0 22 * * 5"
    if len(schedule.split()) != _FIELDS:
        raise ValueError(f"schedule {schedule!r} has not five fields: {advice}")
    try:
        return CronSim(schedule, wall, reverse=reverse)
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
