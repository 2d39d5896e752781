"""Answers of the query API, read: hostile until proven otherwise, so everything is bounded."""

from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any

import msgspec
from msgspec import Struct

from kiro_operator.adapters.http.fetch import Response
from kiro_operator.core.evidence.series import CUT, HINT, Answer, Query, Series
from kiro_operator.core.findings import clip
from kiro_operator.core.snapshot import Unobserved

SERIES_KEPT = 500
"""Series of one answer."""
_WARNINGS_KEPT = 8
_WORDS = 300
_CUT = "results truncated due to limit"
_REASONS = {"bad_data": "QueryInvalid", "timeout": "QueryTimeout", "canceled": "QueryTimeout"}

_Point = tuple[float, str]


class _Result(Struct):
    """A series of a vector or a matrix; one of native histograms only has neither value nor values."""

    metric: dict[str, str] = {}
    value: _Point | None = None
    values: tuple[_Point, ...] = ()


class _Data(Struct, rename="camel"):
    result_type: str = ""
    result: msgspec.Raw = msgspec.Raw(b"null")


class _Envelope(Struct, rename="camel"):
    status: str
    data: Any = None
    error_type: str = ""
    error: str = ""
    warnings: tuple[str, ...] | None = None
    infos: tuple[str, ...] | None = None


class _Success(_Envelope):
    data: _Data = msgspec.field(default_factory=_Data)


_status = msgspec.json.Decoder(_Envelope)
_success = msgspec.json.Decoder(_Success)
_many = msgspec.json.Decoder(tuple[_Result, ...])
_one = msgspec.json.Decoder(_Point)


class NotPrometheus(ValueError):
    """What answers does not speak the query API."""


def read(query: Query, response: Response) -> Answer:
    """An answer, or why there is none in the words of Prometheus.

    Raises:
        NotPrometheus: the body is not what the query API says, whatever the status.
    """
    try:
        if response.status in {401, 403}:
            raise NotPrometheus("it refuses everything")
        if not 200 <= response.status < 300:
            return _refusal(query, _status.decode(response.body), response.status)
        envelope = _success.decode(response.body)
        if envelope.status != "success":
            return _refusal(query, envelope, response.status)
        if envelope.data.result_type == "string":
            text = f"the query gives a text, not numbers: {clip(_plain(query.words), 120)}"
            return Answer(query, missing=Unobserved("QueryInvalid", text))
        series, total = _series(envelope.data)
        if any(len(item.points) > longest(query) for item in series):
            text = f"the answer has more points than were asked for: {clip(_plain(query.words), 120)}"
            return Answer(query, missing=Unobserved("TooManyPoints", text))
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NotPrometheus(_plain(str(error))) from error
    said = (*(envelope.warnings or ()), *(envelope.infos or ()))
    words = [CUT if _CUT in text else _plain(text) for text in said]
    if total > len(series):
        words.append(CUT)
    # In order and without repeats, so that the same facts are told in the same words; what is missing
    # comes first, so that no number of hints hides it.
    told = sorted(set(words), key=lambda text: (text.startswith(HINT), text))
    return Answer(query, series, tuple(told[:_WARNINGS_KEPT]))


def longest(query: Query) -> int:
    """Points that a series of the answer may have: one, or one a step with one for rounding."""
    return query.window // query.step + 2 if query.window else 1


def _refusal(query: Query, said: _Envelope, status: int) -> Answer:
    if said.status != "error":
        raise NotPrometheus(f"status {status}")
    reason = _REASONS.get(said.error_type, "QueryFailed")
    words = f"Prometheus refuses the query {clip(_plain(query.words), 120)}: {_plain(said.error)}"
    return Answer(query, missing=Unobserved(reason, clip(words, 2 * _WORDS)))


def _series(data: _Data) -> tuple[tuple[Series, ...], int]:
    """The series, and how many there were."""
    match data.result_type:
        case "vector":
            found = _many.decode(data.result)
            kept: Iterable[tuple[_Result, Sequence[_Point]]] = (
                (item, (item.value,) if item.value else ()) for item in found[:SERIES_KEPT]
            )
        case "matrix":
            found = _many.decode(data.result)
            kept = ((item, item.values) for item in found[:SERIES_KEPT])
        case "scalar":
            return (Series({}, _points((_one.decode(data.result),))),), 1
        case other:
            raise NotPrometheus(f"an answer of the type {other!r}")
    return tuple(Series(item.metric, _points(points)) for item, points in kept), len(found)


def _points(points: Sequence[_Point]) -> tuple[tuple[float, float], ...]:
    """Numbers in the order of time; NaN and infinity are numbers here, and for the reader to judge."""
    return tuple(sorted(((time, float(value)) for time, value in points), key=itemgetter(0)))


def _plain(text: str) -> str:
    """One line of printable characters."""
    return clip(" ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _WORDS]).split()), _WORDS)
