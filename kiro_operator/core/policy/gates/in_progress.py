"""Whether an action on the target is under way already."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, _policy: KiroSafetyPolicySpec, _situation: Situation, ledger: Ledger, _now: datetime
) -> Answer:
    """Shut while another action on the target runs, and for a name that is taken."""
    for entry in sorted(ledger.of(intent.target), key=lambda entry: entry.name):
        if entry.running:
            return Deny(
                "InProgress",
                f"{entry.name} ({entry.method}) is still {entry.state} on {named(intent.target)}",
            )
    if any(entry.name == intent.name for entry in ledger.entries):
        return Deny("Duplicate", f"{intent.name} exists: a name is used once")
    return Allow(f"no other action runs on {named(intent.target)}")
