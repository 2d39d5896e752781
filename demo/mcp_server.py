"""A real MCP server, and the ways in which one goes wrong: ``python -m demo.mcp_server --port 0``.

It prints one JSON line with its port. Its fault is changed while it runs, from this machine only:
``curl -X POST 'http://127.0.0.1:PORT/control?fault=wrong-answer'``; ``at=tools/call`` limits it to one
method of the protocol, ``delay=1.5`` sets what slow means, and no fault mends it.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import mcp_types as types
import uvicorn
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.transport_security import TransportSecuritySettings
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

FAULTS = {
    "": "as it should be",
    "down": "everything answers 503",
    "slow": "everything answers after the delay",
    "unauthorized": "everything answers 401",
    "forbidden": "everything answers 403",
    "missing-tool": "get_price is not there",
    "wrong-answer": "the price is wrong",
    "tool-error": "the tool says that it failed",
    "big-number": "the price has eighty digits",
    "stale": "the data is a week old",
    "schema-violation": "the price is a text",
    "hang": "the answer begins and never goes on",
    "endless": "the answer never ends",
    "huge": "the answer has 100 MB",
    "wrong-type": "the answer is a web page",
    "bad-utf8": "the answer is not UTF-8",
    "deep": "the answer is nested 50,000 times",
    "gzip": "the answer is compressed, unasked, and large when unpacked",
    "redirect": "the answer is a redirect to a link-local address",
    "error": "the answer is a protocol error",
    "modern": "not wrong: it knows only the newest revision of the protocol, which has no initialize",
    "hostile-schema": "the tool's output schema takes for ever to check",
}
MEGABYTE = 1024 * 1024
LINK_LOCAL = b"http://169.254.169.254/latest/meta-data/"
_CHUNK = b'{"jsonrpc":"2.0",' + b" " * 65_536


class Canned(NamedTuple):
    """An answer, whatever was asked."""

    status: int
    body: bytes
    kind: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()


CANNED = {
    "down": Canned(503, b"no", b"text/plain"),
    "unauthorized": Canned(401, b"no", b"text/plain"),
    "forbidden": Canned(403, b"no", b"text/plain"),
    "wrong-type": Canned(200, b"<html>welcome</html>", b"text/html"),
    "bad-utf8": Canned(200, b'{"jsonrpc":"2.0","id":0,"result":{"x":"\xff\xfe"}}'),
    "deep": Canned(200, b"[" * 50_000 + b"]" * 50_000),
    "gzip": Canned(200, gzip.compress(bytes(20 * MEGABYTE)), headers=((b"content-encoding", b"gzip"),)),
    "redirect": Canned(307, b"", headers=((b"location", LINK_LOCAL),)),
}


class Behaviour:
    """What the server does now."""

    def __init__(self, fault: str = "", at: str = "", delay: float = 3.0) -> None:
        self.set(fault, at, delay)

    def set(self, fault: str = "", at: str = "", delay: float = 3.0) -> None:
        """Change it.

        Raises:
            ValueError: there is no such fault.
        """
        if fault not in FAULTS:
            raise ValueError(f"no fault {fault!r}: one of {', '.join(filter(None, FAULTS))}")
        self.fault, self.at, self.delay = fault, at, delay

    def on(self, fault: str) -> bool:
        """Whether it has this fault."""
        return self.fault == fault


def protocol(behaviour: Behaviour) -> Server[Any]:
    """The server proper, by the SDK: two tools, whose answers are the behaviour's."""

    async def list_tools(
        _context: ServerRequestContext[Any], _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        tools = [] if behaviour.on("missing-tool") else [_price_tool(hostile=behaviour.on("hostile-schema"))]
        status = types.Tool(
            name="get_status", description="How the shop is.", input_schema={"type": "object"}
        )
        return types.ListToolsResult(tools=[*tools, status])

    async def call_tool(
        _context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        if behaviour.on("tool-error"):
            return types.CallToolResult(
                content=[types.TextContent(type="text", text="the database is away")], is_error=True
            )
        answer = _answer(behaviour) if params.name == "get_price" else {"status": "open"}
        text = types.TextContent(type="text", text=json.dumps(answer))
        if params.name != "get_price":
            return types.CallToolResult(content=[text])
        return types.CallToolResult(content=[text], structured_content=answer)

    return Server("shop", version="1.0", on_list_tools=list_tools, on_call_tool=call_tool)


def _price_tool(*, hostile: bool) -> types.Tool:
    item: dict[str, Any] = {"type": "string"}
    if hostile:
        item["pattern"] = "^(a+)+$"
    schema = {
        "type": "object",
        "properties": {
            "item": item,
            "price": {"type": "number"},
            "updatedAt": {"type": "string"},
        },
        "required": ["item", "price"],
    }
    inputs = {"type": "object", "properties": {"item": {"type": "string"}}, "required": ["item"]}
    return types.Tool(name="get_price", description="A price.", input_schema=inputs, output_schema=schema)


def _answer(behaviour: Behaviour) -> dict[str, Any]:
    written = datetime.now(UTC) - (timedelta(days=7) if behaviour.on("stale") else timedelta(0))
    price: Any = 19.9 if behaviour.on("wrong-answer") else 42.5
    return {
        "item": "a" * 48 + "b" if behaviour.on("hostile-schema") else "lamp",
        "price": {"schema-violation": "forty", "big-number": 10**80}.get(behaviour.fault, price),
        "updatedAt": written.isoformat(),
    }


class App:
    """The server behind its health path, its control path and its faults."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
        self._inner = protocol(behaviour).streamable_http_app(transport_security=security)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if scope["path"] == "/control":
            await self._control(scope, send)
            return
        body, replay = await _read(receive)
        if not await self._misbehave(body, send):
            if scope["path"] == "/health":
                await answer(send, Canned(200, b'{"status":"ok"}'))
            else:
                await self._inner(scope, replay, send)

    async def _control(self, scope: Scope, send: Send) -> None:
        wanted = dict(parse_qsl(scope["query_string"].decode()))
        try:
            self.behaviour.set(wanted.get("fault", ""), wanted.get("at", ""), float(wanted.get("delay", "3")))
        except ValueError as error:
            await answer(send, Canned(400, str(error).encode()))
            return
        await answer(send, Canned(200, b"{}"))

    async def _misbehave(self, body: bytes, send: Send) -> bool:
        """Play the fault; True when nothing more is to be answered."""
        behaviour = self.behaviour
        if behaviour.at and behaviour.at.encode() not in body:
            return False
        match behaviour.fault:
            case "slow":
                await asyncio.sleep(behaviour.delay)
                return False
            case "error":
                await answer(send, _error(body, {"code": types.INTERNAL_ERROR, "message": "no"}))
            case "modern" if b'"initialize"' in body:
                code, known = types.UNSUPPORTED_PROTOCOL_VERSION, list(MODERN_PROTOCOL_VERSIONS)
                data = {"supported": known, "requested": "2025-11-25"}
                await answer(send, _error(body, {"code": code, "message": "no", "data": data}))
            case "hang":
                await _begin(send)
                await asyncio.Event().wait()
            case "endless" | "huge":
                await self._pour(send, 0 if behaviour.fault == "endless" else 100 * MEGABYTE)
            case fault if fault in CANNED:
                await answer(send, CANNED[fault])
            case _:
                return False
        return True

    async def _pour(self, send: Send, limit: int) -> None:
        kind = b"application/json" if limit else b"text/event-stream"
        await _begin(send, kind)
        poured = 0
        while not limit or poured < limit:
            chunk = _CHUNK if limit else b": still here\n\n" * 512
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            poured += len(chunk)
            # A send returns at once when nobody is there any more.
            await asyncio.sleep(0)
        await send({"type": "http.response.body", "body": b""})


async def answer(send: Send, canned: Canned) -> None:
    """A whole answer."""
    headers = [(b"content-type", canned.kind), *canned.headers]
    await send({"type": "http.response.start", "status": canned.status, "headers": headers})
    await send({"type": "http.response.body", "body": canned.body})


async def _begin(send: Send, kind: bytes = b"application/json") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


def _error(body: bytes, error: dict[str, Any]) -> Canned:
    try:
        number = json.loads(body).get("id")
    except (ValueError, AttributeError):
        number = None
    return Canned(200, json.dumps({"jsonrpc": "2.0", "id": number, "error": error}).encode())


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """The body, and a receive that gives it again."""
    messages: list[MutableMapping[str, Any]] = []
    while True:
        messages.append(await receive())
        if messages[-1]["type"] != "http.request" or not messages[-1].get("more_body"):
            break
    queue = iter(messages)

    async def replay() -> MutableMapping[str, Any]:
        return next(queue, None) or await receive()

    return b"".join(message.get("body", b"") for message in messages), replay


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.mcp_server", description="An MCP server with faults."
    )
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--fault", default="", choices=list(FAULTS), help="; ".join(filter(None, FAULTS)))
    parser.add_argument("--at", default="", help="method that the fault is limited to, such as tools/call")
    parser.add_argument("--delay", type=float, default=3.0, help="seconds of the fault slow")
    flags = parser.parse_args()
    listener = socket.create_server(("127.0.0.1", flags.port))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    app = App(Behaviour(flags.fault, flags.at, flags.delay))
    config = uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
