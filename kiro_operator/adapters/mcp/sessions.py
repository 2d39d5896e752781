"""Samples MCP servers by their protocol: one session a server and round, for all checks that read it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.mcp.evaluation import WAIT, Evaluator, Outcome
from kiro_operator.adapters.mcp.token import expiry
from kiro_operator.adapters.mcp.turns import NOT_ASKED, Sample, Turns
from kiro_operator.api.v1alpha1.evidence.mcp import GoldenQuery, McpServer
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, Call, McpSession
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import NOT_CONFIGURED, Unobserved

if TYPE_CHECKING:
    from kiro_operator.adapters.mcp.protocol import Answered, Talk

BUDGET = timedelta(seconds=10)
"""For all sessions of a sample; of a short interval three fifths."""
WHOLE = 0.9
"""Of the time that the sample may take: then each server's answers are what they are."""
ARGUMENTS = 16_384
"""Bytes of a query's arguments."""
ANSWER = 262_144
"""Bytes of an answer that is judged."""

NO_SERVERS = Unobserved(NOT_CONFIGURED, "spec.mcp.servers is empty, so there is no MCP server to ask")
_NOT_REACHED = Unobserved(
    "OutOfTime", "the queries before it took all the time there is for one sample: ask fewer, or allow less"
)
_TOO_LARGE = Unobserved("AnswerTooLarge", "the answer is larger than what is judged")


class McpSessions:
    """Talks to each server that is listed, each for itself."""

    source = MCP_SESSIONS
    rules: tuple[Rule, ...] = ()

    def __init__(self, fetcher: Fetcher, evaluator: Evaluator) -> None:
        self._fetcher = fetcher
        self._evaluator = evaluator
        self._turns = Turns()

    async def observe(self, request: ports.PollRequest) -> tuple[McpSession, ...] | Unobserved:
        """One session a server, by the servers' names."""
        spec = request.spec.mcp
        if spec is None or not spec.servers:
            return NO_SERVERS
        limit = min(self.source.timeout, request.interval.total_seconds())
        end = asyncio.get_running_loop().time() + WHOLE * limit
        servers = sorted(spec.servers, key=lambda server: server.name)
        within = min(BUDGET, 0.6 * request.interval).total_seconds()
        turns = self._turns.sample(len(servers), within)
        return tuple(
            await asyncio.gather(*(self._one(server, request.namespace, turns, end) for server in servers))
        )

    async def _one(self, server: McpServer, namespace: str, turns: Sample, end: float) -> McpSession:
        base = self._fetcher.url(server, namespace)
        if isinstance(base, Unobserved):
            return _without(server, server.mcp_path, base)
        url = base + server.mcp_path
        access = self._fetcher.access(server, namespace)
        if isinstance(access, Unobserved):
            return _without(server, url, access)
        talk = await asyncio.to_thread(_sdk)
        asked = [query for query in server.golden_queries if not _too_long(query)]
        try:
            async with turns.turn(url) as within:
                said = await talk(self._fetcher, url, access, asked, within=within)
        except TimeoutError:
            return _without(server, url, NOT_ASKED)
        expected = _expected(server)
        return McpSession(
            server.name,
            url,
            said.problem,
            tuple(name for name in expected if name in said.tools),
            said.complete,
            expected,
            await self._judged(server, said, end),
            expiry(access[0]),
            server.scheme == "http",
        )

    async def _judged(self, server: McpServer, said: "Talk", end: float) -> tuple[Call, ...]:
        """The golden queries with what the sandbox makes of their answers."""
        tasks: list[tuple[str, dict[str, Any]]] = []
        for query in server.golden_queries:
            answer = said.answers.get(query.name)
            if answer is not None and _problem(query, said, answer) is None:
                tasks += [(query.name, task) for task in _tasks(query, answer)]
        # Schemas last: they are the server's, and one that never ends must not cost the user's expressions.
        tasks.sort(key=lambda pair: pair[1]["kind"] == "schema")
        done = await self._evaluator.evaluate(
            [task for _, task in tasks], within=min(WAIT, end - asyncio.get_running_loop().time())
        )
        outcomes = {(name, task["kind"]): outcome for (name, task), outcome in zip(tasks, done, strict=True)}
        return tuple(_call(query, said, outcomes) for query in server.golden_queries)


