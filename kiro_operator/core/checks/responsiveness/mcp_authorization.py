"""MCP servers accept the credential, and it lasts."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core import mcp
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.mcp import MCP_HEALTH, MCP_SESSIONS, Health, McpSession
from kiro_operator.core.findings import found
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, unknown


class McpAuthorizationParameters(Parameters):
    """Thresholds of mcp-authorization."""

    expiring_within: Annotated[timedelta, Between("1m", "2160h")] = Field(
        default=timedelta(hours=24), description="How soon a token's end is worth a warning."
    )


def judge(snapshot: Snapshot, parameters: McpAuthorizationParameters, now: datetime) -> Verdict:
    """Judge whether each server lets the operator in, and until when."""
    sessions, health = snapshot.value(MCP_SESSIONS), snapshot.value(MCP_HEALTH)
    if isinstance(sessions, Unobserved):
        return unknown(sessions)
    shut = _refusing(() if isinstance(health, Unobserved) else health)
    at = snapshot.sampled_at(MCP_SESSIONS, now)
    faults: list[Finding] = []
    expiring: list[Finding] = []
    unjudged: list[Finding] = []
    for session in sessions:
        ends = session.token_expires
        if ends is not None and ends <= at:
            text = "the token of its credential has expired: put a new one into the Secret that is mounted"
            faults.append(mcp.finding(session.server, "TokenExpired", text, min(ends, at)))
        elif url := _refused(session, shut):
            faults.append(mcp.trouble(session.server, url, Unobserved("Unauthorized", ""), at))
        elif session.problem is not None:
            unjudged.append(mcp.trouble(session.server, session.url, session.problem, at))
        elif ends is not None and ends - at <= parameters.expiring_within:
            within = format_duration(parameters.expiring_within)
            text = f"the token of its credential expires within {within}: renew it"
            expiring.append(mcp.finding(session.server, "TokenExpiring", text, at))
    if expiring and not faults:
        return found(expiring, status=Status.WARN)
    judged = len(sessions) - len(unjudged)
    return mcp.verdict(faults, unjudged, judged, "Each MCP server accepts the operator's credential.")


def _refusing(health: Sequence[Health]) -> dict[str, str]:
    return {answer.server: answer.url for answer in health if answer.status in mcp.REFUSED}


def _refused(session: McpSession, shut: dict[str, str]) -> str:
    """The URL that answers 401 or 403; empty when none does."""
    problems = [session.problem, *(call.problem for call in session.calls)]
    if any(problem is not None and problem.reason == "Unauthorized" for problem in problems):
        return session.url
    return shut.get(session.server, "")


CHECK = Check(
    title="MCP servers accept the credential",
    section="responsiveness-mcp",
    command="curl -i {mcp}",
    sources=(MCP_SESSIONS, MCP_HEALTH),
    judge=judge,
    parameters=McpAuthorizationParameters,
)
