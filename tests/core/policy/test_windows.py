"""Windows open and close by the wall clock of their place, whatever the clocks do."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.safetypolicy import Window
from kiro_operator.core.policy.types import Allow, Deny, Ledger
from kiro_operator.core.policy.windows import closed_from, open_until, opens_at
from tests.core.policy.asking import BY_NAME
from tests.core.policy.make import intent, policy, situation


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
        # Southern hemisphere. Sydney, 5 April 2026: 03:00 is followed by 02:00; 4 October: 02:00 by 03:00.
        ("30 2 * * *", "20m", "Australia/Sydney", "2026-04-04T15:40:00Z", "2026-04-04T15:50:00Z"),
        ("30 2 * * *", "20m", "Australia/Sydney", "2026-04-04T16:40:00Z", "2026-04-04T16:50:00Z"),
        ("30 2 * * *", "20m", "Australia/Sydney", "2026-10-03T15:59:59Z", None),
        ("30 2 * * *", "20m", "Australia/Sydney", "2026-10-03T16:10:00Z", "2026-10-03T16:20:00Z"),
        # Lord Howe shifts by half an hour: 02:00 is followed by 01:30, and in spring by 02:30.
        ("45 1 * * *", "10m", "Australia/Lord_Howe", "2026-04-04T14:50:00Z", "2026-04-04T14:55:00Z"),
        ("45 1 * * *", "10m", "Australia/Lord_Howe", "2026-04-04T15:20:00Z", "2026-04-04T15:25:00Z"),
        ("15 2 * * *", "10m", "Australia/Lord_Howe", "2026-10-03T15:35:00Z", "2026-10-03T15:40:00Z"),
        # Offsets that are no whole hours, with and without a change.
        ("0 8 * * *", "1h", "Asia/Kathmandu", "2026-06-10T02:15:00Z", "2026-06-10T03:15:00Z"),
        ("0 3 * * *", "30m", "Pacific/Chatham", "2026-04-04T13:20:00Z", "2026-04-04T13:45:00Z"),
        ("0 3 * * *", "30m", "Pacific/Chatham", "2026-04-04T14:20:00Z", "2026-04-04T14:45:00Z"),
        # Santiago changes at midnight: on 6 September 2026 there is no 00:00.
        ("0 0 * * *", "1h", "America/Santiago", "2026-09-06T04:30:00Z", "2026-09-06T05:00:00Z"),
        ("0 0 * * *", "1h", "America/Santiago", "2026-09-06T03:59:00Z", None),
        # Open over the change, in both directions.
        ("0 23 * * *", "6h", "Australia/Sydney", "2026-04-04T17:59:00Z", "2026-04-04T18:00:00Z"),
        ("0 23 * * *", "6h", "Australia/Sydney", "2026-10-03T18:59:00Z", "2026-10-03T19:00:00Z"),
    ],
)
def test_open_until(schedule: str, duration: str, zone: str, now: str, until: str | None) -> None:
    assert open_until(window(schedule, duration, zone), at(now)) == (until and at(until))


@pytest.mark.parametrize(
    ("schedule", "zone", "now", "opens"),
    [
        ("0 22 * * 5", "UTC", "2026-06-12T21:59:59.5Z", "2026-06-12T22:00:00Z"),
        ("0 22 * * 5", "UTC", "2026-06-12T22:00:00Z", "2026-06-19T22:00:00Z"),
        ("* * * * *", "UTC", "2026-06-12T22:00:30Z", "2026-06-12T22:01:00Z"),
        ("0 0 29 2 *", "UTC", "2026-06-10T12:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 8 * * *", "Asia/Kathmandu", "2026-06-10T02:14:00Z", "2026-06-10T02:15:00Z"),
        # A time that does not exist: the first minute after the gap.
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", "2026-10-03T15:30:00Z"),
        ("0 0 * * *", "America/Santiago", "2026-09-06T03:00:00Z", "2026-09-06T04:00:00Z"),
        # One that exists twice opens twice, also when clocks show a later time just now.
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:50:00Z", "2026-10-25T01:30:00Z"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-26T01:30:00Z"),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:50:00Z", "2026-04-04T15:15:00Z"),
        ("*/30 2 * * *", "Australia/Sydney", "2026-04-04T15:31:00Z", "2026-04-04T16:00:00Z"),
    ],
)
def test_opens_at(schedule: str, zone: str, now: str, opens: str) -> None:
    assert opens_at(window(schedule, "1m", zone), at(now)) == at(opens)


def test_a_schedule_that_cannot_be_read_opens_never() -> None:
    with pytest.raises(ValueError, match="five fields"):
        opens_at(window("0 0 * * * *", "1h"), at("2026-06-10T12:00:00Z"))


def test_windows_that_overlap_are_open_on_end() -> None:
    now = at("2026-06-10T12:00:00Z")
    early, late = window("0 11 * * *", "2h"), window("30 12 * * *", "1h")
    late = late.model_copy(update={"name": "late"})
    assert closed_from((early, late), now) == (at("2026-06-10T13:30:00Z"), "late")
    assert closed_from((early,), now) == (at("2026-06-10T13:00:00Z"), "w")
    assert closed_from((late,), now) is None
    assert closed_from((), now) is None
    always = closed_from((window("* * * * *", "1h"),), now)
    assert always is not None
    assert always[0] > now + timedelta(days=1)


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


zoned = st.builds(
    lambda hour, minute, hours, zone, name: Window.model_validate(
        {"name": name, "schedule": f"{minute} {hour} * * *", "duration": f"{hours}h", "timeZone": zone}
    ),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(1, 11),
    st.sampled_from((*ZONES, "Australia/Sydney", "America/Santiago", "Pacific/Chatham")),
    st.sampled_from("abc"),
)
moments = st.builds(
    lambda change, seconds: change + timedelta(seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-2 * 24 * 3600, 2 * 24 * 3600),
)
INSTANT = timedelta(microseconds=1)


def answers(gate: str, field: str, windows: list[Window], now: datetime) -> Allow | Deny:
    changed = policy().model_copy(update={field: windows})
    return BY_NAME[gate](intent(), changed, situation(), Ledger(), now)


@given(st.lists(zoned, min_size=1, max_size=2), moments)
def test_until_is_in_the_future_and_then_the_answer_changes(windows: list[Window], now: datetime) -> None:
    """For either kind of window, and up to that very moment the answer stays."""
    for gate, field in (
        ("forbidden-windows", "forbidden_windows"),
        ("maintenance-windows", "maintenance_windows"),
    ):
        answer = answers(gate, field, windows, now)
        if isinstance(answer, Allow):
            continue
        assert answer.until is not None
        assert answer.until > now
        assert isinstance(answers(gate, field, windows, answer.until), Allow)
        before = answers(gate, field, windows, answer.until - INSTANT)
        assert isinstance(before, Deny)
        assert before.until == answer.until


@given(zoned, moments)
def test_what_opens_next_is_the_first_moment_at_which_it_is_open(window: Window, now: datetime) -> None:
    opens = opens_at(window, now)
    assert opens is not None
    assert opens > now
    assert open_until(window, opens) == opens + window.duration
    # Between now and then it does not open: what is open in between was open before.
    just_before = open_until(window, opens - INSTANT)
    assert just_before is None or just_before == open_until(window, now)


@pytest.mark.parametrize(
    ("zone", "schedule", "now", "expected"),
    [
        ("Europe/Berlin", "15,55 2 * * *", "2026-10-25T00:50Z", "2026-10-25T00:55Z"),
        ("Europe/Berlin", "15,55 2 * * *", "2026-10-25T00:56Z", "2026-10-25T01:15Z"),
        ("Europe/Berlin", "15,55 2 * * *", "2026-10-25T01:20Z", "2026-10-25T01:55Z"),
        ("America/New_York", "15,55 1 * * *", "2026-11-01T05:50Z", "2026-11-01T05:55Z"),
        ("America/New_York", "15,55 1 * * *", "2026-11-01T05:56Z", "2026-11-01T06:15Z"),
    ],
)
def test_in_an_hour_that_comes_twice_a_later_time_may_open_first(
    zone: str, schedule: str, now: str, expected: str
) -> None:
    twice = Window.model_validate({"name": "w", "schedule": schedule, "duration": "1m", "timeZone": zone})
    assert opens_at(twice, at(now)) == at(expected)