def _sdk() -> "Callable[..., Awaitable[Talk]]":
    """The SDK, imported at first use, in a thread: it takes a second, and brings a web framework with it.

    Only who asks MCP servers pays for that memory, and nothing else waits meanwhile.
    """
    from kiro_operator.adapters.mcp.protocol import talk  # noqa: PLC0415

    return talk


def _tasks(query: GoldenQuery, answer: "Answered") -> list[dict[str, Any]]:
    structured = answer.structured
    if structured is None:
        structured = _object(answer.text)
    result = {"structuredContent": structured, "text": answer.text, "isError": answer.error}
    tasks = [
        {"kind": kind, "expression": text, "result": result}
        for kind, text in (("expect", query.expect), ("timestamp", query.timestamp))
        if text is not None
    ]
    if answer.schema is not None and not answer.error:
        tasks.append({"kind": "schema", "schema": answer.schema, "value": answer.structured})
    return tasks


def _object(text: str) -> Any:
    """A text that is a JSON object, as older servers answer; otherwise an empty one."""
    try:
        value = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _call(query: GoldenQuery, said: "Talk", outcomes: Mapping[tuple[str, str], Outcome]) -> Call:
    answer = said.answers.get(query.name)
    problem = _problem(query, said, answer)
    conforms: bool | Unobserved | None = None
    violation = ""
    if problem is None and (outcome := outcomes.get((query.name, "schema"))):
        conforms, violation = _truth(outcome), outcome.at
    return Call(
        query.name,
        query.tool,
        problem,
        answer.error if answer is not None else False,
        None if query.expect is None else problem or _truth(outcomes[query.name, "expect"]),
        conforms,
        violation,
        None if query.timestamp is None else problem or _time(outcomes[query.name, "timestamp"]),
        query.max_age.total_seconds(),
    )


def _problem(query: GoldenQuery, said: "Talk", answer: "Answered | None") -> Unobserved | None:
    if said.problem is not None:
        return said.problem
    if _too_long(query):
        return Unobserved("InvalidArguments", f"its arguments are more than {ARGUMENTS} bytes of JSON")
    if answer is None:
        return said.cut or _NOT_REACHED
    return answer.problem or _unfit(answer)


def _truth(outcome: Outcome) -> bool | Unobserved:
    return Unobserved(outcome.reason, outcome.message) if outcome.reason else bool(outcome.value)


def _time(outcome: Outcome) -> datetime | Unobserved:
    if outcome.reason or outcome.value is None:
        return Unobserved(outcome.reason or "NoTimestamp", outcome.message)
    try:
        return datetime.fromtimestamp(outcome.value, UTC)
    except (OverflowError, OSError, ValueError):
        return Unobserved("NoTimestamp", "the answer's time is none that a clock can show")


def _too_long(query: GoldenQuery) -> bool:
    return len(msgspec.json.encode(query.arguments)) > ARGUMENTS


def _unfit(answer: "Answered") -> Unobserved | None:
    """Why an answer cannot be handed to the sandbox."""
    try:
        # Not msgspec: it refuses numbers that JSON allows.
        size = len(json.dumps((answer.structured, answer.text, answer.schema)))
    except (ValueError, RecursionError):
        return Unobserved("MalformedAnswer", "the answer cannot be written as JSON again")
    return _TOO_LARGE if size > ANSWER else None


def _expected(server: McpServer) -> tuple[str, ...]:
    return tuple(sorted({*server.expected_tools, *(query.tool for query in server.golden_queries)}))


def _without(server: McpServer, url: str, problem: Unobserved) -> McpSession:
    """A server that is not talked to."""
    calls = tuple(
        Call(
            query.name,
            query.tool,
            problem,
            agrees=problem if query.expect is not None else None,
            written=problem if query.timestamp is not None else None,
            max_age=query.max_age.total_seconds(),
        )
        for query in server.golden_queries
    )
    return McpSession(
        server.name, url, problem, expected=_expected(server), calls=calls, plain=server.scheme == "http"
    )
