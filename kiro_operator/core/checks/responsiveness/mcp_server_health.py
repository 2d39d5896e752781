"""MCP servers say that they are well: ``curl -f http://mcp-server:8080/health``."""

from datetime import datetime, timedelta
from typing import Annotated, Self

from pydantic import Field, model_validator

from kiro_operator.api.v1alpha1.types import Between
from kiro_operator.core import mcp
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.mcp import MCP_HEALTH, Health
from kiro_operator.core.mcp_client import READS, treated
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, skipped, unknown


class McpServerHealthParameters(Parameters):
    """Thresholds of mcp-server-health."""

    timeout: Annotated[timedelta, Between("1s", "10s")] = Field(
        default=timedelta(seconds=5), description="How long a server has to answer."
    )
    slow_after: Annotated[timedelta, Between("1s", "10s")] = Field(
        default=timedelta(seconds=2), description="From when on an answer is too slow."
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.slow_after > self.timeout:
            raise ValueError(
                "slowAfter must not be longer than timeout: a request is given up before it is slow"
            )
        return self


def judge(snapshot: Snapshot, parameters: McpServerHealthParameters, now: datetime) -> Verdict:
    """Judge the answer of each server that has a health path."""
    answers = snapshot.value(MCP_HEALTH)
    if isinstance(answers, Unobserved):
        return unknown(answers)
    if not answers:
        return skipped("NoHealthPath", "No MCP server in spec.mcp.servers has a healthPath.")
    since = snapshot.sampled_at(MCP_HEALTH, now)
    faults: list[Finding] = []
    unjudged: list[Finding] = []
    for answer in answers:
        if answer.problem is not None and answer.problem.reason in mcp.OURS:
            unjudged.append(mcp.trouble(answer.server, answer.url, answer.problem, since))
        elif fault := _fault(answer, parameters, since):
            faults.append(fault)
    judged = len(answers) - len(unjudged)
    return mcp.verdict(
        treated(faults, snapshot, now),
        unjudged,
        judged,
        "Each MCP server answers its health path with 2xx, in time.",
    )


def _fault(answer: Health, parameters: McpServerHealthParameters, since: datetime) -> Finding | None:
    server, url = answer.server, answer.url
    if answer.problem is not None:
        return mcp.trouble(server, url, answer.problem, since)
    if answer.status in mcp.REFUSED:
        return mcp.trouble(server, url, Unobserved("Unauthorized", ""), since)
    if not 200 <= answer.status < 300:
        text = f"{url} answers with status {answer.status} instead of 2xx: read its log, then reconnect"
        return mcp.finding(server, "BadStatus", text, since)
    if answer.seconds > parameters.slow_after.total_seconds():
        return mcp.finding(server, "Slow", f"{url} answers too slowly: look at its load", since)
    return None


CHECK = Check(
    title="MCP servers are well",
    section="responsiveness-mcp",
    command="curl -f {health}",
    sources=(MCP_HEALTH, *READS),
    judge=judge,
    parameters=McpServerHealthParameters,
)
