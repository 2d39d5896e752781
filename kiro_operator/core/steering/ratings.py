"""Whether answers were rated worse after a change than before it, by the feedback in query records."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import accumulate

from msgspec import Struct

from kiro_operator.core.diagnosis import queries
from kiro_operator.core.records import Feedback, Record
from kiro_operator.core.statistics import difference

Count = tuple[int, int]
"""How many were bad, of how many that were rated."""


class Span(Struct, frozen=True, order=True):
    """When a change came: not before ``begin``, and by ``end`` at the latest."""

    end: datetime
    begin: datetime


class Rise(Struct, frozen=True):
    """The shares of bad answers on both sides of a change."""

    before: Count
    after: Count


class Rated(Struct, frozen=True):
    """Rated answers, by the time of their query."""

    times: tuple[datetime, ...]
    bad: tuple[int, ...]
    """How many of those before the one of this index were bad; one longer than ``times``."""

    @classmethod
    def of(cls, records: Iterable[Record], now: datetime) -> "Rated":
        """The queries whose feedback is known, and their time, which anybody may have written."""
        rated = sorted(
            (query.time, query.feedback is Feedback.BAD)
            for query in queries(records)
            if query.feedback is not None and query.time is not None and query.time <= now
        )
        times = tuple(time for time, _ in rated)
        return cls(times, tuple(accumulate((bad for _, bad in rated), initial=0)))

    def between(self, begin: datetime | None, end: datetime | None) -> Count:
        """Those from ``begin`` on and before ``end``; None stands for no bound."""
        first = 0 if begin is None else bisect_left(self.times, begin)
        last = len(self.times) if end is None else bisect_left(self.times, end)
        return (self.bad[last] - self.bad[first], last - first) if first < last else (0, 0)

    def latest(self, count: int) -> Count:
        """The last so many."""
        first = max(0, len(self.times) - count)
        return self.bad[-1] - self.bad[first], len(self.times) - first


def rises(spans: Iterable[Span], rated: Rated, *, least: int, points: float) -> dict[Span, Rise]:
    """The changes after which answers were rated worse, and still are.

    Each is judged by the ratings between it and its neighbours. Changes with fewer than ``least`` ratings
    between them cannot be told apart, and are judged as one.

    Args:
        spans: when the changes came.
        rated: all ratings that are known.
        least: ratings that it takes on either side of a change.
        points: how much the share has to rise, from 0 to 1; that it rises at all has to be sure.
    """
    changes = _told_apart(sorted(spans), rated, least)
    newest = changes[-1][-1].end if changes else None
    found: dict[Span, Rise] = {}
    for number, change in enumerate(changes):
        former = changes[number - 1][-1].end if number else None
        later = min(span.begin for span in changes[number + 1]) if number + 1 < len(changes) else None
        before = rated.between(former, min(span.begin for span in change))
        after = rated.between(change[-1].end, later)
        if min(before[1], after[1]) < least or not _risen(before, after, points):
            continue
        since = [rated.latest(least)] if later is None else [rated.latest(least), rated.between(newest, None)]
        if not any(_over(before, after, latest) for latest in since if latest[1] >= least):
            found |= dict.fromkeys(change, Rise(before, after))
    return found


def _told_apart(spans: Sequence[Span], rated: Rated, least: int) -> list[list[Span]]:
    changes: list[list[Span]] = []
    for span in spans:
        if changes and rated.between(changes[-1][-1].end, span.begin)[1] < least:
            changes[-1].append(span)
        else:
            changes.append([span])
    return changes


def _risen(before: Count, after: Count, points: float) -> bool:
    risen = after[0] / after[1] - before[0] / before[1]
    return risen >= points and difference(before, after)[0] > 0


def _over(before: Count, after: Count, latest: Count) -> bool:
    """Whether answers are surely better again than after the change, and maybe as good as before it."""
    return difference(after, latest)[1] < 0 and difference(before, latest)[0] <= 0
