"""MCP servers give the right answer to questions whose answer is known."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core import mcp
from kiro_operator.core.checks import Check
from kiro_operator.core.evidence.mcp import MCP_SESSIONS
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.mcp_client import READS, treated
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.switches import asking
from kiro_operator.core.verdict import Finding, Verdict, skipped, unknown


def judge(snapshot: Snapshot, _parameters: object, now: datetime) -> Verdict:
    """Judge each golden query that expects something."""
    sessions = snapshot.value(MCP_SESSIONS)
    if isinstance(sessions, Unobserved):
        return unknown(sessions)
    since = snapshot.sampled_at(MCP_SESSIONS, now)
    faults: list[Finding] = []
    unjudged: list[Finding] = []
    judged = 0
    for session, call in mcp.calls(sessions):
        if isinstance(call.agrees, Unobserved):
            cause = call.agrees
            unjudged.append(mcp.about(session.server, call.query, cause.reason, cause.message, since))
            continue
        judged += call.agrees is not None
        if call.agrees is False:
            text = (
                f"what tool {call.tool} answers is not what is expected: see which source it reads, and "
                "resynchronize it"
            )
            faults.append(mcp.about(session.server, call.query, "AnswerDiffers", text, since))
    if not judged and not unjudged:
        return skipped("NoGoldenQueries", "No golden query in spec.mcp.servers says what to expect.")
    faults = treated(faults, snapshot, now)
    # Where there is something to mend it by, that is to be tried first; else the cause is to be found.
    mended = [fault for fault in faults if fault.remedies]
    others = [fault for fault in faults if not fault.remedies]
    faults = [*mended, *asking(others, ActionName.DETAILED_LOGGING, snapshot)]
    return mcp.verdict(faults, unjudged, judged, "Each golden query is answered as expected.")


CHECK = Check(
    title="MCP servers give right answers",
    section="response-quality-mcp-data",
    command=mcp.CALLED,
    sources=(MCP_SESSIONS, *READS, SAFETY_CONFIG),
    borrows=(SAFETY_CONFIG,),
    judge=judge,
)
