"""Durations and schedules, as the models read them and as the server's rules describe them."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1 import KiroSafetyPolicy
from kiro_operator.api.v1alpha1.types import format_duration, parse_duration
from tools.crds import structural

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pattern(*path: str) -> str:
    """The regular expression in the rule of a field of spec."""
    node = structural(KiroSafetyPolicy)["properties"]["spec"]
    for step in path:
        node = node["items"] if step == "[]" else node["properties"][step]
    found = re.search(r"matches\('(.*?)'\)", node["x-kubernetes-validations"][0]["rule"])
    assert found is not None
    return found[1]


DURATION = pattern("cooldown")
SCHEDULE = pattern("forbiddenWindows", "[]", "schedule")


@given(st.integers(min_value=0, max_value=999_999 * 3600).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_written_is_read_back(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.from_regex(DURATION, fullmatch=True).filter(bool))
def test_all_that_the_server_accepts_is_read_and_keeps_its_value(text: str) -> None:
    value = parse_duration(text)
    assert parse_duration(format_duration(value)) == value


@given(st.text(max_size=12))
def test_what_is_no_duration_is_refused_as_the_server_does(text: str) -> None:
    accepted = bool(text) and re.fullmatch(DURATION, text) is not None
    if accepted:
        parse_duration(text)
    else:
        with pytest.raises(ValueError, match="is not a duration: write one such as 30s, 5m or 1h30m"):
            parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "m",
        "5 m",
        "-5m",
        "1.5h",
        "5m\n",
        "5M",
        "1d",
        "1h1h",
        "30s5m",
        "\N{ARABIC-INDIC DIGIT FIVE}m",
        "1234567s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.from_regex(SCHEDULE, fullmatch=True))
def test_a_schedule_that_the_server_accepts_is_one_unless_it_is_backwards_or_never(text: str) -> None:
    try:
        CronSim(text.strip(), NOW)
    except CronSimError:
        days = re.split(r"[,/-]", text.split()[2])
        assert "-" in text or any(day in {"30", "31"} for day in days)


@pytest.mark.parametrize(
    "text",
    ["0 22 * * 5", "*/15 * * * *", "0 0 1,15 JAN-MAR MON-FRI", "05 08-18/2 * * 0,7", "0  22 * * SUN"],
)
def test_usual_schedules_pass(text: str) -> None:
    assert re.search(SCHEDULE, text)
    CronSim(text, NOW)
