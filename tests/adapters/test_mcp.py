"""What the MCP adapters read, evaluate and bound, without a server."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.mcp import sandbox
from kiro_operator.adapters.mcp.evaluation import LOST, Evaluator, Outcome
from kiro_operator.adapters.mcp.health import McpHealth
from kiro_operator.adapters.mcp.sessions import NO_SERVERS, McpSessions, _object
from kiro_operator.adapters.mcp.token import expiry
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.api.v1alpha1.evidence.mcp import McpClient, McpEvidence
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.mcp_client import choose
from kiro_operator.core.objects import Pod
from kiro_operator.core.objects.meta import ConditionKind, Metadata, ObjectCondition, Truth
from kiro_operator.core.objects.pods import Container, Phase, PodSpec, PodStatus
from kiro_operator.core.snapshot import Collection

from .helpers import facts, poll

DEEP: Any = json.loads("[" * 500 + "]" * 500)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


def task(expression: str, structured: Any = None, kind: str = "expect") -> dict[str, Any]:
    result = {"structuredContent": structured or {}, "text": "hello", "isError": False}
    return {"kind": kind, "expression": expression, "result": result}


# --- the sandbox -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("result.structuredContent.price == 3.0", {"value": True}),
        ("result.structuredContent.price > 3.5", {"value": False}),
        ("result.text.startsWith('he') && !result.isError", {"value": True}),
        ("result.structuredContent.items.all(i, i > 0)", {"value": True}),
        ("result.structuredContent.absent > 1", {"value": False}),
        ("result.structuredContent.price > 'a'", {"value": False}),
        ("has(result.structuredContent.absent)", {"value": False}),
    ],
)
def test_expressions(expression: str, expected: dict[str, Any]) -> None:
    assert sandbox.run(task(expression, {"price": 3.0, "items": [1, 2]})) == expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 +", "no CEL expression"),
        ("", "no CEL expression"),
        ("(" * 500 + "true" + ")" * 500, "no CEL expression"),
        ("true", "use result"),
        ("result.text", "gives str"),
        ("result.text == nothing", "nothing"),
        ("nope(result)", "nope"),
    ],
)
def test_expressions_that_are_wrong(expression: str, words: str) -> None:
    outcome = sandbox.run(task(expression))
    assert outcome["reason"] == "InvalidExpression"
    assert words in outcome["message"]
    assert len(outcome["message"]) <= 400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2026-03-02T12:00:00Z", 1772452800.0),
        ("2026-03-02T13:00:00.123456789+01:00", 1772452800.123456),
        ("2026-03-02T12:00:00", 1772452800.0),
        (datetime(2026, 3, 2, 12, tzinfo=UTC), 1772452800.0),
        (1772452800, 1772452800.0),
        (1772452800.5, 1772452800.5),
        (1772452800000, None),
        ("yesterday", None),
        ("", None),
        (True, None),
        (None, None),
        (float("nan"), None),
        (float("inf"), None),
        (["2026-03-02"], None),
    ],
)
def test_times(value: Any, seconds: float | None) -> None:
    assert sandbox.unix(value) == (None if seconds is None else pytest.approx(seconds))


@given(st.text(max_size=40) | st.floats() | st.integers() | st.datetimes())
def test_no_time_breaks_it(value: Any) -> None:
    seconds = sandbox.unix(value)
    if seconds is not None:
        datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "object", "required": ["a"]}, {"a": 1}, {"value": True}),
        ({"type": "object", "required": ["a"]}, {}, {"value": False, "at": "$ (required)"}),
        (
            {"properties": {"l": {"items": {"properties": {"p": {"type": "number"}}}}}},
            {"l": [{"p": 1}, {"p": "x"}]},
            {"value": False, "at": "$.l[].p (type)"},
        ),
    ],
)
def test_schemas(schema: Any, value: Any, expected: dict[str, Any]) -> None:
    assert sandbox.run({"kind": "schema", "schema": schema, "value": value}) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://169.254.169.254/latest/meta-data/"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "#"},
        {"pattern": "("},
        "text",
        {"properties": 7},
    ],
)
def test_schemas_that_cannot_be_used(schema: Any) -> None:
    outcome = sandbox.run({"kind": "schema", "schema": schema, "value": "x"})
    assert outcome["reason"] == "InvalidSchema"


@given(JSON, JSON)
def test_no_schema_breaks_it(schema: Any, value: Any) -> None:
    outcome = sandbox.run({"kind": "schema", "schema": schema, "value": value})
    assert set(outcome) in ({"value"}, {"value", "at"}, {"reason", "message"})


@given(st.text(max_size=60), JSON)
def test_no_expression_breaks_it(expression: str, structured: Any) -> None:
    outcome = sandbox.run(task(expression, structured))
    assert set(outcome) in ({"value"}, {"reason", "message"})


# --- its process -----------------------------------------------------------------------------------


def nested(depth: int) -> str:
    text = "true"
    for letter in "abcdefghij"[:depth]:
        text = f"[0,1,2,3,4,5,6,7,8,9].all({letter}, {text})"
    return f"{text} && result.isError"


async def test_what_is_done_before_the_end_is_kept(evaluator: Evaluator) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    well = task("result.text == 'hello'")
    outcomes = await evaluator.evaluate([well, task(nested(10)), well])
    assert outcomes == [Outcome(value=True), LOST, LOST]
    assert clock() - began < 8


async def test_a_pattern_that_backtracks_for_ever(evaluator: Evaluator) -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    outcomes = await evaluator.evaluate([{"kind": "schema", "schema": schema, "value": "a" * 48 + "b"}])
    assert outcomes == [LOST]


async def test_an_expression_that_fills_the_memory(evaluator: Evaluator) -> None:
    grown = "result.structuredContent.l"
    text = f"{grown}.map(a, {grown}.map(b, {grown}.map(c, result.structuredContent.s + 'x'))).size() > 0"
    structured = {"l": list(range(500)), "s": "x" * 100_000}
    assert await evaluator.evaluate([task(text, structured)]) == [LOST]


async def test_no_time_is_left(evaluator: Evaluator) -> None:
    outcomes = await evaluator.evaluate([task(nested(10))], within=0.05)
    assert outcomes == [LOST]


async def test_deep_answers(evaluator: Evaluator) -> None:
    assert await evaluator.evaluate([task("result.text == 'hello'", DEEP)]) == [Outcome(value=True)]


async def test_nothing_to_do_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert await Evaluator().evaluate([]) == []


async def test_the_event_loop_goes_on_meanwhile(evaluator: Evaluator) -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    await evaluator.evaluate([task(nested(10))], within=1.0)
    ticking.cancel()
    assert ticks > 30


# --- tokens ----------------------------------------------------------------------------------------


def bearer(payload: bytes) -> dict[str, str]:
    middle = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
    return {"Authorization": f"Bearer e30.{middle}.c2ln"}


def test_the_end_of_a_token() -> None:
    assert expiry(bearer(b'{"exp":1772452800,"sub":"x"}')) == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert expiry(bearer(b'{"exp":1772452800.5}')) == datetime(2026, 3, 2, 12, 0, 0, 500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer opaque"},
        {"Authorization": "Bearer a.b"},
        {"Authorization": "Basic e30.eyJleHAiOjF9.c2ln"},
        {"Authorization": "Bearer a.%%%.c"},
        {"Authorization": "Bearer a." + "A" * 20_000 + ".c"},
        bearer(b"{}"),
        bearer(b'{"exp":"soon"}'),
        bearer(b'{"exp":1e300}'),
        bearer(b'{"exp":-1e18}'),
        bearer(b"[]"),
        bearer(b"\xff"),
    ],
)
def test_a_token_that_tells_no_end(headers: dict[str, str]) -> None:
    assert expiry(headers) is None


@given(st.binary(max_size=60))
def test_no_token_breaks_it(payload: bytes) -> None:
    found = expiry(bearer(payload))
    assert found is None or found.tzinfo is UTC


@given(st.text(max_size=60))
def test_no_header_breaks_it(text: str) -> None:
    found = expiry({"Authorization": text})
    assert found is None or found.tzinfo is UTC


# --- what is asked ---------------------------------------------------------------------------------


@given(st.text(max_size=60))
def test_text_answers(text: str) -> None:
    assert isinstance(_object(text), dict)


def test_text_answers_that_are_objects() -> None:
    assert _object('{"a": 1}') == {"a": 1}
    assert _object("[1]") == {}
    assert _object("[" * 5000) == {}
    assert _object("\ud800") == {}


async def test_without_servers_there_is_nothing_to_ask() -> None:
    fetcher = Fetcher(Fixed({}))
    spec = KiroHealthCheckSpec(mcp=McpEvidence(client=McpClient()))
    for source in (McpHealth(fetcher), McpSessions(fetcher, Evaluator())):
        for given_ in (spec, KiroHealthCheckSpec()):
            assert await source.observe(poll(facts("kiro"), spec=given_)) == NO_SERVERS


def pod(name: str, *, ready: bool = True, container: str = "kiro", app: str = "kiro") -> Pod:
    condition = ObjectCondition(ConditionKind.READY, Truth.TRUE if ready else Truth.FALSE)
    return Pod(
        metadata=Metadata(name=name, labels={"app": app}),
        spec=PodSpec(containers=(Container("proxy"), Container(container))),
        status=PodStatus(phase=Phase.RUNNING, conditions=(condition,)),
    )


@given(st.permutations([pod("b"), pod("a", ready=False), pod("c"), pod("aa", container="other")]))
def test_the_same_pod_is_chosen_whatever_the_order(pods: list[Pod]) -> None:
    chosen = choose(Collection.of(pods), McpClient(container="kiro"))
    assert chosen is not None
    assert (chosen[0].metadata.name, chosen[1]) == ("b", "kiro")
    first = choose(Collection.of(pods), McpClient())
    assert first is not None
    assert (first[0].metadata.name, first[1]) == ("aa", "proxy")


def test_the_sdk_is_not_imported_until_it_is_used() -> None:
    """It costs as much memory as all the rest of the operator's watching."""
    code = (
        "import sys, kiro_operator.adapters.mcp.sessions, kiro_operator.adapters.mcp.health, "
        "kiro_operator.adapters.mcp.client; "
        "print([name for name in ('mcp', 'httpx2', 'starlette', 'cel', 'jsonschema') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
