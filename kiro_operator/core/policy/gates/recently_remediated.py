"""Whether somebody else has just done what is about to be done."""

from datetime import UTC, datetime

from kiro_operator.api.v1alpha1.remediation import WRITES
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import incomplete, named, stamp, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, now: datetime
) -> Answer:
    """Shut until spec.cooldown has passed since a person, or a tool, restarted the workload.

    ``kubectl rollout restart`` leaves the time in the pod template; the own actions are the gate
    cooldown's matter. A time in the future counts as now.
    """
    if policy.cooldown is None:
        return incomplete("cooldown", "write e.g. 5m, the least time between two actions on one target")
    if intent.method in WRITES and situation.observed and situation.workload is None:
        return Allow(f"{named(intent.target)} runs no pods")
    if situation.workload is None:
        return unseen(named(intent.target), intent.target)
    written = situation.workload.spec.template.metadata.annotations.restarted_at
    if not written:
        return Allow(f"nobody else restarted {named(intent.target)}")
    try:
        restarted = datetime.fromisoformat(written)
        # There are times of which UTC has none: anybody may write one, and no plan is to break on it.
        restarted = restarted.replace(tzinfo=UTC) if restarted.tzinfo is None else restarted.astimezone(UTC)
    except (ValueError, OverflowError):
        return Deny(
            "EvidenceMissing",
            f"when {named(intent.target)} was restarted cannot be read: its pod template's annotation "
            "kubectl.kubernetes.io/restartedAt is no time, such as 2026-01-31T12:00:00Z",
            needs_person=True,
        )
    until = min(restarted, now) + policy.cooldown
    if now < until:
        return Deny(
            "RecentlyRestarted",
            f"{named(intent.target)} was restarted by somebody else: it is left alone until {stamp(until)}",
            until=until,
        )
    return Allow(f"{named(intent.target)} was last restarted by somebody else at {stamp(restarted)}")
