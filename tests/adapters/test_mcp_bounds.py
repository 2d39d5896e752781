"""What one MCP server may use up: of the operator, and of the other servers' time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.listen import Answer, Request, Server
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.mcp import turns
from kiro_operator.adapters.mcp.evaluation import BUSY, Evaluator
from kiro_operator.adapters.mcp.health import McpHealth
from kiro_operator.adapters.mcp.sessions import McpSessions
from kiro_operator.adapters.mcp.transport import MESSAGES, Transport, events
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.evidence.mcp import McpSession

from .helpers import facts, poll

NAMESPACE = "kiro"
EVENTS = "text/event-stream"
Listed = Callable[[Any], tuple[str, bytes]]


def tools(*listed: dict[str, Any]) -> Listed:
    def answer(number: Any) -> tuple[str, bytes]:
        body = {"jsonrpc": "2.0", "id": number, "result": {"tools": listed}}
        return "application/json", json.dumps(body, separators=(",", ":")).encode()

    return answer


def tool(name: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"} | schema}


def mcp(listed: Listed) -> Callable[[Request], Answer]:
    """A server of MCP whose list of tools is this."""

    def handle(request: Request) -> Answer:
        if request.path == "/health":
            return Answer()
        if request.method == "GET":
            kind, body = listed(None)
            return Answer(200, body, {"content-type": kind})
        asked = json.loads(request.body)
        if "method" not in asked or "id" not in asked:
            return Answer(202, b"")
        if asked["method"] == "tools/list":
            kind, body = listed(asked["id"])
            return Answer(200, body, {"content-type": kind})
        info = {"name": "x", "version": "1"}
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": info}
        said = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
        return Answer(200, said, {"content-type": "application/json"})

    return handle


def spec(*names: str, port: int = 8080) -> KiroHealthCheckSpec:
    servers = [
        {"name": name, "service": {"name": name, "port": port}, "expectedTools": ["first", "last"]}
        for name in names
    ]
    return KiroHealthCheckSpec.model_validate({"mcp": {"servers": servers}})


async def session(server: Server, *, port: int = 8080) -> McpSession:
    fetcher = Fetcher(Fixed({f"shop.{NAMESPACE}:{port}": server.address}))
    found = await McpSessions(fetcher, Evaluator()).observe(
        poll(facts(NAMESPACE), spec=spec("shop", port=port))
    )
    await fetcher.close()
    assert isinstance(found, tuple)
    return found[0]


def pings(ending: bytes, kind: str = EVENTS, coding: str = "utf-8") -> Listed:
    lines = [b'data: {"jsonrpc":"2.0","id":%d,"method":"ping"}' % number for number in range(3000)]
    return lambda _: (kind, b"".join(line + ending for line in lines).decode().encode(coding))


@pytest.mark.parametrize(
    ("listed", "reason"),
    [
        (pings(b"\n\n"), "TooManyMessages"),
        (pings(b"\r\n\r\n"), "TooManyMessages"),
        (pings(b"\r\r"), "TooManyMessages"),
        (pings(b"\n\n", f"{EVENTS}; charset=utf-16-be", "utf-16-be"), "MalformedAnswer"),
        (pings(b"\n\n", f"{EVENTS}; charset=cp037", "cp037"), "MalformedAnswer"),
        (lambda _: (EVENTS, b"id: 1\nretry: 1\ndata:\n\n"), "TooManyMessages"),
        (tools(tool("first", x=[{}] * 120_000)), "AnswerTooLarge"),
        (tools(tool("first", description="x" * 600_000)), "AnswerTooLarge"),
    ],
)
async def test_a_server_that_says_too_much(listed: Listed, reason: str) -> None:
    with Server(mcp(listed)) as server:
        found = await session(server)
        assert found.problem is not None
        assert found.problem.reason == reason
        assert len(server.requests) <= MESSAGES + 2


async def test_a_charset_hides_no_messages() -> None:
    kind = f"{EVENTS}; charset=cp037"
    with Server(lambda _: Answer(200, b"data: {}\n\n", {"content-type": kind})) as server:
        fetcher = Fetcher(Fixed({"shop.kiro:8080": server.address}))
        end = asyncio.get_running_loop().time() + 5
        transport = Transport(fetcher, "http://shop.kiro.svc:8080/mcp", {}, context=True, deadline=end)
        request = httpx2.Request("POST", "http://shop.kiro.svc:8080/mcp", content=b"{}")
        response = await transport.handle_async_request(request)
        assert response.headers.get_list("content-type") == [EVENTS]
        assert await response.aread() == b"data: {}\n\n"
        assert response.text == "data: {}\n\n"
        await response.aclose()
        await fetcher.close()


PIECES = st.lists(st.sampled_from([b"\n", b"\r", b"\r\n", b"data: {}", b"\n\n", b"\r\n\r\n"]), max_size=12)


@given(PIECES.map(b"".join), st.lists(st.integers(0, 40), max_size=6))
def test_no_event_is_missed_however_a_body_is_cut(body: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    chunks = [body[begin:end] for begin, end in pairwise(places)]
    lasts = [b"", *(chunk[-1:] for chunk in chunks)]
    counted = sum(events(last, chunk) for last, chunk in zip(lasts, chunks, strict=False))
    # What reads them dispatches at an empty line, if there was something to dispatch.
    lines = body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]
    dispatched = sum(not line and bool(before) for before, line in pairwise(lines))
    assert dispatched <= counted <= body.count(b"\n") + body.count(b"\r")


async def test_more_tools_than_are_kept() -> None:
    many = [tool("first"), *(tool(f"t{number}") for number in range(600)), tool("last")]
    with Server(mcp(tools(*many))) as server:
        found = await session(server)
    assert (found.problem, found.tools, found.complete) == (None, ("first",), False)


async def test_the_port_that_is_the_scheme_s_own() -> None:
    with Server(mcp(tools(tool("first")))) as server:
        found = await session(server, port=80)
    assert (found.problem, found.tools) == (None, ("first",))


@pytest.mark.parametrize(
    ("url", "asked", "reason"),
    [
        ("https://shop.kiro.svc:443/mcp", "https://shop.kiro.svc/mcp", "Unreachable"),
        ("http://shop.kiro.svc:80/mcp", "http://shop.kiro.svc:80/mcp", "Unreachable"),
        ("https://shop.kiro.svc:443/mcp", "http://shop.kiro.svc:443/mcp", "Redirected"),
        ("http://shop.kiro.svc:80/mcp", "http://shop.kiro.svc:8080/mcp", "Redirected"),
        ("http://shop.kiro.svc:80/mcp", "http://shop.kiro.svc/mcp/", "Redirected"),
    ],
)
async def test_what_is_another_url(url: str, asked: str, reason: str) -> None:
    fetcher = Fetcher(Fixed({}))
    transport = Transport(fetcher, url, {}, context=True, deadline=asyncio.get_running_loop().time() + 5)
    await transport.handle_async_request(httpx2.Request("POST", asked, content=b"{}"))
    await fetcher.close()
    assert transport.problem is not None
    assert transport.problem.reason == reason


async def test_servers_that_hang_lose_no_other_its_turn() -> None:
    hung = [f"hung-{number:02}" for number in range(15)]
    with Server() as bad, Server(mcp(tools(tool("first"), tool("last")))) as good:
        bad.break_with("hang")
        places = {f"{name}.{NAMESPACE}:8080": bad.address for name in hung}
        fetcher = Fetcher(Fixed({f"shop.{NAMESPACE}:8080": good.address, **places}))
        sessions, health = McpSessions(fetcher, Evaluator()), McpHealth(fetcher)
        request = poll(facts(NAMESPACE), spec=spec(*hung, "shop"), interval=timedelta(seconds=8))
        crowd = [asyncio.create_task(sessions.observe(request)) for _ in range(2)]
        alone = poll(facts(NAMESPACE), spec=spec("shop"), interval=timedelta(seconds=8))
        async with asyncio.timeout(8):
            talked, asked, beside = await asyncio.gather(
                sessions.observe(request), health.observe(request), sessions.observe(alone)
            )
        await asyncio.gather(*crowd)
        await fetcher.close()
    assert isinstance(talked, tuple)
    assert isinstance(asked, tuple)
    assert isinstance(beside, tuple)
    assert {one.problem.reason for one in talked[:-1] if one.problem} == {"Timeout"}
    assert (talked[-1].problem, talked[-1].tools) == (None, ("first", "last"))
    assert (asked[-1].problem, asked[-1].status) == (None, 200)
    assert beside[0].problem is None


async def test_a_sample_has_a_few_turns_and_a_share_of_its_time() -> None:
    sample = turns.Turns().sample(2 * turns.OF_A_SAMPLE, 10.0)
    taken = [sample.turn(f"http://{number}") for number in range(turns.OF_A_SAMPLE)]
    assert [round(await turn.__aenter__()) for turn in taken] == [5] * turns.OF_A_SAMPLE
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), sample.turn("http://other"):
            pass


async def test_no_turn_while_others_have_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "QUICK", 0)
    with Server(mcp(tools())) as server:
        fetcher = Fetcher(Fixed({f"shop.{NAMESPACE}:8080": server.address}))
        request = poll(facts(NAMESPACE), spec=spec("shop"), interval=timedelta(seconds=1))
        for source in (McpSessions(fetcher, Evaluator()), McpHealth(fetcher)):
            found = await source.observe(request)
            assert isinstance(found, tuple)
            assert found[0].problem == turns.NOT_ASKED
        await fetcher.close()
        assert server.requests == []


async def test_no_sandbox_while_others_have_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiro_operator.adapters.mcp.evaluation.AT_ONCE", 0)
    assert await Evaluator().evaluate([{}], within=0.05) == [BUSY]
