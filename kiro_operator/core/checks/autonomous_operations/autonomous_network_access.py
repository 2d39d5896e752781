"""Whether what autonomous operations depend on can be reached over HTTP."""

from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import Between, format_duration
from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.reachability import ENDPOINTS, Reached
from kiro_operator.core.findings import found
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

_FAULTS = {
    "Timeout": (
        "EndpointTimeout",
        "does not answer within {allowed}: see whether it runs and what lies between",
    ),
    "CertificateInvalid": (
        "EndpointCertificate",
        "shows a certificate that does not verify: renew it, or give a credential with its ca.crt",
    ),
    "Unresolved": (
        "EndpointUnresolved",
        "has a name without an address: check it and the cluster's DNS",
    ),
    "Unreachable": (
        "EndpointUnreachable",
        "takes no connection: see whether it runs, and the NetworkPolicies and routes to it",
    ),
}
_NO_ADDRESS = "has no address"


class AutonomousNetworkAccessParameters(Parameters):
    """Thresholds of autonomous-network-access."""

    timeout: Annotated[timedelta, Between("1s", "10s")] = Field(
        default=timedelta(seconds=5), description="How long an endpoint may take to answer."
    )


def judge(snapshot: Snapshot, parameters: AutonomousNetworkAccessParameters, now: datetime) -> Verdict:
    """Judge each endpoint: any status is an answer."""
    sample = snapshot.value(ENDPOINTS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    since = snapshot.sampled_at(ENDPOINTS, now)
    allowed = format_duration(parameters.timeout)
    findings = [finding for reached in sample if (finding := _finding(reached, allowed, since)) is not None]
    if findings:
        return found(findings, threshold=f"an answer within {allowed}")
    refused = next((reached.missing for reached in sample if reached.missing is not None), None)
    if refused is not None:
        return unknown(refused)
    return passed("Everything that autonomous operations depend on answers.")


def _finding(reached: Reached, allowed: str, since: datetime) -> Finding | None:
    """The fault of an endpoint; None when it answers, or when the operator itself must not ask it."""
    if reached.missing is None:
        return None
    cause = "Unresolved" if _NO_ADDRESS in reached.missing.message else reached.missing.reason
    if cause not in _FAULTS:
        return None
    reason, text = _FAULTS[cause]
    message = f"Endpoint {reached.name} ({reached.address}) {text.format(allowed=allowed)}"
    return Finding(Ref("Endpoint", reached.name), reason, message, since)


CHECK = Check(
    title="What autonomous operations depend on can be reached",
    section="autonomous-operations-resources",
    command="curl -sS -o /dev/null -w '%{{http_code}} %{{time_total}}' {endpoint}; "
    "kubectl get kirohealthchecks -n {namespace} -o jsonpath='{{.items[*].spec.autonomy.endpoints}}'",
    sources=(ENDPOINTS,),
    judge=judge,
    parameters=AutonomousNetworkAccessParameters,
)
