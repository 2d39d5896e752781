"""Answers of Prometheus, and how checks read numbers from them.

Nothing of what is missing counts as good: no series, no point, and NaN are all Unobserved.
"""

import math
from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct

from kiro_operator.core.snapshot import Polled, Snapshot, Unobserved

HINT = "PromQL info"
"""What a hint of Prometheus at how a query is written begins with: nothing is missing for it."""


class Query(Struct, frozen=True):
    """One PromQL query; ``window`` zero asks for now, else for the past that long in steps."""

    expr: str
    window: timedelta = timedelta(0)
    step: timedelta = timedelta(minutes=1)
    told: str = ""
    """What is told of it to a person, where the expression has grown around what was written."""

    @property
    def words(self) -> str:
        """What a person knows the query by."""
        return self.told or self.expr


class Series(Struct, frozen=True):
    """One series of an answer."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]
    """Unix time in seconds and value, in the order of time; one point of an instant query."""

    @property
    def last(self) -> float:
        """The latest value; NaN when there is none."""
        return self.points[-1][1] if self.points else math.nan


class Answer(Struct, frozen=True):
    """What Prometheus said to one query."""

    query: Query
    series: tuple[Series, ...] = ()
    warnings: tuple[str, ...] = ()
    """What may be missing from it, in the words of the server, or CUT."""
    missing: Unobserved | None = None
    """Why there is no answer."""


SHOWN = "promtool query instant {prometheus} {query}"
"""The command that shows a person the answer to the first query of a check."""

SERIES: Polled[tuple[Answer, ...]] = Polled("prometheus", tuple[Answer, ...], section="prometheus")


def answer(snapshot: Snapshot, query: Query) -> Answer | Unobserved:
    """The answer to a query that the check has declared; Unobserved when it has no number in it."""
    sampled = snapshot.value(SERIES)
    if isinstance(sampled, Unobserved):
        return sampled
    found = next((item for item in sampled if item.query == query), None)
    if found is None:
        return Unobserved("NotAsked", f"the query was not asked: {query.words}")
    if found.missing is not None:
        return found.missing
    if not any(series.points for series in found.series):
        if missing := partial(found):
            text = f"Prometheus has no series for: {found.query.words}; it says: {'; '.join(missing)}"
            return Unobserved(PARTIAL, text)
        return Unobserved("NoData", f"Prometheus has no series for: {query.words}")
    if not any(math.isfinite(value) for series in found.series for _, value in series.points):
        return Unobserved("NotANumber", f"Prometheus answers nothing but NaN or infinity to: {query.words}")
    return found


PARTIAL = "PartialResponse"
"""Reason of what is not known, or not for certain, because an answer is not all that there is."""
CUT = "there are more series than are read: aggregate the query"
"""A warning of our own: other series were left out, and those that are there are right."""


def partial(answer_: Answer) -> tuple[str, ...]:
    """What the server says is missing from an answer; its hints at how a query is written are not that."""
    return tuple(text for text in answer_.warnings if not text.startswith(HINT))
