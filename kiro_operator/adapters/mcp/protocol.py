"""One session with an MCP server, through the SDK: initialize, list tools, golden queries.

Importing this imports the SDK and with it a web framework, some 35 MiB: import it at first use only.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import mcp_types as types
from mcp.client.session import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, REQUEST_TIMEOUT, UNSUPPORTED_PROTOCOL_VERSION
from msgspec import Struct
from pydantic import ValidationError

from kiro_operator import __version__
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.mcp.transport import FAREWELL, Transport
from kiro_operator.api.v1alpha1.evidence.mcp import GoldenQuery
from kiro_operator.core.snapshot import Unobserved

PAGES = 16
"""Pages of a list of tools that are read."""
TOOLS = 512
SHORTEST = 0.5
"""Seconds that have to be left for a call to be begun."""

# What a server sends is quoted in the SDK's messages: it has no place in the operator's log.
logging.getLogger("mcp").setLevel(logging.CRITICAL)
logging.getLogger("httpx2").setLevel(logging.WARNING)


class Answered(Struct):
    """What came of one golden query."""

    problem: Unobserved | None = None
    structured: Any = None
    text: str = ""
    error: bool = False
    schema: dict[str, Any] | None = None


class Talk(Struct):
    """What came of a session; what was had before it broke is kept."""

    problem: Unobserved | None = None
    """Why there was no session, or no list of tools."""
    cut: Unobserved | None = None
    """Why it ended before all was asked."""
    tools: list[str] = []
    complete: bool = False
    answers: dict[str, Answered] = {}


async def talk(
    fetcher: Fetcher,
    url: str,
    access: tuple[Mapping[str, str], ssl.SSLContext | bool],
    queries: Sequence[GoldenQuery],
    *,
    within: float,
) -> Talk:
    """Talk to one server for ``within`` seconds at most."""
    deadline = asyncio.get_running_loop().time() + within
    transport = Transport(fetcher, url, *access, deadline)
    conversation = _Conversation(transport, deadline)
    try:
        # The transport keeps the deadline; this is for what the SDK waits for by itself.
        async with (
            asyncio.timeout_at(deadline + FAREWELL),
            httpx2.AsyncClient(transport=transport, trust_env=False, timeout=None) as client,
            streamable_http_client(url, http_client=client) as streams,
            ClientSession(
                *streams, client_info=types.Implementation(name="kiro-operator", version=__version__)
            ) as session,
        ):
            await conversation.hold(session, queries)
    except TimeoutError:
        conversation.broken(Unobserved("Timeout", f"{url} did not answer in time"))
    except Exception:  # noqa: BLE001 - the SDK raises groups of whatever broke it
        text = f"{url} answers with something that is not MCP"
        conversation.broken(transport.problem or Unobserved("MalformedAnswer", text))
    return conversation.talk


class _Conversation:
    def __init__(self, transport: Transport, deadline: float) -> None:
        self._transport = transport
        self._deadline = deadline
        self._schemas: dict[str, dict[str, Any] | None] = {}
        self._listed = False
        self.talk = Talk()

    def broken(self, problem: Unobserved) -> None:
        """The session ended before its time."""
        if self._listed:
            self.talk.cut = problem
        else:
            self.talk.problem = problem

    async def hold(self, session: ClientSession, queries: Sequence[GoldenQuery]) -> None:
        """Initialize, list, ask."""
        try:
            async with self._budget():
                await _open(session)
                await self._list(session)
        except (MCPError, ValidationError, RuntimeError, TimeoutError) as error:
            self.talk.problem = self._cause(error)
            return
        self._listed = True
        for query in queries:
            if query.tool not in self._schemas and self.talk.complete:
                missing = Unobserved("ToolMissing", f"the server has no tool {query.tool}")
                self.talk.answers[query.name] = Answered(missing)
            elif self._left() >= SHORTEST:
                self.talk.answers[query.name] = await self._ask(session, query)

    async def _list(self, session: ClientSession) -> None:
        cursor: str | None = None
        for _ in range(PAGES):
            page = await session.list_tools(params=types.PaginatedRequestParams(cursor=cursor))
            for tool in page.tools[: TOOLS - len(self._schemas)]:
                self._schemas[tool.name] = tool.output_schema
            cursor = page.next_cursor
            if not cursor or len(self._schemas) >= TOOLS:
                break
        self.talk.tools = sorted(self._schemas)
        self.talk.complete = not cursor and len(self._schemas) < TOOLS

    async def _ask(self, session: ClientSession, query: GoldenQuery) -> Answered:
        self._transport.problem = None
        within = min(query.max_latency.total_seconds(), self._left())
        params = types.CallToolRequestParams(name=query.tool, arguments=query.arguments)
        try:
            async with asyncio.timeout(within):
                # Not call_tool: that would hold the answer against the tool's schema in this process.
                result = await session.send_request(
                    types.CallToolRequest(params=params),
                    types.CallToolResult,
                    request_read_timeout_seconds=within,
                )
        except (MCPError, ValidationError, RuntimeError, TimeoutError) as error:
            problem = self._cause(error)
            if problem.reason == "Timeout" and within < query.max_latency.total_seconds():
                problem = _out_of_time()
            return Answered(problem)
        schema = self._schemas.get(query.tool) if query.check_schema else None
        text = "\n".join(part.text for part in result.content if isinstance(part, types.TextContent))
        return Answered(None, result.structured_content, text, bool(result.is_error), schema)

    def _left(self) -> float:
        return self._deadline - asyncio.get_running_loop().time()

    def _budget(self) -> asyncio.Timeout:
        return asyncio.timeout_at(self._deadline)

    def _cause(self, error: Exception) -> Unobserved:
        """Why a request got no answer: what the transport saw, or else what the SDK says."""
        url = self._transport.url
        if self._transport.problem is not None:
            return self._transport.problem
        if isinstance(error, TimeoutError) or (
            isinstance(error, MCPError) and error.error.code == REQUEST_TIMEOUT
        ):
            return Unobserved("Timeout", f"{url} did not answer in time")
        if isinstance(error, MCPError) and error.error.code not in _BROKEN:
            return Unobserved("ErrorAnswer", f"{url} answers with protocol error {error.error.code}")
        return Unobserved("MalformedAnswer", f"{url} answers with something that is not MCP")


_BROKEN = frozenset({types.PARSE_ERROR, types.CONNECTION_CLOSED})
"""Codes that the SDK gives to what is no answer."""


async def _open(session: ClientSession) -> None:
    """The handshake; servers of the newest revision know none, and are asked what they are."""
    try:
        await session.initialize()
    except MCPError as error:
        if error.error.code not in {UNSUPPORTED_PROTOCOL_VERSION, METHOD_NOT_FOUND}:
            raise
        await session.discover()


def _out_of_time() -> Unobserved:
    return Unobserved("OutOfTime", "the queries before it took all the time there is for one sample")
