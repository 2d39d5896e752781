"""Whether somebody asked for a pause."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import incomplete
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    _intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut while spec.pauseRequests holds a reason; whoever wrote it knows, so it calls for nobody."""
    if policy.pause_requests is None:
        return incomplete("pauseRequests", "write [] when nothing pauses it")
    if policy.pause_requests:
        return Deny("Paused", "paused by the policy: " + "; ".join(policy.pause_requests))
    return Allow("no pause is requested")
