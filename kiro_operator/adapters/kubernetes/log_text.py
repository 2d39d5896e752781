"""A container's log as the API gives it, made into bounded lines without secrets.

Every line comes with the time the container runtime gave it, in nanoseconds. That is how lines are
read once: the API's ``sinceTime`` is rounded down to a whole second, so the lines of that second come
again, and those not after the last one read are dropped here. Two lines of the same nanosecond on
both sides of a sample would lose the second; that is preferred to counting any line twice.
"""

import asyncio
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache

from msgspec import Struct

from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.core.loglines import LINE_LIMIT
from kiro_operator.core.records import Record, parse
from kiro_operator.core.records.parse import COUNT_LIMIT
from kiro_operator.core.redact import redact

SECOND = 1_000_000_000
"""In nanoseconds."""
LAST_SECOND = 253_402_300_799
"""The last that has a date of four digits, in seconds since 1970."""
CHUNK = 16_384
"""Characters that are redacted in one go; some 10 ms, then others have their turn."""
LONGEST = CHUNK + 1
"""Characters of a line that are redacted: one more than a record may have."""

_STAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2}) ?")


class Line(Struct, frozen=True):
    """One line, not yet redacted."""

    time: int
    """Nanoseconds since 1970."""
    text: str


class Read(Struct, frozen=True):
    """The new lines of one answer."""

    lines: tuple[Line, ...]
    last: int
    """What to go on after, in nanoseconds since 1970."""
    truncated: bool
    """More was written than the answer holds."""


def split(content: bytes, *, after: int, limit_bytes: int, max_lines: int) -> Read:
    """The lines that are newer than ``after``, in nanoseconds since 1970.

    An answer of ``limit_bytes`` was cut off at its end, one of ``max_lines`` at its beginning. What
    is left of a line that was cut off goes unless it is far longer than what is kept of any line:
    half a secret might not be known for one.
    """
    texts = content.decode("utf-8", "replace").replace("\0", "").split("\n")
    cut = len(content) >= limit_bytes
    if not texts[-1] or (cut and len(texts[-1]) < 2 * LINE_LIMIT):
        texts.pop()
    lines: list[Line] = []
    seen, last = False, after
    for text in texts:
        stamp = _STAMP.match(text)
        time = _nanoseconds(stamp) if stamp else None
        if stamp is None or time is None:
            # Not the container's, but the kubelet's own words about why there is no log.
            continue
        if time <= after:
            seen = True
            continue
        last = max(last, time)
        lines.append(Line(time, text[stamp.end() :].rstrip("\r")))
    if cut:
        # The same second would be answered with the same bytes again: go on after it.
        last = max(last, after + 1) // SECOND * SECOND + SECOND
    return Read(tuple(lines), last, cut or (len(texts) >= max_lines and not seen))


class Text(Struct, frozen=True):
    """What may be kept of some lines."""

    lines: tuple[str, ...]
    """Redacted, and each cut to LINE_LIMIT."""
    cut: bool
    """A line was longer, or there were more records than are kept."""
    records: tuple[Record, ...]
    malformed: int


async def readable(lines: Sequence[Line], mapping: RecordsEvidence) -> Text:
    """The lines' text without secrets, and the records in it.

    They are redacted many at once, because a private key spans many; but not all at once, because
    that would keep everything else waiting. Records may be longer than what is kept of their lines.
    """
    kept: list[str] = []
    records: list[Record] = []
    cut, malformed = any(len(line.text) > LONGEST for line in lines), 0
    for chunk in _chunks(lines):
        texts = redact(chunk).split("\n")
        found = parse(texts, mapping)
        records += found.records
        malformed += found.malformed
        for text in texts:
            cut = cut or len(text) > LINE_LIMIT
            kept.append(text[:LINE_LIMIT])
        await asyncio.sleep(0)
    return Text(tuple(kept), cut or len(records) > COUNT_LIMIT, tuple(records[:COUNT_LIMIT]), malformed)


def _chunks(lines: Sequence[Line]) -> Iterator[str]:
    texts: list[str] = []
    size = 0
    for line in lines:
        text = line.text[:LONGEST]
        texts.append(text)
        size += len(text)
        if size >= CHUNK:
            yield "\n".join(texts)
            texts, size = [], 0
    if texts:
        yield "\n".join(texts)


def _nanoseconds(stamp: re.Match[str]) -> int | None:
    second, fraction, zone = stamp.groups()
    whole = _whole(second, zone)
    return None if whole is None else whole * SECOND + int((fraction or "").ljust(9, "0"))


@lru_cache(maxsize=256)
def _whole(second: str, zone: str) -> int | None:
    try:
        return int(datetime.fromisoformat(second + zone).timestamp())
    except (ValueError, OverflowError):
        return None


def nanoseconds(time: datetime) -> int:
    """A time in nanoseconds since 1970."""
    return int(time.timestamp() * 1_000_000) * 1000
