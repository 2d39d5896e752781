"""What the checks on MCP servers share: how findings and what could not be judged make a verdict."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from kiro_operator.core.evidence.mcp import Call, McpSession
from kiro_operator.core.faults.motion import MOVING
from kiro_operator.core.findings import MESSAGE_LIMIT, clip, found, summary
from kiro_operator.core.snapshot import Ref, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict, passed, unknown

OURS = frozenset(
    {
        "HostNotAllowed",
        "ServiceNotOwn",
        "AddressForbidden",
        "CredentialNotFound",
        "CredentialUnreadable",
        "CredentialNotForHost",
        "CredentialNeedsHttps",
        "CertificateInvalid",
        "NotAsked",
    }
)
"""Reasons that lie with how the operator is set up, and say nothing of the server."""
REFUSED = (401, 403)
LISTED = "npx @modelcontextprotocol/inspector --cli {mcp} --transport http --method tools/list"
"""The command that shows a person the tools of a server."""
CALLED = (
    "npx @modelcontextprotocol/inspector --cli {mcp} --transport http --method tools/call "
    f"--tool-name {{tool}}; {LISTED}"
)
"""The same, after the answer to a golden query where there is one."""
_WORDS = {
    "Timeout": "{url} does not answer in time: see whether the server hangs, then reconnect",
    "Unreachable": (
        "{url} cannot be connected to: see whether its pods are ready and its Service has endpoints, "
        "then reconnect"
    ),
    "Unauthorized": "{url} refuses the operator: set or renew its credential",
}


def finding(server: str, reason: str, message: str, since: datetime) -> Finding:
    """A fault of a server."""
    text = clip(f"MCP server {server}: {message}", MESSAGE_LIMIT)
    return Finding(Ref("MCPServer", server), reason, text, since)


def about(server: str, query: str, reason: str, message: str, since: datetime) -> Finding:
    """A fault of what a golden query is answered with."""
    name = f"{server}/{query}"
    text = clip(f"Golden query {name}: {message}", MESSAGE_LIMIT)
    return Finding(Ref("GoldenQuery", name), reason, text, since)


def trouble(server: str, url: str, problem: Unobserved, since: datetime) -> Finding:
    """Why a server did not answer, in words that stay the same while the cause does."""
    words = _WORDS.get(problem.reason)
    return finding(server, problem.reason, words.format(url=url) if words else problem.message, since)


def calls(sessions: Sequence[McpSession]) -> Iterator[tuple[McpSession, Call]]:
    """All golden queries with their sessions."""
    for session in sessions:
        for call in session.calls:
            yield session, call


def verdict(faults: Sequence[Finding], unjudged: Sequence[Finding], judged: int, well: str) -> Verdict:
    """Fail by the faults; otherwise Unknown when nothing, and Warn when not all could be judged.

    What is at fault while it is being rolled out or moved is a Warn as well.
    """
    if failing := [fault for fault in faults if fault.reason not in MOVING]:
        return found(failing)
    if unjudged and not judged:
        return unknown(Unobserved(unjudged[0].reason, summary(unjudged)))
    if faults or unjudged:
        return found([*faults, *unjudged], status=Status.WARN)
    return passed(well)
