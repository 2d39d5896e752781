"""One wrong answer: what the query had and lacked, the reasoning, the documents."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.diagnosis import DOCUMENTS, STEPS, Gap, Need, diagnose, gaps, queries, told, trace
from kiro_operator.core.records import Feedback, OperationRecord, Outcome, QueryRecord, Record, TraceRecord

FULL = QueryRecord(
    id="q1",
    time=datetime(2026, 3, 2, 12, tzinfo=UTC),
    text="why is the cart slow",
    environment="production",
    scope="shop",
    context=("events.txt",),
    context_size=1,
    documents=("product.md",),
)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ()),
        ({"environment": ""}, (Gap.ENVIRONMENT,)),
        ({"scope": ""}, (Gap.SCOPE,)),
        ({"context": (), "context_size": 0}, (Gap.CONTEXT,)),
        ({"text": "fix it"}, (Gap.WORDING,)),
        ({"text": ""}, ()),
        ({"environment": "", "scope": "", "context_size": 0}, (Gap.ENVIRONMENT, Gap.SCOPE, Gap.CONTEXT)),
    ],
)
def test_gaps(changes: dict[str, object], expected: tuple[Gap, ...]) -> None:
    fields = {name: getattr(FULL, name) for name in FULL.__struct_fields__}
    assert gaps(QueryRecord(**{**fields, **changes}), Need()) == expected


def test_what_is_not_needed_is_no_gap() -> None:
    assert gaps(QueryRecord("q"), Need(environment=False, scope=False, context=0, words=0)) == ()


def test_a_later_record_completes_the_former() -> None:
    records: list[Record] = [FULL, QueryRecord("q2"), QueryRecord("q1", feedback=Feedback.BAD)]
    first, second = queries(records)
    assert (first.feedback, first.text, first.documents) == (Feedback.BAD, FULL.text, FULL.documents)
    assert second == QueryRecord("q2")


def test_the_whole_picture() -> None:
    found = diagnose(
        [
            TraceRecord("q1", 2, text="so it is the disk; token=hunter2hunter2", documents=("tech.md",)),
            OperationRecord("q1", "scale", Outcome.SUCCESS),
            TraceRecord("q2", 1, documents=("other.md",)),
            FULL,
            TraceRecord("q1", 1, text="looked at the events", tools=("events", "logs")),
        ],
        "q1",
    )
    assert found is not None
    assert (found.gaps, found.left_out) == ((), 0)
    assert [step.text for step in found.steps] == [
        "looked at the events",
        "so it is the disk; token=[redacted]",
    ]
    assert (found.documents, found.tools) == (("product.md", "tech.md"), ("events", "logs"))
    text = told(found)
    for part in ("environment: production", "context: events.txt", "  1. looked at", "tech.md", "tool logs"):
        assert part in text


def test_what_was_not_logged_is_said() -> None:
    assert diagnose([FULL], "q9") is None
    only_steps = diagnose([TraceRecord("q9", 1)], "q9")
    assert only_steps is not None
    assert "was not logged" in told(only_steps)
    only_query = diagnose([QueryRecord("q9", text="why")], "q9")
    assert only_query is not None
    text = told(only_query)
    assert "lacked: environment, scope, context, wording" in text
    assert "detailed logging" in text


def test_bounds() -> None:
    records = [TraceRecord("q", number, documents=(f"{number}.md",)) for number in range(STEPS + 7)]
    found = diagnose(records, "q")
    assert found is not None
    assert (len(found.steps), found.left_out, len(found.documents)) == (STEPS, 7, DOCUMENTS)
    assert "and 7 more steps" in told(found)


@given(st.lists(st.builds(TraceRecord, st.sampled_from("ab"), st.integers(0, 5), text=st.text(max_size=9))))
def test_trace_is_in_order_with_the_last_word_of_each_step(records: list[TraceRecord]) -> None:
    found = trace(records, "a")
    numbers = [step.step for step in found]
    assert numbers == sorted({record.step for record in records if record.query == "a"})
    assert trace(found, "a") == found
