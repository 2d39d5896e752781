"""Whether the action would disrupt what nobody agreed to have disrupted."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import WRITES, Method
from kiro_operator.api.v1alpha1.safetypolicy import DisruptionConsent, KiroSafetyPolicySpec
from kiro_operator.core.objects import Deployment, Workload
from kiro_operator.core.policy import rollouts
from kiro_operator.core.policy.text import named, unseen
from kiro_operator.core.policy.types import WORKLOADS, Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut for a restart that would do nothing, meddle with a rollout, or leave nothing serving.

    Leaving nothing serving is open to the owner's consent, written as spec.consent; the rest is
    not. Scaling takes no pod that is wanted, so it passes.
    """
    workload = situation.workload
    if intent.method in WRITES and workload is None and intent.target.kind not in WORKLOADS:
        return Allow(f"{named(intent.target)} runs no pods")
    if workload is None:
        return unseen(named(intent.target), intent.target)
    match intent.method:
        case Method.CREATE | Method.ADVISE:
            return unseen(f"what a change of {named(intent.target)} takes down", intent.target)
        case Method.PATCH:
            futile = _roll(intent, workload)
        case Method.SCALE_UP | Method.SCALE_BACK:
            return Allow("scaling takes no pod that is wanted")
        case Method.EVICT:
            futile = _evict(intent, workload)
        case Method.ROLLOUT_RESTART:
            futile = _roll(intent, workload)
    return futile or _consent(intent, workload, policy)


def _evict(intent: Intent, workload: Workload) -> Deny | None:
    """With OnDelete, the pod that comes back has the new template: an update somebody holds back."""
    if rollouts.is_on_delete(workload) and rollouts.update_pending(workload):
        return Deny(
            "UpdatePending",
            f"{named(intent.target)} updates on deletion and has an update pending: "
            "evicting a pod would let it in",
            needs_person=True,
        )
    return None


def _roll(intent: Intent, workload: Workload) -> Deny | None:
    what = named(intent.target)
    if isinstance(workload, Deployment) and workload.spec.paused:
        return Deny(
            "WorkloadPaused",
            f"{what} is paused (spec.paused): a restart would wait for its resume",
            needs_person=True,
        )
    if rollouts.is_on_delete(workload):
        return Deny(
            "UpdatesOnDelete",
            f"{what} updates on deletion (OnDelete): a rollout restart would replace no pod",
            needs_person=True,
        )
    if rollouts.update_pending(workload):
        if rollouts.is_stuck(workload):
            return Deny(
                "RolloutStuck",
                f"the rollout of {what} ran past its progress deadline: mend or undo it first",
                needs_person=True,
            )
        return Deny("RolloutInProgress", f"a rollout of {what} is in progress")
    return None


def _consent(intent: Intent, workload: Workload, policy: KiroSafetyPolicySpec) -> Answer:
    what, desired = named(intent.target), workload.desired
    if desired <= 1 and DisruptionConsent.SINGLE_REPLICA not in policy.consent:
        return Deny(
            "SingleReplica",
            f"{what} has a single replica: add SingleReplica to spec.consent, or give it a second one",
            needs_person=True,
        )
    if intent.method is Method.EVICT:
        return Allow(f"one failing pod of {what}, through the eviction API")
    missing = rollouts.max_unavailable(workload)
    if missing >= desired > 1 or rollouts.is_recreate(workload):
        if DisruptionConsent.RECREATE not in policy.consent:
            return Deny(
                "TakesAllDown",
                f"a rollout of {what} may take all {desired} pods down at once "
                "(Recreate, or maxUnavailable that wide): add Recreate to spec.consent, "
                "or lower maxUnavailable",
                needs_person=True,
            )
        return Allow(f"the owner agreed that a rollout takes all {desired} pods of {what} down")
    return Allow(f"a rollout of {what} takes at most {missing} of {desired} pods at a time")
