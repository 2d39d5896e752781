"""Whether the action may be taken without asking, or somebody who may has approved it."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.approvals import (
    UNPROTECTED,
    Standing,
    by,
    change,
    command,
    denial,
    gates_of,
    standing,
)
from kiro_operator.core.policy.text import LONGEST
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.told import TO_APPROVE


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, ledger: Ledger, now: datetime
) -> Answer:
    """Shut unless every entry for the action says Automatic, or the plan is approved at each of its gates.

    A plan that was denied stays denied, whatever the policy says since; so does one that may have been, while
    that cannot be seen.
    Whoever approved what is set for a while has approved that it ends.
    """
    if intent.method is Method.GIVE_BACK:
        return Allow("that it is given back was part of what was approved")
    seen = situation.approvals
    if refused := denial(intent.digest, seen):
        # Whoever denied it knows, so it calls for nobody.
        return Deny("ApprovalDenied", f"{change(intent)} is denied for good {by(refused)}")
    if intent.method is Method.ADVISE:
        return Deny("AppliedByPerson", f"{change(intent)}: {intent.message}")
    gates = gates_of(intent, policy)
    unseen = isinstance(seen, Unobserved) and seen.reason != UNPROTECTED
    if not gates and not (intent.asked and unseen):
        return Allow(f"{intent.action} is approved as Automatic")
    if isinstance(seen, Unobserved):
        why = "waits for a person, and no approval counts" if gates else "may have been denied"
        message = f"{change(intent)} {why}: {seen.message}"
        return Deny("EvidenceMissing" if unseen else UNPROTECTED, message, needs_person=True)
    found = [standing(name, intent, seen, ledger, now) for name in gates]
    for each in found:
        if each.state != "Approved":
            return Deny("ApprovalRequired", _waits(intent, each, situation.namespace), needs_person=True)
    return Allow("; ".join(f"approved {by(each.approval)}" for each in found if each.approval is not None))


def _waits(intent: Intent, found: Standing, namespace: str) -> str:
    text = f"{change(intent)} waits at gate {found.gate} for a KiroApproval of plan {intent.digest}"
    if found.note:
        text += f" ({found.note})"
    # All from the mark to the end is the operator's own: nothing that others wrote holds the mark.
    how = f"{text}; {TO_APPROVE} {command(found.gate, intent, namespace)}"
    # Half a command is worse than none: status.decisions has all that it is made of. Quotes count twice.
    return how if len(how) + 8 <= LONGEST else f"{text}; see status.decisions[].approval"
