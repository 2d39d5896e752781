"""Whether an autoscaler owns the replicas."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.situation import SETS_REPLICAS
from kiro_operator.core.policy.text import named, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, _policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut for setting the replicas of what a HorizontalPodAutoscaler scales: they are its own to set."""
    if intent.action not in SETS_REPLICAS:
        return Allow("replicas stay as they are")
    if situation.autoscaler is not None and intent.action is ActionName.REMOVE_UNUSED:
        return Deny(
            "ScaledByAutoscaler",
            f"HorizontalPodAutoscaler {situation.autoscaler} owns the replicas of {named(intent.target)}: "
            "take it away first",
            needs_person=True,
        )
    if situation.autoscaler is not None:
        wanted = intent.replicas[1] if intent.replicas else 1
        return Deny(
            "ScaledByAutoscaler",
            f"HorizontalPodAutoscaler {situation.autoscaler} owns the replicas of "
            f"{named(intent.target)}: raise its minReplicas to {wanted} instead",
            needs_person=True,
        )
    if not situation.autoscalers_observed:
        return unseen(f"whether an autoscaler owns the replicas of {named(intent.target)}", intent.target)
    return Allow(f"no autoscaler owns the replicas of {named(intent.target)}")
