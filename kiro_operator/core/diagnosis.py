"""Why one answer was wrong: what the query had and lacked, the reasoning on it, what guided that.

Everything comes from the records in Kiro's logs; nothing is concluded that they do not say.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.core.records import QueryRecord, Record, TraceRecord
from kiro_operator.core.redact import redact

STEPS = 100
"""Steps of reasoning that are kept: the first of them, because what comes later rests on them."""
DOCUMENTS = 64


class Gap(StrEnum):
    """What a query lacks."""

    ENVIRONMENT = "environment"
    SCOPE = "scope"
    CONTEXT = "context"
    WORDING = "wording"


class Need(Struct, frozen=True):
    """What a query has to come with."""

    environment: bool = True
    scope: bool = True
    context: int = 1
    """Things that have to be given along with it."""
    words: int = 3
    """Words of its text; one that does not tell its text is not judged by it."""


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What the records say of one query."""

    query: QueryRecord | None
    """None: only steps of the reasoning on it were found."""
    gaps: tuple[Gap, ...]
    steps: tuple[TraceRecord, ...]
    """In their order, one of each number."""
    left_out: int
    """Steps that were more than are kept."""
    documents: tuple[str, ...]
    """Steering documents that applied: those of the query, then those that a step drew on."""
    tools: tuple[str, ...]


def gaps(query: QueryRecord, need: Need) -> tuple[Gap, ...]:
    """What a query lacks, what weighs most first."""
    words = len(query.text.split())
    missing = {
        Gap.ENVIRONMENT: need.environment and not query.environment,
        Gap.SCOPE: need.scope and not query.scope,
        Gap.CONTEXT: query.context_size < need.context,
        Gap.WORDING: 0 < words < need.words,
    }
    return tuple(gap for gap, lacks in missing.items() if lacks)


def queries(records: Iterable[Record]) -> tuple[QueryRecord, ...]:
    """The queries, one of each id: what a later record of it tells completes the former."""
    found: dict[str, QueryRecord] = {}
    for record in records:
        if isinstance(record, QueryRecord):
            former = found.get(record.id)
            found[record.id] = _completed(former, record) if former else record
    return tuple(found.values())


def diagnose(records: Iterable[Record], query_id: str, need: Need | None = None) -> Diagnosis | None:
    """All that the records say of one query; None when they do not speak of it."""
    known = tuple(records)
    query = next((item for item in queries(known) if item.id == query_id), None)
    steps = trace(known, query_id)
    if query is None and not steps:
        return None
    if query is not None:
        query = replace(query, text=redact(query.text))
    documents = [*(query.documents if query else ()), *(name for step in steps for name in step.documents)]
    return Diagnosis(
        query=query,
        gaps=gaps(query, need or Need()) if query else (),
        steps=steps[:STEPS],
        left_out=max(0, len(steps) - STEPS),
        documents=tuple(dict.fromkeys(documents))[:DOCUMENTS],
        tools=tuple(dict.fromkeys(name for step in steps for name in step.tools))[:DOCUMENTS],
    )


def trace(records: Iterable[Record], query_id: str) -> tuple[TraceRecord, ...]:
    """The reasoning on one query in the order of its steps; of a step that was logged twice, the last."""
    steps = {
        record.step: replace(record, text=redact(record.text))
        for record in records
        if isinstance(record, TraceRecord) and record.query == query_id
    }
    return tuple(steps[number] for number in sorted(steps))


def told(diagnosis: Diagnosis) -> str:
    """A diagnosis in plain text, for a person."""
    lines = [*_query_lines(diagnosis.query, diagnosis.gaps), "", "Reasoning:"]
    for step in diagnosis.steps:
        lines.append(f"  {step.step}. {step.text or '(no text)'}")
        lines += [f"     document {name}" for name in step.documents]
        lines += [f"     tool {name}" for name in step.tools]
    if diagnosis.left_out:
        lines.append(f"  and {diagnosis.left_out} more steps")
    if not diagnosis.steps:
        lines.append("  none was logged: turn on detailed logging and ask again")
    lines += ["", "Steering documents that applied:"]
    lines += [f"  {name}" for name in diagnosis.documents] or ["  none was logged"]
    return "\n".join(lines) + "\n"


def _completed(former: QueryRecord, later: QueryRecord) -> QueryRecord:
    told_: Mapping[str, object] = {
        name: value for name in QueryRecord.__struct_fields__ if (value := getattr(later, name))
    }
    return replace(former, **told_)


def _query_lines(query: QueryRecord | None, lacked: Iterable[Gap]) -> list[str]:
    if query is None:
        return ["The query itself was not logged, only the reasoning on it."]
    context = ", ".join(query.context) or (f"{query.context_size} items" if query.context_size else "")
    lines = [f"Query {query.id}: {query.text or '(text not logged)'}"]
    had = {
        "asked": query.time.isoformat() if query.time else "",
        "environment": query.environment,
        "scope": query.scope,
        "context": context,
        "feedback": query.feedback.value if query.feedback else "",
    }
    lines += [f"  {name}: {value}" for name, value in had.items() if value]
    lines.append(f"  lacked: {', '.join(lacked) or 'nothing that is looked for'}")
    return lines
