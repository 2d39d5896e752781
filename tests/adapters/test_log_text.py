"""Logs as text: whatever comes, lines are bounded, counted once, and without secrets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.adapters.kubernetes.log_text import (
    CHUNK,
    LONGEST,
    SECOND,
    Line,
    Read,
    _chunks,
    nanoseconds,
    readable,
    split,
)
from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.core.loglines import LINE_LIMIT
from kiro_operator.core.records import QueryRecord

T0 = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
N0 = nanoseconds(T0)


def stamp(nanos: int) -> bytes:
    whole, fraction = divmod(nanos, SECOND)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z ".encode()


def log(*lines: tuple[int, bytes]) -> bytes:
    return b"".join(stamp(N0 + after) + text + b"\n" for after, text in lines)


def cut(content: bytes, after: int = 0, limit: int = 1 << 20, lines: int = 1000) -> Read:
    return split(content, after=after, limit_bytes=limit, max_lines=lines)


def texts(read: Read) -> list[str]:
    return [line.text for line in read.lines]


def test_lines_of_the_second_that_was_read_do_not_come_twice() -> None:
    content = log((100, b"a"), (200, b"b"), (200, b"c"))
    first = cut(content)
    assert texts(first) == ["a", "b", "c"]
    again = cut(content + log((201, b"d"), (SECOND, b"e")), first.last)
    assert texts(again) == ["d", "e"]
    assert again.last == N0 + SECOND
    assert not again.truncated
    assert texts(cut(content, first.last)) == []
    assert cut(content, first.last).last == first.last


@pytest.mark.parametrize(
    ("text", "offset"),
    [
        ("2026-01-01T12:00:00Z", 0),
        ("2026-01-01T12:00:00.5Z", 500_000_000),
        ("2026-01-01T13:00:00.000000001+01:00", 1),
        ("2026-01-01T06:30:00.123456789-05:30", 123456789),
    ],
)
def test_times(text: str, offset: int) -> None:
    (line,) = cut(f"{text} hello\n".encode()).lines
    assert line == Line(N0 + offset, "hello")


def test_the_kubelets_own_words_are_no_lines() -> None:
    assert cut(b"unable to retrieve container logs for containerd://4711\n").lines == ()
    assert cut(b"2026-13-77T99:00:00Z no such time\n").lines == ()


def test_binary() -> None:
    (line,) = cut(log((0, b"\xff\xfe\x00PK\x03\x04 p\x00ass\x80\r"))).lines
    assert line.text == "��PK\x03\x04 pass�"
    assert cut(log((0, b""))).lines == (Line(N0, ""),)


async def test_a_line_of_a_megabyte() -> None:
    content = log((0, b"x" * 1_000_000), (1, b"next"))
    read = cut(content[:262_144], limit=262_144)
    assert read.truncated
    # The same second would bring the same bytes again, so it is over.
    assert read.last == N0 + SECOND
    text = await readable(read.lines, RecordsEvidence())
    assert text.cut
    assert text.lines == ("x" * LINE_LIMIT,)


def test_what_is_left_of_a_short_line_goes() -> None:
    content = log((0, b"first"), (1, b"dial postgres://kiro:hunter2@db"))
    read = cut(content[:-8], limit=len(content) - 8)
    assert texts(read) == ["first"]
    assert read.truncated
    stump = cut(content[:20], limit=20)
    assert stump.lines == ()
    assert stump.truncated


def test_more_lines_than_asked_for() -> None:
    content = log(*((index, b"line") for index in range(10)))
    assert cut(content, lines=10).truncated
    assert not cut(content, lines=11).truncated
    # The first is known: nothing lies between what was read then and now.
    assert not cut(content, N0, lines=10).truncated


async def test_secrets_are_redacted_before_lines_are_cut() -> None:
    long = "x" * (LINE_LIMIT - 10) + " password=hunter2hunter2"
    text = await readable([Line(0, long), Line(1, "token: abcdef")], RecordsEvidence())
    assert text.cut
    assert "hunter2" not in "".join(text.lines)
    assert text.lines[1] == "token: [redacted]"


KEY = [
    "-----BEGIN RSA PRIVATE KEY-----",
    *["MIIEowIBAAKCAQEA" + "Zm9vYmFy" * 6] * 30,
    "-----END RSA PRIVATE KEY-----",
]


@given(st.integers(0, CHUNK + 3000))
async def test_a_private_key_across_chunks(before: int) -> None:
    padding = ["p" * 100] * (before // 100)
    text = await readable([Line(0, text) for text in (*padding, *KEY, "after")], RecordsEvidence())
    assert not any("MIIEow" in line for line in text.lines)
    assert text.lines[-1] == "after"


async def test_a_long_line_is_cut_before_it_is_looked_through() -> None:
    text = await readable([Line(0, "my-password-" * 350_000), Line(1, "after")], RecordsEvidence())
    assert text.cut
    assert text.lines[-1] == "after"
    assert max(len(chunk) for chunk in _chunks([Line(0, "x" * 4_000_000)])) == LONGEST


@given(st.binary(max_size=300), st.integers(0, 2 * N0), st.integers(1, 300), st.integers(1, 20))
async def test_no_bytes_break_it(content: bytes, after: int, limit: int, lines: int) -> None:
    for text in (content, stamp(N0) + content):
        read = split(text[:limit], after=after, limit_bytes=limit, max_lines=lines)
        assert read.last >= after
        kept = await readable(read.lines, RecordsEvidence())
        assert all(len(line) <= LINE_LIMIT and "\0" not in line and "\n" not in line for line in kept.lines)


@given(
    st.lists(st.integers(1, 3 * SECOND), min_size=1, max_size=60, unique=True).map(sorted),
    st.lists(st.integers(0, 4), min_size=1, max_size=8),
)
def test_every_line_is_read_exactly_once(times: list[int], steps: list[int]) -> None:
    """However samples fall between the lines; `sinceTime` is played as the kubelet does it."""
    written = [(time, str(time).encode()) for time in times]
    after, collected, visible = N0, list[str](), 0
    for step in [*steps, len(written)]:
        visible = min(len(written), visible + step)
        answer = [line for line in written[:visible] if N0 + line[0] >= after // SECOND * SECOND]
        read = cut(log(*answer), after)
        collected += texts(read)
        after = read.last
    assert collected == [str(time) for time in times]


@given(st.integers(200, 2000), st.integers(4, 30))
def test_a_burst_is_left_behind(limit: int, size: int) -> None:
    """Bytes that fill the limit again and again must not keep the reader where it is."""
    written = [(index * 1000, f"{index:0{size}}".encode()) for index in range(200)]
    written.append((5 * SECOND, b"the end"))
    after, seen = N0 - 1, list[str]()
    for _ in range(4):
        answer = [line for line in written if N0 + line[0] >= after // SECOND * SECOND]
        read = cut(log(*answer)[:limit], after, limit)
        seen += texts(read)
        after = read.last
    assert seen[-1] == "the end"
    assert len(seen) == len(set(seen))


def test_nanoseconds() -> None:
    assert nanoseconds(T0 + timedelta(microseconds=7)) - N0 == 7000


async def test_records_are_read_from_whole_lines_and_without_secrets() -> None:
    content = {
        "record": "query",
        "id": "q1",
        "text": "why",
        "environment": "token=hunter2",
        "pad": "x" * 5000,
    }
    text = await readable([Line(0, json.dumps(content)), Line(1, '{"record":"query"}')], RecordsEvidence())
    (record,) = text.records
    assert isinstance(record, QueryRecord)
    assert (record.id, record.environment) == ("q1", "token=[redacted]")
    assert (text.malformed, len(text.lines[0])) == (1, LINE_LIMIT)
