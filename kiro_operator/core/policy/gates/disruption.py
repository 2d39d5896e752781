"""Whether the action would disrupt what nobody agreed to have disrupted."""

from datetime import datetime, timedelta

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import WRITES, Method
from kiro_operator.api.v1alpha1.safetypolicy import DisruptionConsent, KiroSafetyPolicySpec
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.objects import Deployment, Workload
from kiro_operator.core.policy import rollouts
from kiro_operator.core.policy.text import named, stamp, unseen
from kiro_operator.core.policy.types import WORKLOADS, Allow, Answer, Deny, Intent, Ledger, Situation

LINGERS = timedelta(minutes=5)
"""Past its deadline a pod that is still there is not on its way any more: its node is lost, or it is held."""


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, now: datetime
) -> Answer:
    """Shut for a restart that would do nothing, meddle with a rollout or a drain, or leave nothing serving.

    Leaving nothing serving is open to the owner's consent, written as spec.consent; the rest is
    not. Scaling takes no pod that is wanted, and a command takes none, so they pass.
    """
    workload = situation.workload
    if intent.method in WRITES and workload is None and intent.target.kind not in WORKLOADS:
        return Allow(f"{named(intent.target)} runs no pods")
    if workload is None:
        return unseen(named(intent.target), intent.target)
    match intent.method:
        case Method.CREATE | Method.GIVE_BACK | Method.ADVISE:
            return unseen(f"what a change of {named(intent.target)} takes down", intent.target)
        case Method.PATCH if intent.action is ActionName.REMOVE_UNUSED:
            return _drain(intent, situation, now) or _turn_off(intent, workload, now)
        case Method.PATCH:
            futile = _roll(intent, workload, now)
        case Method.SCALE_UP | Method.SCALE_BACK:
            return Allow("scaling takes no pod that is wanted")
        case Method.EXEC:
            return Allow("a command in a pod takes none down")
        case Method.EVICT:
            futile = _evict(intent, workload)
        case Method.ROLLOUT_RESTART:
            futile = _roll(intent, workload, now)
    return _drain(intent, situation, now) or futile or _consent(intent, workload, policy)


def _drain(intent: Intent, situation: Situation, now: datetime) -> Deny | None:
    """Leave alone what is being moved off its nodes."""
    if situation.drained_by is None or now >= (until := situation.drained_by + LINGERS):
        return None
    return Deny(
        "Draining",
        f"pods of {named(intent.target)} are being moved off their nodes, until {stamp(until)} at the "
        "latest: that is no failure",
        until=until,
    )


def _evict(intent: Intent, workload: Workload) -> Deny | None:
    """Leave a rollout that makes progress alone, and an update that somebody holds back.

    With OnDelete, the pod that comes back has the new template.
    """
    if rollouts.in_progress(workload):
        return Deny(
            "RolloutInProgress",
            f"a rollout of {named(intent.target)} is in progress, within its progress deadline",
        )
    if rollouts.is_on_delete(workload) and rollouts.update_pending(workload):
        return Deny(
            "UpdatePending",
            f"{named(intent.target)} updates on deletion and has an update pending: "
            "evicting a pod would let it in",
            needs_person=True,
        )
    return None


def _turn_off(intent: Intent, workload: Workload, now: datetime) -> Answer:
    """Leave a rollout alone: what it brings may not be idle."""
    if rollouts.update_pending(workload) and not _ran_late(workload, now):
        return _moves(intent, workload, now)
    return Allow(f"that all {workload.desired} pods of {named(intent.target)} go is what a person decides on")


def _ran_late(workload: Workload, now: datetime) -> bool:
    """The rollout is past its deadline, its own or that of what knows none."""
    return rollouts.is_stuck(workload) or rollouts.is_stalled(workload, now)


def _moves(intent: Intent, workload: Workload, now: datetime) -> Deny:
    return Deny(
        "RolloutInProgress",
        f"a rollout of {named(intent.target)} is in progress",
        until=rollouts.stalls_at(workload, now),
    )


def _roll(intent: Intent, workload: Workload, now: datetime) -> Deny | None:
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
    if workload.held_back:
        # On top of it, no update would ever end before somebody takes the partition away.
        return Deny(
            "UpdatesByPartition",
            f"{what} has a partition of {workload.held_back}, which holds pods back: "
            "a rollout restart would not replace them",
            needs_person=True,
        )
    if rollouts.update_pending(workload):
        if not _ran_late(workload, now):
            return _moves(intent, workload, now)
        if intent.action is ActionName.ROLLBACK:
            return None
        past = (
            "ran past its progress deadline"
            if rollouts.is_stuck(workload)
            else f"has made no progress for {format_duration(rollouts.ROLLOUT_DEADLINE)}"
        )
        return Deny(
            "RolloutStuck",
            f"the rollout of {what} {past}: mend or undo it first",
            needs_person=True,
        )
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
