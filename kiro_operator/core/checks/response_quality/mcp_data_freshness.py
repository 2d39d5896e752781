"""What MCP servers answer is not older than it may be, and sources of the same data agree on its time."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core import mcp
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, McpSession
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, skipped, unknown

Dated = tuple[datetime, str]
"""The time of the data, and the server that told it."""


class McpDataFreshnessParameters(Parameters):
    """Thresholds of mcp-data-freshness."""

    max_skew: Annotated[timedelta, Between("1s", "168h")] = Field(
        default=timedelta(minutes=5),
        description="How far servers may be apart in the time of the same query's data.",
    )
    max_ahead: Annotated[timedelta, Between("1s", "24h")] = Field(
        default=timedelta(minutes=5),
        description="How far a timestamp may be in the future, as clocks differ.",
    )


def judge(snapshot: Snapshot, parameters: McpDataFreshnessParameters, now: datetime) -> Verdict:
    """Judge each golden query that has a timestamp."""
    sessions = snapshot.value(MCP_SESSIONS)
    if isinstance(sessions, Unobserved):
        return unknown(sessions)
    at = snapshot.sampled_at(MCP_SESSIONS, now)
    faults: list[Finding] = []
    unjudged: list[Finding] = []
    dated: dict[str, list[Dated]] = {}
    for session, call in mcp.calls(sessions):
        server, query = session.server, call.query
        if isinstance(call.written, Unobserved):
            cause = call.written
            unjudged.append(mcp.about(server, query, cause.reason, cause.message, at))
        elif call.written is not None and call.written > at + parameters.max_ahead:
            text = "its timestamp is in the future, so it tells no age: see the server's clock"
            unjudged.append(mcp.about(server, query, "TimestampAhead", text, at))
        elif call.written is not None:
            dated.setdefault(query, []).append((call.written, server))
            allowed = timedelta(seconds=call.max_age)
            if at - call.written > allowed:
                text = (
                    f"the data of tool {call.tool} is older than {format_duration(allowed)}: see "
                    "whether its synchronization runs, and run it"
                )
                faults.append(mcp.about(server, query, "DataStale", text, call.written + allowed))
    if not dated and not unjudged:
        return skipped("NoTimestamps", "No golden query in spec.mcp.servers has a timestamp.")
    faults += _apart(dated, parameters, at)
    judged = sum(map(len, dated.values()))
    return mcp.verdict(faults, unjudged, judged, _well(sessions, dated))


def _apart(
    dated: dict[str, list[Dated]], parameters: McpDataFreshnessParameters, at: datetime
) -> list[Finding]:
    """For each query whose servers are too far apart, the server that is behind the others."""
    found: list[Finding] = []
    for query, answers in sorted(dated.items()):
        (oldest, behind), (newest, ahead) = min(answers), max(answers)
        if newest - oldest > parameters.max_skew:
            text = (
                f"its data is behind that of MCP server {ahead} by more than "
                f"{format_duration(parameters.max_skew)}: resynchronize it"
            )
            found.append(mcp.about(behind, query, "SourcesDisagree", text, at))
    return found


def _well(sessions: tuple[McpSession, ...], dated: dict[str, list[Dated]]) -> str:
    agree = " Servers that answer the same query agree." if len(sessions) > 1 and dated else ""
    return f"The data of each golden query is as fresh as it has to be.{agree}"


CHECK = Check(
    title="MCP servers' data is fresh",
    section="response-quality-mcp-data",
    command=(
        "npx @modelcontextprotocol/inspector --cli http://mcp-server.{namespace}.svc:8080/mcp "
        "--transport http --method tools/call --tool-name TOOL"
    ),
    sources=(MCP_SESSIONS,),
    judge=judge,
    parameters=McpDataFreshnessParameters,
)
