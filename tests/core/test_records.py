"""Records are read from whatever stands in a log, and nothing that stands there breaks the reading."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.core.records import (
    DecisionKind,
    DecisionRecord,
    Feedback,
    OperationRecord,
    Outcome,
    QueryRecord,
    Record,
    RecordObject,
    TraceRecord,
    parse,
)
from kiro_operator.core.records.parse import COUNT_LIMIT, LINE_LIMIT
from kiro_operator.core.records.values import ITEMS, NAME_LIMIT, TEXT_LIMIT

DEFAULT = RecordsEvidence()
QUERY = {"record": "query", "id": "q1", "text": "why is it slow", "environment": "production"}


def one(value: Any, mapping: RecordsEvidence = DEFAULT) -> Record:
    line = value if isinstance(value, str) else json.dumps(value)
    (record,) = parse([line], mapping).records
    return record


def test_a_query() -> None:
    record = one(
        {
            **QUERY,
            "time": "2026-03-02T11:59:00+01:00",
            "scope": ["namespace kiro-system", "Deployment kiro"],
            "context": [{"name": "deployment.yaml"}, "kiro.log", {"secret": 1}, ""],
            "documents": ["product.md", {"path": "tech.md"}],
            "feedback": "bad",
            "latency": 1.5,
        }
    )
    assert record == QueryRecord(
        id="q1",
        time=datetime(2026, 3, 2, 10, 59, tzinfo=UTC),
        text="why is it slow",
        environment="production",
        scope="namespace kiro-system, Deployment kiro",
        context=("deployment.yaml", "kiro.log"),
        context_size=3,
        documents=("product.md", "tech.md"),
        feedback=Feedback.BAD,
        latency=1.5,
    )


def test_an_operation() -> None:
    record = one(
        {
            "record": "operation",
            "id": 17,
            "time": 1772452740,
            "action": "scale",
            "target": {"kind": "Deployment", "namespace": "shop", "name": "web"},
            "outcome": "Refused",
            "reason": "outside of its boundary",
            "boundary": "staging-only",
            "changeSize": 3,
        }
    )
    assert record == OperationRecord(
        id="17",
        action="scale",
        outcome=Outcome.REFUSED,
        time=datetime(2026, 3, 2, 11, 59, tzinfo=UTC),
        target=RecordObject("Deployment", "shop", "web"),
        reason="outside of its boundary",
        boundary="staging-only",
        change_size=3.0,
    )


@pytest.mark.parametrize("kind", ["decision", "opportunity"])
def test_a_decision_and_an_opportunity(kind: str) -> None:
    record = one(
        {
            "kind": kind,
            "id": "o-1",
            "action": "rightsize",
            "object": "Deployment/shop/web",
            "predictedSaving": "12.50",
            "realisedSaving": 3,
            "applied": True,
            "reverted": "no",
        }
    )
    assert record == DecisionRecord(
        kind=DecisionKind(kind),
        id="o-1",
        action="rightsize",
        object=RecordObject("Deployment", "shop", "web"),
        predicted_saving=12.5,
        realised_saving=3.0,
        applied=True,
        reverted=False,
        wrong=None,
    )


def test_a_step_of_reasoning() -> None:
    record = one(
        {"record": "trace", "query": "q1", "step": 2, "text": "so it is the disk", "documents": "tech.md",
         "tools": [{"name": "logs"}]}
    )  # fmt: skip
    assert record == TraceRecord(
        query="q1", step=2, text="so it is the disk", documents=("tech.md",), tools=("logs",)
    )


@pytest.mark.parametrize(
    "line",
    [
        "2026-03-02 11:59:00,123 INFO kiro.query {q}",
        "I0302 11:59:00.000000 1 query.go:7] {q}\r",
        "[{{worker}}] kiro: {q} (in 3 ms)",
        '{{"level":"info","msg":{q}}}',
        '{{"level":"info","msg":{s}}}',
        '{{"log":{s},"stream":"stdout","time":"2026-03-02T11:59:00Z"}}',
    ],
)
def test_wherever_it_stands_in_the_line(line: str) -> None:
    content = json.dumps(QUERY)
    record = one(line.format(q=content, s=json.dumps(content + "\n")))
    assert isinstance(record, QueryRecord)
    assert (record.id, record.environment) == ("q1", "production")
    if '"time"' in line:
        assert record.time == datetime(2026, 3, 2, 11, 59, tzinfo=UTC)


def test_mapping() -> None:
    mapping = RecordsEvidence.model_validate(
        {
            "kindFields": ["event.type"],
            "queries": {
                "kind": "prompt_answered",
                "id": "trace_id",
                "text": "event.prompt",
                "environment": "labels.env",
                "latency": "took",
                "latencyUnit": "ms",
            },
        }
    )
    line = {
        "event": {"type": "prompt_answered", "prompt": "why"},
        "trace_id": "t-1",
        "labels.env": "staging",
        "took": 250,
    }
    assert one(line, mapping) == QueryRecord(id="t-1", text="why", environment="staging", latency=0.25)
    assert parse([json.dumps(QUERY)], mapping).records == ()


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.25, 0.25), ("250ms", 0.25), ("2 s", 2.0), ("1.5", 1.5), (-1, None), ("soon", None), (True, None)],
)
def test_latency(value: Any, expected: float | None) -> None:
    record = one({**QUERY, "latency": value})
    assert isinstance(record, QueryRecord)
    assert record.latency == expected


@pytest.mark.parametrize(
    "value",
    ["2026-03-02T11:59:00Z", "2026-03-02 11:59:00", 1772452740, 1772452740e3, 1772452740e9, "1772452740"],
)
def test_time(value: Any) -> None:
    record = one({**QUERY, "time": value})
    assert isinstance(record, QueryRecord)
    assert record.time == datetime(2026, 3, 2, 11, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "line",
    [
        json.dumps(QUERY)[:-20],
        '{"record":"query"}',
        '{"record":"query","id":{}}',
        '{"record":"operation","id":"1","action":"scale","outcome":"perhaps"}',
        '{"record":"operation","id":"1","outcome":"success"}',
        '{"record":"decision","id":"1"}',
        '{"record":"trace","query":"q1"}',
        '{"record":"query","id":"q","deep":' + '{"a":' * 2500 + "1" + "}" * 2501,
        json.dumps({**QUERY, "pad": "x" * LINE_LIMIT}),
        json.dumps({"level": "info", "msg": json.dumps(QUERY)})[:-4],
    ],
)
def test_what_is_marked_and_cannot_be_read_is_counted(line: str) -> None:
    found = parse([line, json.dumps(QUERY)], DEFAULT)
    assert found.malformed == 1
    assert len(found.records) == 1


@pytest.mark.parametrize(
    "line",
    [
        "a query {unknown}",
        '{"level":"info","msg":"a query came in"}',
        '{"record":"vinyl","query":"q"}',
        '{"record":{"query":1}}',
        '["query"]',
        '{"kind":"Pod","query":1}',
        "",
    ],
)
def test_what_is_no_record_is_left_alone(line: str) -> None:
    assert parse([line], DEFAULT) == parse([], DEFAULT)


def test_bounds() -> None:
    found = parse([json.dumps(QUERY)] * (COUNT_LIMIT + 3), DEFAULT)
    assert (len(found.records), found.dropped) == (COUNT_LIMIT, 3)
    long = one({**QUERY, "id": "i" * 999, "text": "t" * 2000, "context": ["c" * 300] * 40})
    assert isinstance(long, QueryRecord)
    assert (len(long.id), len(long.text)) == (NAME_LIMIT, TEXT_LIMIT)
    assert (len(long.context), len(long.context[0]), long.context_size) == (ITEMS, NAME_LIMIT, 40)


def test_text_is_on_one_line() -> None:
    record = one({**QUERY, "text": "a\n b\t\u202ec\x1b[31m\0d"})
    assert isinstance(record, QueryRecord)
    assert record.text == "a b c[31md"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted(
    {
        "id", "time", "text", "environment", "scope", "context", "documents", "feedback", "latency", "action",
        "target", "outcome", "reason", "boundary", "changeSize", "object", "predictedSaving",
        "realisedSaving", "applied", "reverted", "wrong", "query", "step", "tools",
    }
)  # fmt: skip


@given(
    st.sampled_from(["query", "operation", "decision", "opportunity", "trace"]),
    st.dictionaries(st.sampled_from(FIELDS), json_values),
    st.text(max_size=20),
)
@example("trace", {"query": "q", "step": 1e308}, "")
@example("query", {"id": "q", "time": 1e17, "latency": 1e308, "context": 10**400}, "")
@example("query", {"id": "q", "time": "9999-12-31T23:59:59-12:00"}, "")
def test_no_value_breaks_it(kind: str, fields: dict[str, Any], before: str) -> None:
    line = before + json.dumps({**fields, "record": kind})
    found = parse([line], DEFAULT)
    assert len(found.records) + found.malformed <= 1
    for record in found.records:
        assert len(repr(record)) < 64 * 1024


@given(st.lists(st.text(max_size=200) | st.text('{}[]":\\, query record0', max_size=200), max_size=5))
def test_no_line_breaks_it(lines: list[str]) -> None:
    found = parse(lines, DEFAULT)
    assert len(found.records) + found.malformed <= len(lines)


@given(st.integers(0, len(json.dumps(QUERY))))
def test_no_cut_breaks_it(at: int) -> None:
    line = json.dumps(QUERY)[:at]
    assert len(parse([line], DEFAULT).records) == (at == len(json.dumps(QUERY)))


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "records.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_defines_every_field() -> None:
    for section in (DEFAULT.queries, DEFAULT.operations, DEFAULT.decisions, DEFAULT.traces):
        for name, value in section:
            leaf = value.partition(".")[0]
            assert f"`{leaf}`" in PAGE or name == "latency_unit", f"docs/records.md does not define {leaf}"


def test_the_examples_of_the_page_are_records() -> None:
    (first, mapped) = [json_line for language, json_line in BLOCKS if not language]
    assert isinstance(one(first.strip()), QueryRecord)
    [written] = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
    record = one(mapped.strip(), RecordsEvidence.model_validate(written["spec"]["records"]))
    assert record == QueryRecord(
        id="t-9", text="Why is checkout slow?", environment="production", latency=0.25
    )
