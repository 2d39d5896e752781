"""Whether another hand owns what would be changed."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import (
    REVERTED,
    Allow,
    Answer,
    Deny,
    Intent,
    Ledger,
    Situation,
)
from kiro_operator.core.switches import SWITCHES

ENOUGH = 2
"""Once may be an accident."""


def gate(
    intent: Intent, _policy: KiroSafetyPolicySpec, situation: Situation, ledger: Ledger, _now: datetime
) -> Answer:
    """Shut for an object that is kept in Git, and for scaling once two scale-ups were reverted.

    Of workloads a GitOps tool owns what Git holds, which is seldom the replicas: whether it does is told
    by what became of earlier scale-ups. The key of a switch is not to be in Git either: whether it is,
    is told by how the action ends.
    """
    if situation.gitops and intent.action in SWITCHES:
        return Allow(
            f"{situation.gitops} keeps {named(intent.target)}; the key of a switch is not to be in Git"
        )
    if situation.gitops:
        return Deny(
            "OwnedByGitOps",
            f"{named(intent.target)} is kept in Git by {situation.gitops}, which would undo the change: "
            "revert it there",
            needs_person=True,
        )
    if intent.action is not ActionName.SCALE:
        return Allow("it is no step of scaling")
    reverted = [
        entry
        for entry in ledger.of(intent.target)
        if entry.method is Method.SCALE_UP and entry.reason == REVERTED
    ]
    if len(reverted) >= ENOUGH:
        return Deny(
            "RevertedByOther",
            f"replicas of {named(intent.target)} were set back {len(reverted)} times after scaling up "
            f"(last: {reverted[-1].name}): let whoever owns them, such as a GitOps tool, "
            "ignore spec.replicas or raise them",
            needs_person=True,
        )
    return Allow(f"{len(reverted)} of {ENOUGH} scale-ups were reverted")
