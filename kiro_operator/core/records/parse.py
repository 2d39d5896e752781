"""Records out of the lines of a log. Anybody may have written those: nothing in them raises.

The JSON object may stand anywhere in its line, and may be wrapped once more, as an object or as a text,
in what a logging library made of it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from kiro_operator.api.v1alpha1.evidence.records import (
    DecisionFields,
    OperationFields,
    QueryFields,
    RecordsEvidence,
    TraceFields,
)
from kiro_operator.core.records.types import (
    DecisionKind,
    DecisionRecord,
    Feedback,
    OperationRecord,
    Outcome,
    QueryRecord,
    Record,
    RecordObject,
    Records,
    TraceRecord,
)
from kiro_operator.core.records.values import (
    NAME_LIMIT,
    at,
    moment,
    names,
    number,
    seconds,
    size,
    text,
    truth,
)

LINE_LIMIT = 16_384
"""Characters of a line in which a record is looked for; a longer one is malformed."""
COUNT_LIMIT = 2000
"""Records kept of one log."""
_WRAPPED = 16
"""Fields of an object that are looked at for a record within."""
_ATTEMPTS = 3

_OPENING = re.compile(r"\{\s*\"")
_MARK = r"\"(?:{fields})\\*\"\s*:\s*\\*\"(?:{kinds})\\*\""
_GOOD = frozenset({"good", "up", "positive", "helpful", "thumbs_up", "correct", "1"})
_BAD = frozenset({"bad", "down", "negative", "unhelpful", "thumbs_down", "incorrect", "0", "-1"})
_OUTCOMES = {
    **dict.fromkeys(("success", "succeeded", "successful", "ok", "completed"), Outcome.SUCCESS),
    **dict.fromkeys(("failure", "failed", "fail", "error", "timeout"), Outcome.FAILURE),
    **dict.fromkeys(("refused", "denied", "rejected", "blocked", "forbidden"), Outcome.REFUSED),
}

_decode = msgspec.json.Decoder().decode
Json = Mapping[str, Any]
Reader = Callable[[Json], Record | None]


def parse(lines: Iterable[str], mapping: RecordsEvidence) -> Records:
    """The records in some lines; lines that hold none are left alone."""
    readers = _readers(mapping)
    kinds = tuple(readers)
    mark = re.compile(
        _MARK.format(
            fields="|".join(re.escape(path.rpartition(".")[2]) for path in mapping.kind_fields),
            kinds="|".join(map(re.escape, kinds)),
        )
    )
    found: list[Record] = []
    malformed = dropped = 0
    for line in lines:
        if "{" not in line or not any(kind in line for kind in kinds):
            continue
        marked, record = _record(line, mapping.kind_fields, readers)
        if record is None:
            malformed += marked or mark.search(line, 0, LINE_LIMIT) is not None
        elif len(found) < COUNT_LIMIT:
            found.append(record)
        else:
            dropped += 1
    return Records(tuple(found), malformed, dropped)


def _record(line: str, fields: Iterable[str], readers: Mapping[str, Reader]) -> tuple[bool, Record | None]:
    """Whether there is something that is marked as a record, and the record."""
    if len(line) > LINE_LIMIT:
        return False, None
    for outer in _objects(line):
        for inner in (outer, *_within(outer)):
            kind = next((kind for path in fields if (kind := _kind(inner, path)) in readers), None)
            if kind is not None:
                # A time that the record lacks is the one of the line around it.
                whole = inner if inner is outer else {**_times(outer), **inner}
                return True, readers[kind](whole)
    return False, None


def _objects(line: str) -> Iterator[Json]:
    """The first JSON object in the line; what only looks like one is passed over a few times."""
    end = line.rfind("}") + 1
    for number_, opening in enumerate(_OPENING.finditer(line, 0, end)):
        if number_ == _ATTEMPTS:
            return
        value = _json(line[opening.start() : end])
        if isinstance(value, dict):
            yield value
            return


def _within(outer: Json) -> Iterator[Json]:
    for value in list(outer.values())[:_WRAPPED]:
        inner = _json(value) if isinstance(value, str) and value.lstrip()[:1] == "{" else value
        if isinstance(inner, dict):
            yield inner


def _json(content: str) -> Any:
    try:
        return _decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def _kind(value: Json, path: str) -> str:
    found = at(value, path)
    return found if isinstance(found, str) else ""


def _times(outer: Json) -> Json:
    return {key: outer[key] for key in ("time", "ts", "timestamp", "@timestamp") if key in outer}


def _readers(mapping: RecordsEvidence) -> Mapping[str, Reader]:
    queries, operations, decisions, traces = (
        mapping.queries,
        mapping.operations,
        mapping.decisions,
        mapping.traces,
    )
    return {
        queries.kind: lambda value: _query(value, queries),
        operations.kind: lambda value: _operation(value, operations),
        decisions.kind: lambda value: _decision(value, decisions, DecisionKind.DECISION),
        decisions.opportunity_kind: lambda value: _decision(value, decisions, DecisionKind.OPPORTUNITY),
        traces.kind: lambda value: _trace(value, traces),
    }


def _query(value: Json, fields: QueryFields) -> QueryRecord | None:
    identity = text(at(value, fields.id), NAME_LIMIT)
    if not identity:
        return None
    context = at(value, fields.context)
    return QueryRecord(
        id=identity,
        time=moment(at(value, fields.time)),
        text=text(at(value, fields.text)),
        environment=text(at(value, fields.environment), NAME_LIMIT),
        scope=", ".join(names(at(value, fields.scope)))[:NAME_LIMIT],
        context=() if isinstance(context, int | float) else names(context),
        context_size=size(context),
        documents=names(at(value, fields.documents)),
        feedback=_feedback(at(value, fields.feedback)),
        latency=seconds(at(value, fields.latency), fields.latency_unit),
    )


def _operation(value: Json, fields: OperationFields) -> OperationRecord | None:
    identity, action = text(at(value, fields.id), NAME_LIMIT), text(at(value, fields.action), NAME_LIMIT)
    outcome = _OUTCOMES.get(text(at(value, fields.outcome), 32).lower())
    if not identity or not action or outcome is None:
        return None
    return OperationRecord(
        id=identity,
        action=action,
        outcome=outcome,
        time=moment(at(value, fields.time)),
        target=_object(value, fields.target_kind, fields.target_namespace, fields.target_name),
        reason=text(at(value, fields.reason)),
        boundary=text(at(value, fields.boundary), NAME_LIMIT),
        change_size=number(at(value, fields.change_size)),
    )


def _decision(value: Json, fields: DecisionFields, kind: DecisionKind) -> DecisionRecord | None:
    identity, action = text(at(value, fields.id), NAME_LIMIT), text(at(value, fields.action), NAME_LIMIT)
    if not identity or not action:
        return None
    return DecisionRecord(
        kind=kind,
        id=identity,
        action=action,
        time=moment(at(value, fields.time)),
        object=_object(value, fields.object_kind, fields.object_namespace, fields.object_name),
        predicted_saving=number(at(value, fields.predicted_saving)),
        realised_saving=number(at(value, fields.realised_saving)),
        applied=truth(at(value, fields.applied)),
        reverted=truth(at(value, fields.reverted)),
        wrong=truth(at(value, fields.wrong)),
    )


def _trace(value: Json, fields: TraceFields) -> TraceRecord | None:
    query, step = text(at(value, fields.query), NAME_LIMIT), number(at(value, fields.step))
    if not query or step is None:
        return None
    return TraceRecord(
        query=query,
        step=int(step),
        time=moment(at(value, fields.time)),
        text=text(at(value, fields.text)),
        documents=names(at(value, fields.documents)),
        tools=names(at(value, fields.tools)),
    )


def _object(value: Json, kind: str, namespace: str, name: str) -> RecordObject:
    """An object by its parts; one that is written kind/namespace/name or kind/name is taken apart."""
    named = text(at(value, name), NAME_LIMIT)
    if not named and (whole := at(value, name.rpartition(".")[0])) is not None:
        named = text(whole, NAME_LIMIT)
    found = RecordObject(text(at(value, kind), NAME_LIMIT), text(at(value, namespace), NAME_LIMIT), named)
    parts = named.split("/")
    if found.kind or len(parts) not in (2, 3):
        return found
    return RecordObject(parts[0], parts[1] if len(parts) == 3 else found.namespace, parts[-1])


def _feedback(value: Any) -> Feedback | None:
    if isinstance(value, bool):
        return Feedback.GOOD if value else Feedback.BAD
    word = text(value, 32).lower()
    return Feedback.GOOD if word in _GOOD else Feedback.BAD if word in _BAD else None
