"""MCP servers speak the protocol and have the tools that are expected of them."""

from datetime import datetime

from kiro_operator.core import mcp
from kiro_operator.core.checks import Check
from kiro_operator.core.evidence.mcp import MCP_SESSIONS, McpSession
from kiro_operator.core.evidence.steering import STEERING
from kiro_operator.core.findings import found, some
from kiro_operator.core.mcp_client import READS, treated
from kiro_operator.core.mcp_listing import held_against
from kiro_operator.core.snapshot import NOT_CONFIGURED, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, unknown

_NAMED = 3
_NOT_ABOUT_TOOLS = mcp.OURS | {"Unauthorized"}


def judge(snapshot: Snapshot, _parameters: object, now: datetime) -> Verdict:
    """Judge each server's session, and hold Kiro's own list of servers against those that are asked."""
    sessions = snapshot.value(MCP_SESSIONS)
    if isinstance(sessions, Unobserved):
        unlisted = () if sessions.reason != NOT_CONFIGURED else held_against((), snapshot, now).findings
        return found(unlisted, status=Status.WARN) if unlisted else unknown(sessions)
    since = snapshot.sampled_at(MCP_SESSIONS, now)
    faults: list[Finding] = []
    unjudged: list[Finding] = []
    for session in sessions:
        if session.problem is not None:
            told = mcp.trouble(session.server, session.url, session.problem, since)
            (unjudged if session.problem.reason in _NOT_ABOUT_TOOLS else faults).append(told)
        elif missing := sorted(set(session.expected) - set(session.tools)):
            if session.complete:
                faults.append(_missing(session, missing, since))
            else:
                text = f"its list of tools is too long to find {missing[0]} in it"
                unjudged.append(mcp.finding(session.server, "TooManyTools", text, since))
    listing = held_against(sessions, snapshot, now)
    well = "Each MCP server opens a session and has the tools that are expected of it."
    if not listing.read:
        well += " mcp.json was not read: see spec.steering."
    verdict = mcp.verdict(treated(faults, snapshot, now), unjudged, len(sessions) - len(unjudged), well)
    if listing.findings and verdict.status in {Status.PASS, Status.WARN}:
        return found([*verdict.findings, *listing.findings], status=Status.WARN)
    return verdict


def _missing(session: McpSession, missing: list[str], since: datetime) -> Finding:
    text = f"it has no tool {some(missing, _NAMED)}: see its version and its settings, then reconnect"
    return mcp.finding(session.server, "ToolMissing", text, since)


CHECK = Check(
    title="MCP servers have their tools",
    section="responsiveness-mcp",
    command=f"{mcp.LISTED}; in a pod: cat .kiro/settings/mcp.json",
    sources=(MCP_SESSIONS, *READS),
    beside=(STEERING,),
    judge=judge,
)
