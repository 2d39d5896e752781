"""Whether the policy lists the action."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut for each action that is not listed under spec.actions."""
    if any(listed.name is intent.action for listed in policy.actions):
        return Allow(f"{intent.action} is listed in spec.actions")
    names = ", ".join(sorted(listed.name for listed in policy.actions)) or "none"
    return Deny(
        "ActionNotAllowed",
        f"{intent.action} is not listed in spec.actions of the policy (listed: {names})",
        needs_person=True,
    )
