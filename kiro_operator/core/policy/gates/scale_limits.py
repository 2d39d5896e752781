"""Whether the replicas stay within the policy's bounds."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, ScaleLimits
from kiro_operator.core.policy.text import incomplete, named, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut above spec.scale.ceiling, for steps beyond spec.scale.step, and below spec.scale.floor.

    The floor bounds scaling back alone: a workload that somebody runs below it may still grow. A
    workload scaled to zero was turned off by somebody, and stays off.
    """
    if intent.action is not ActionName.SCALE:
        return Allow("it is no step of scaling")
    if policy.scale is None:
        return incomplete("scale", "write e.g. {floor: 1, ceiling: 5, step: 1}")
    if intent.replicas is None:
        return unseen(f"the replicas of {named(intent.target)}", intent.target)
    before, after = intent.replicas
    if intent.method is Method.SCALE_BACK:
        return _down(intent, policy.scale, before, after)
    return _up(intent, policy.scale, before, after)


def _up(intent: Intent, limits: ScaleLimits, before: int, after: int) -> Answer:
    what = named(intent.target)
    if before < 1:
        return Deny("ScaledToZero", f"{what} is scaled to zero: somebody turned it off", needs_person=True)
    if before >= limits.ceiling or after > limits.ceiling:
        return Deny(
            "CeilingReached",
            f"{what} has {before} replicas, and spec.scale.ceiling is {limits.ceiling}",
            needs_person=True,
        )
    if not 0 < after - before <= limits.step:
        return Deny(
            "StepTooLarge",
            f"{what} from {before} to {after} replicas is no step of 1 to {limits.step} (spec.scale.step)",
        )
    return Allow(f"{before} to {after} replicas, of at most {limits.ceiling}")


def _down(intent: Intent, limits: ScaleLimits, before: int, after: int) -> Answer:
    what = named(intent.target)
    if after < limits.floor:
        return Deny(
            "FloorReached",
            f"{what} would have {after} replicas, and spec.scale.floor is {limits.floor}",
            needs_person=True,
        )
    if not 0 < before - after <= limits.step:
        return Deny(
            "StepTooLarge",
            f"{what} from {before} to {after} replicas is no step of 1 to {limits.step} (spec.scale.step)",
        )
    return Allow(f"back from {before} to {after} replicas, of at least {limits.floor}")
