"""Whether the action may be taken without asking."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut unless every entry for the action says Automatic."""
    approvals = [listed.approval for listed in policy.actions if listed.name is intent.action]
    if approvals and all(approval == "Automatic" for approval in approvals):
        return Allow(f"{intent.action} is approved as Automatic")
    return Deny(
        "ApprovalRequired",
        f"{intent.method} of {named(intent.target)} waits for a person: "
        f"the policy has approval Manual for {intent.action}",
        needs_person=True,
    )
