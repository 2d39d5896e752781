"""What Kiro may do in AWS against what it needs and must not: ``aws iam simulate-principal-policy``."""

from datetime import datetime, timedelta

from kiro_operator.core.checks import Check, Parameters
from kiro_operator.core.evidence.aws import AWS_PERMISSIONS, Simulated
from kiro_operator.core.findings import clip, found
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Verdict, passed, unknown

_NAME = 253
_KEYS = 3
_ALLOWED = "allowed"
_DECISIONS = frozenset({_ALLOWED, "explicitDeny", "implicitDeny"})
_DENIED_BY = {
    "organization": "a service control policy of the organization denies it",
    "boundary": "its permissions boundary does not allow it",
    "explicitDeny": "a policy denies it explicitly",
}


def judge(snapshot: Snapshot, parameters: Parameters, now: datetime) -> Verdict:  # noqa: ARG001
    """Judge each declared action; one whose conditions cannot be decided is not judged."""
    sample = snapshot.value(AWS_PERMISSIONS)
    if isinstance(sample, Unobserved):
        return unknown(sample)
    since = snapshot.sampled_at(AWS_PERMISSIONS, now)
    # What is allowed and must not be comes before what is missing: it is the greater danger.
    cells = sorted(sample.simulated, key=lambda one: (one.wanted, one.action, one.resource))
    decided = [one for one in cells if one.decision in _DECISIONS and not one.missing_context]
    findings = [
        _finding(one, sample.principal, since) for one in decided if (one.decision == _ALLOWED) != one.wanted
    ]
    if findings:
        return found(findings)
    undecided = [one for one in cells if one not in decided]
    if undecided:
        return unknown(_undecided(undecided))
    if not cells:
        return unknown(Unobserved("NoDecisions", "IAM decided on none of the declared actions."))
    return passed(f"{clip(sample.principal, _NAME)} may do what it needs, and nothing that it must not.")


def _finding(cell: Simulated, principal: str, since: datetime) -> Finding:
    name = clip(cell.action if cell.resource == "*" else f"{cell.action} {cell.resource}", _NAME)
    who = clip(principal, _NAME)
    if cell.wanted:
        why = _DENIED_BY.get(cell.denied_by) or _DENIED_BY.get(cell.decision) or "no policy allows it"
        return Finding(
            Ref("AwsAction", name), "ActionDenied", f"{name} is denied to {who}, which needs it: {why}", since
        )
    message = f"{name} is allowed to {who}, which must not have it: take it out of its policies"
    return Finding(Ref("AwsAction", name), "ActionAllowed", message, since)


def _undecided(cells: list[Simulated]) -> Unobserved:
    keys = sorted({key for cell in cells for key in cell.missing_context})
    if not keys:
        return Unobserved("NoDecision", f"IAM gave no decision on {cells[0].action}.")
    listed = ", ".join(keys[:_KEYS]) + (f" and {len(keys) - _KEYS} more" if len(keys) > _KEYS else "")
    return Unobserved(
        "ContextMissing",
        f"the policies on {cells[0].action} depend on {listed}: write values for them in spec.aws.context",
    )


CHECK = Check(
    title="AWS allows what Kiro needs and denies what it must not",
    section="autonomous-operations-resources",
    command="aws iam simulate-principal-policy --policy-source-arn {principal} --action-names {action} "
    "--resource-arns {resource}",
    sources=(AWS_PERMISSIONS,),
    judge=judge,
    interval=timedelta(minutes=30),
    failure_threshold=1,
    success_threshold=1,
)
