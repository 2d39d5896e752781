"""What people note on a KiroHealthCheck: read where it can be, and told of where it cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.checks.signal_quality._ratings import with_misread
from kiro_operator.core.feedback import NOTES, Cell, annotated, misread, notes, recent
from kiro_operator.core.findings import MESSAGE_LIMIT
from kiro_operator.core.objects import Record
from kiro_operator.core.verdict import Status, Verdict, passed, too_few

CHECKS = ("pods-ready", "service-logs")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
LONG_AGO = datetime.fromtimestamp(0, UTC)
FEEDBACK, OUTCOME = "feedback.kiro.dev/", "outcome.kiro.dev/"

words = st.text("abcdefghijklmnopqrstuvwxyz-.0123456789TZ", max_size=30)
keys = st.one_of(
    st.builds("{}{}".format, st.sampled_from([FEEDBACK, OUTCOME]), words),
    st.builds("{}pods-ready.{}".format, st.just(FEEDBACK), words),
    st.builds(
        "{}Escalated.2026{:04}T{:06}Z".format, st.just(OUTCOME), st.integers(0, 9999), st.integers(0, 999999)
    ),
)
texts = st.one_of(
    st.text(st.characters(max_codepoint=0xFF), max_size=60),
    st.sampled_from(["unnecessary", " False-Positive ", "necessary"]),
)


@given(st.dictionaries(keys, texts, max_size=12))
def test_nothing_that_is_written_gets_lost(told: dict[str, str]) -> None:
    read = notes(told, CHECKS)
    for noted in (read.feedback, read.outcomes):
        kept, unread = recent(noted, timedelta(days=365), NOW)
        assert len(kept) + len(unread) <= len(noted.ratings) + len(noted.misread)
        assert all(text.isprintable() and len(text) < 500 for text in unread)
    counted = sum(len(noted.ratings) + len(noted.misread) for noted in (read.feedback, read.outcomes))
    assert counted == len(told)


def test_what_a_rating_is_about() -> None:
    told = {
        f"{FEEDBACK}pods-ready.20260302T110000Z": "False-Positive",
        f"{OUTCOME}Escalated.20260301T080000Z": " unnecessary ",
        "kiro.dev/requestedAt": "now",
    }
    assert annotated(told) == {key: told[key] for key in told if not key.startswith("kiro.dev/")}
    read = notes(told, CHECKS)
    [verdict], [escalation] = read.feedback.ratings, read.outcomes.ratings
    assert (verdict.check, verdict.cell, verdict.time.hour) == ("pods-ready", Cell.FALSE_POSITIVE, 11)
    assert (escalation.check, escalation.worth, escalation.time.day) == ("", False, 1)
    assert not read.feedback.misread
    assert not read.outcomes.misread


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        (f"{FEEDBACK}pods-redy.20260302T110000Z", "false-positive", "there is no check pods-redy"),
        (f"{FEEDBACK}pods-ready", "false-positive", "write feedback.kiro.dev/CHECK.TIME"),
        (f"{FEEDBACK}pods-ready.20261302T110000Z", "false-positive", "with a TIME such as 20260302T110000Z"),
        (f"{FEEDBACK}pods-ready.20260302T110000Z", "wrong", "'wrong' is none of true-positive"),
        (f"{OUTCOME}Healthy.20260302T110000Z", "unnecessary", "only Escalated is rated"),
        (f"{OUTCOME}Escalated.20260302T110000Z", "\x1b[31m" * 99, "'\\x1b[31m"),
    ],
)
def test_what_is_wrong_is_said(key: str, text: str, why: str) -> None:
    read = notes({key: text}, CHECKS)
    [told] = [*read.feedback.misread, *read.outcomes.misread]
    assert told.startswith(f"{key}: ")
    assert why in told
    assert not read.feedback.ratings
    assert not read.outcomes.ratings


def test_only_so_many_are_read_and_that_is_said() -> None:
    begin = NOW - timedelta(days=1)
    told = {
        f"{FEEDBACK}pods-ready.{begin + timedelta(seconds=number):%Y%m%dT%H%M%SZ}": "true-positive"
        for number in range(NOTES + 5)
    }
    noted = notes(told, CHECKS).feedback
    assert len(noted.ratings) == NOTES
    assert noted.ratings[0].time == begin + timedelta(seconds=5), "the latest are kept"
    assert noted.misread == (
        f"only the latest {NOTES} annotations feedback.kiro.dev/… are read: remove old ones",
    )


def test_a_time_to_come_does_not_count() -> None:
    told = {f"{FEEDBACK}pods-ready.{year}0302T120000Z": "true-positive" for year in (2025, 2026, 2062)}
    kept, unread = recent(notes(told, CHECKS).feedback, timedelta(days=30), NOW)
    assert [item.time.year for item in kept] == [2026]
    assert unread == [f"{FEEDBACK}pods-ready.20620302T120000Z: its time is still to come"]


def test_words_on_records_that_nobody_understands() -> None:
    def record(name: str, **noted: str) -> Record:
        said = {f"kiro.dev/{key}": text for key, text in noted.items()}
        body = {"metadata": {"name": name, "creationTimestamp": "2026-03-02T11:00:00Z", "annotations": said}}
        return msgspec.json.decode(msgspec.json.encode(body), type=Record)

    records = [
        record("r1", outcome="Helpful", feedback="wrong"),
        record("r2", outcome="usless"),
        record("r3", feedback="righ"),
    ]
    [outcome], [feedback] = (
        misread(records, "outcome", LONG_AGO),
        misread(records, "feedback", LONG_AGO),
    )
    assert outcome.startswith("kiro.dev/outcome of r2: 'usless' is none of helpful")
    assert feedback.startswith("kiro.dev/feedback of r3: 'righ' is none of correct")
    assert misread(records, "outcome", NOW) == []


@pytest.mark.parametrize("verdict", [passed("well"), too_few("few"), Verdict(Status.FAIL, "Bad", "x" * 1024)])
@pytest.mark.parametrize("count", [0, 1, 3, 500])
def test_a_verdict_tells_what_did_not_count(verdict: Verdict, count: int) -> None:
    told = with_misread(verdict, [f"{number} is not understood" + "!" * 300 for number in range(count)])
    assert len(told.message) <= MESSAGE_LIMIT
    if not count:
        assert told == verdict
        return
    assert "Not counted: 0 is not understood" in told.message
    assert ("and 497 more" in told.message) == (count == 500)
    passes = verdict.status is Status.PASS
    assert (told.status, told.reason) == (
        (Status.WARN, "RatingsMisread") if passes else (verdict.status, verdict.reason)
    )
