"""MCP servers answer in time, without errors, and in the form that they promise."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core import mcp
from kiro_operator.core.checks import Check
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, Call, McpSession
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.switches import asking
from kiro_operator.core.verdict import Finding, Verdict, skipped, unknown

_POOR = {
    "Timeout": "does not answer within maxLatency: look at the load of its server and of what it reads",
    "MalformedAnswer": "answers with what is no answer of a tool: see the server's log and version",
    "AnswerTooLarge": "answers with more than is read: have it page or shorten its answer",
    "TooManyMessages": "answers with more messages than are read: have its server send fewer",
    "ErrorAnswer": "is answered with a protocol error: hold the query's arguments against the tool's schema",
}
"""What a call can come to that is the server's fault; anything else says nothing of its answers."""


def judge(snapshot: Snapshot, _parameters: object, now: datetime) -> Verdict:
    """Judge what came of each golden query."""
    sessions = snapshot.value(MCP_SESSIONS)
    if isinstance(sessions, Unobserved):
        return unknown(sessions)
    since = snapshot.sampled_at(MCP_SESSIONS, now)
    faults: list[Finding] = []
    unjudged: list[Finding] = []
    count = 0
    for session, call in mcp.calls(sessions):
        count += 1
        if call.problem is not None and (session.problem is not None or call.problem.reason not in _POOR):
            unjudged.append(_unjudged(session, call, call.problem, since))
        elif isinstance(call.conforms, Unobserved):
            unjudged.append(_unjudged(session, call, call.conforms, since))
        elif fault := _fault(session, call, since):
            faults.append(fault)
    if not count:
        return skipped("NoGoldenQueries", "There is no golden query in spec.mcp.servers.")
    judged = count - len(unjudged)
    well = "Each golden query is answered in time, without error, and as the tool's schema says."
    faults = asking(faults, ActionName.DETAILED_LOGGING, snapshot)
    return mcp.verdict(faults, unjudged, judged, well)


def _unjudged(session: McpSession, call: Call, cause: Unobserved, since: datetime) -> Finding:
    return mcp.about(session.server, call.query, cause.reason, cause.message, since)


def _fault(session: McpSession, call: Call, since: datetime) -> Finding | None:
    server, query, what = session.server, call.query, f"tool {call.tool}"
    if call.problem is not None:
        reason = "ToolSlow" if call.problem.reason == "Timeout" else call.problem.reason
        return mcp.about(server, query, reason, f"{what} {_POOR[call.problem.reason]}", since)
    if call.error:
        text = f"{what} says that it failed: call it by hand to read its error"
        return mcp.about(server, query, "ToolError", text, since)
    if call.conforms is False:
        text = f"{what} breaks its own output schema at {call.violation}: see the server's version"
        return mcp.about(server, query, "SchemaViolation", text, since)
    return None


CHECK = Check(
    title="MCP servers answer in time and form",
    section="response-quality-mcp-data",
    command=mcp.CALLED,
    sources=(MCP_SESSIONS, SAFETY_CONFIG),
    borrows=(SAFETY_CONFIG,),
    judge=judge,
)
