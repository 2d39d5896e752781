"""Kiro's own MCP client can connect: ``kubectl exec kiro-pod -- mcp-client test-connection``."""

from datetime import datetime

from kiro_operator.core import mcp
from kiro_operator.core.checks import Check
from kiro_operator.core.evidence.mcp import MCP_CLIENT
from kiro_operator.core.mcp_client import READS, treated
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown


def judge(snapshot: Snapshot, _parameters: object, now: datetime) -> Verdict:
    """Judge the exit status of the test."""
    test = snapshot.value(MCP_CLIENT)
    if isinstance(test, Unobserved):
        return unknown(test)
    well = "The MCP client in a Kiro pod can connect."
    if test.status == 0 and not test.timed_out:
        return passed(well)
    pod = Ref("Pod", test.pod)
    since = snapshot.sampled_at(MCP_CLIENT, now)
    where = f"Pod {test.pod}, container {test.container}: {test.command}"
    if test.timed_out:
        text = f"{where} does not end in time: see which MCP server hangs, then reconnect"
        fault = Finding(pod, "ClientTimeout", text, since)
    else:
        text = (
            f"{where} ends with exit status {test.status}: run it to see which MCP server fails, then "
            "reconnect"
        )
        fault = Finding(pod, "ClientFailed", text, since)
    return mcp.verdict(treated([fault], snapshot, now), [], 1, well)


CHECK = Check(
    title="Kiro's MCP client can connect",
    section="responsiveness-mcp",
    command="kubectl exec -n {namespace} {object} -- mcp-client test-connection; "
    "kubectl get pods -n {namespace} {selector}",
    sources=(MCP_CLIENT, *READS),
    judge=judge,
)
