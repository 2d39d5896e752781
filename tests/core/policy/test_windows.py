"""Windows open and close by the wall clock of their place, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.safetypolicy import Window
from kiro_operator.core.policy.windows import open_until


def window(schedule: str, duration: str, zone: str = "UTC") -> Window:
    return Window.model_validate({"name": "w", "schedule": schedule, "duration": duration, "timeZone": zone})


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("schedule", "duration", "zone", "now", "until"),
    [
        ("0 22 * * 5", "8h", "UTC", "2026-06-12T21:59:59Z", None),
        ("0 22 * * 5", "8h", "UTC", "2026-06-12T22:00:00Z", "2026-06-13T06:00:00Z"),
        ("0 22 * * 5", "8h", "UTC", "2026-06-13T00:30:00Z", "2026-06-13T06:00:00Z"),
        ("0 22 * * 5", "8h", "UTC", "2026-06-13T05:59:59.9Z", "2026-06-13T06:00:00Z"),
        ("0 22 * * 5", "8h", "UTC", "2026-06-13T06:00:00Z", None),
        ("0 9 1 1 *", "168h", "UTC", "2026-01-08T08:59:00Z", "2026-01-08T09:00:00Z"),
        ("*/15 * * * *", "1m", "UTC", "2026-06-10T12:15:30Z", "2026-06-10T12:16:00Z"),
        ("*/15 * * * *", "1m", "UTC", "2026-06-10T12:16:00Z", None),
        ("* * * * *", "1h", "UTC", "2026-06-10T12:15:30Z", "2026-06-10T13:15:00Z"),
        # Berlin and New York: the same wall clock, winter and summer.
        ("0 8 * * *", "1h", "Europe/Berlin", "2026-01-15T07:30:00Z", "2026-01-15T08:00:00Z"),
        ("0 8 * * *", "1h", "Europe/Berlin", "2026-07-15T06:30:00Z", "2026-07-15T07:00:00Z"),
        ("0 8 * * *", "1h", "America/New_York", "2026-01-15T13:30:00Z", "2026-01-15T14:00:00Z"),
        ("0 8 * * *", "1h", "America/New_York", "2026-07-15T12:30:00Z", "2026-07-15T13:00:00Z"),
        # Berlin, 29 March 2026: 02:00 is followed by 03:00. The window opens after the gap.
        ("30 2 * * *", "1h", "Europe/Berlin", "2026-03-29T00:59:59Z", None),
        ("30 2 * * *", "1h", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"),
        ("30 2 * * *", "1h", "Europe/Berlin", "2026-03-29T02:00:00Z", None),
        ("*/30 2 * * *", "3h", "Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T04:00:00Z"),
        # Open over the gap: the duration is time that passes.
        ("0 22 * * 6", "8h", "Europe/Berlin", "2026-03-29T04:59:00Z", "2026-03-29T05:00:00Z"),
        ("0 22 * * 6", "8h", "Europe/Berlin", "2026-03-29T05:00:00Z", None),
        ("0 12 27 3 *", "168h", "Europe/Berlin", "2026-04-03T10:30:00Z", "2026-04-03T11:00:00Z"),
        # Berlin, 25 October 2026: 03:00 is followed by 02:00. The hour that happens twice opens twice.
        ("0 2 * * *", "1h", "Europe/Berlin", "2026-10-24T23:59:00Z", None),
        ("0 2 * * *", "1h", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"),
        ("0 2 * * *", "1h", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T02:00:00Z"),
        ("0 2 * * *", "1h", "Europe/Berlin", "2026-10-25T02:00:00Z", None),
        ("30 2 * * *", "1h", "Europe/Berlin", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ("0 22 * * 6", "8h", "Europe/Berlin", "2026-10-25T03:59:00Z", "2026-10-25T04:00:00Z"),
        ("0 22 * * 6", "8h", "Europe/Berlin", "2026-10-25T04:00:00Z", None),
        # New York: 8 March and 1 November 2026.
        ("30 2 * * *", "1h", "America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"),
        ("30 2 * * *", "1h", "America/New_York", "2026-03-08T06:59:00Z", None),
        ("0 1 * * *", "1h", "America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z"),
        ("0 1 * * *", "1h", "America/New_York", "2026-11-01T07:00:00Z", None),
    ],
)
def test_open_until(schedule: str, duration: str, zone: str, now: str, until: str | None) -> None:
    assert open_until(window(schedule, duration, zone), at(now)) == (until and at(until))


@pytest.mark.parametrize(
    ("schedule", "zone", "names"),
    [
        ("61 * * * *", "UTC", "61"),
        ("0 0 30 2 *", "UTC", "0 0 30 2"),
        ("0 0 * * * *", "UTC", "five"),
        ("every 5 minutes now ok", "UTC", "every"),
        ("0 8 * * *", "Mars/Olympus", "Mars/Olympus"),
        ("0 8 * * *", "../etc/passwd", "passwd"),
        ("0 8 * * *", "Europe", "Europe"),
    ],
)
def test_what_cannot_be_read_is_an_error(schedule: str, zone: str, names: str) -> None:
    with pytest.raises(ValueError, match=names):
        open_until(window(schedule, "1h", zone), at("2026-06-10T12:00:00Z"))


CHANGES = [
    at(text)
    for text in (
        "2026-03-29T01:00:00Z",
        "2026-10-25T01:00:00Z",
        "2026-03-08T07:00:00Z",
        "2026-11-01T06:00:00Z",
        "2026-04-04T15:00:00Z",
        "2026-10-03T15:30:00Z",
    )
]
"""When clocks of these zones change."""
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")


@given(
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    hours=st.integers(1, 30),
    zone=st.sampled_from(ZONES),
    now=st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-2 * 24 * 60, 2 * 24 * 60),
    ),
)
def test_a_daily_window_is_open_just_when_the_wall_clock_says(
    hour: int, minute: int, hours: int, zone: str, now: datetime
) -> None:
    span = timedelta(hours=hours)
    found = open_until(window(f"{minute} {hour} * * *", f"{hours}h", zone), now)
    # An opening is the first minute at which a clock that ticks in that zone shows the time.
    opened = None
    moment = now.replace(second=0, microsecond=0)
    for _ in range(hours * 60 + 1):
        wall = moment.astimezone(ZoneInfo(zone))
        before = (moment - timedelta(minutes=1)).astimezone(ZoneInfo(zone))
        skipped = (
            before.replace(tzinfo=None)
            < wall.replace(hour=hour, minute=minute, tzinfo=None)
            < wall.replace(tzinfo=None)
        )
        if (wall.hour, wall.minute) == (hour, minute) or skipped:
            opened = moment
            break
        moment -= timedelta(minutes=1)
    assert found == (opened + span if opened is not None and now < opened + span else None)
