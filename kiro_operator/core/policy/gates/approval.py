"""Whether the action may be taken without asking, or somebody who may has approved it."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.approvals import UNPROTECTED, Standing, change, command, gates_of, standing
from kiro_operator.core.policy.text import LONGEST
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.told import words


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, ledger: Ledger, now: datetime
) -> Answer:
    """Shut unless every entry for the action says Automatic, or the plan is approved at each of its gates."""
    if intent.method is Method.ADVISE:
        return Deny("AppliedByPerson", f"{change(intent)}: {intent.message}")
    gates = gates_of(intent, policy)
    if not gates:
        return Allow(f"{intent.action} is approved as Automatic")
    seen = situation.approvals
    if isinstance(seen, Unobserved):
        message = f"{change(intent)} waits for a person, and no approval counts: {seen.message}"
        reason = UNPROTECTED if seen.reason == UNPROTECTED else "EvidenceMissing"
        return Deny(reason, message, needs_person=True)
    found = [standing(name, intent, seen, ledger, now) for name in gates]
    for each in found:
        if each.state == "Denied":
            # Whoever denied it knows, so it calls for nobody.
            return Deny("ApprovalDenied", f"{change(intent)} is denied for good {_by(each)}")
    for each in found:
        if each.state == "Waiting":
            return Deny("ApprovalRequired", _waits(intent, each, situation.namespace), needs_person=True)
    return Allow("; ".join(f"approved {_by(each)}" for each in found))


def _by(found: Standing) -> str:
    if found.approval is None:
        return f"at gate {found.gate}"
    spec = found.approval.spec
    who, why = words(spec.decided_by, people=True), words(spec.reason)
    return f"at gate {found.gate} by {who} (KiroApproval {found.approval.metadata.name}): {why}"


def _waits(intent: Intent, found: Standing, namespace: str) -> str:
    text = f"{change(intent)} waits at gate {found.gate} for a KiroApproval of plan {intent.digest}"
    if found.note:
        text += f" ({found.note})"
    how = f"{text}; to approve: {command(found.gate, intent, namespace)}"
    # Half a command is worse than none: status.decisions has all that it is made of. Quotes count twice.
    return how if len(how) + 8 <= LONGEST else f"{text}; see status.decisions[].approval"
