"""ChangeAutoscaling: move the bounds of a HorizontalPodAutoscaler, when a person approves it."""

import json

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import MOST_REPLICAS
from kiro_operator.core.objects import HorizontalPodAutoscaler
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.types import Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Must, Operation, Write, changes

RULES: tuple[Rule, ...] = (
    Rule(
        "autoscaling",
        ("horizontalpodautoscalers",),
        ("patch",),
        "set the bounds of an autoscaler, when a person has approved it",
        grant=Grant.CHANGE_AUTOSCALING,
    ),
)
ADMITTED = (
    Write(
        by="ChangeAutoscaling",
        api_version="autoscaling/v2",
        resources=("horizontalpodautoscalers",),
        operations=(Operation.UPDATE,),
        musts=(
            *changes(("spec", "minReplicas"), ("spec", "maxReplicas")),
            Must(
                "object.spec.maxReplicas >= oldObject.spec.maxReplicas\n"
                "&& object.spec.?minReplicas.orValue(1) >= oldObject.spec.?minReplicas.orValue(1)",
                "it lowers no bound",
            ),
            Must(
                f"object.spec.maxReplicas <= {MOST_REPLICAS}",
                f"it lets an autoscaler scale to {MOST_REPLICAS} replicas at most",
            ),
        ),
    ),
)


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """A minimum or a maximum that is higher, within the ceilings of the policies; never a lower one."""
    target = amendment.target
    found = _found(target, snapshot)
    if isinstance(found, Refusal):
        return found
    bounds = {"minReplicas": found.spec.min_replicas, "maxReplicas": found.spec.max_replicas}
    wanted = {name: int(value) for name, value in amendment.values}
    wanted = {name: value for name, value in wanted.items() if value > bounds[name]}
    if not wanted:
        return Refusal("Healed", f"{named(target)} has those bounds, or higher ones", lasting=True)
    least = wanted.get("minReplicas", 0)
    if least > max(bounds["maxReplicas"], wanted.get("maxReplicas", 0)):
        wanted["maxReplicas"] = least
    ceilings = [spec.scale.ceiling for spec in snapshot.policies.values() if spec.scale is not None]
    if not ceilings:
        message = (
            f"{named(target)}: no KiroSafetyPolicy says how far it may scale: write spec.scale, e.g. "
            "{floor: 1, ceiling: 5, step: 1}"
        )
        return Refusal("PolicyIncomplete", message, lasting=True)
    if max(wanted.values()) > min(ceilings):
        message = (
            f"{named(target)} would go beyond spec.scale.ceiling, {min(ceilings)}, of a KiroSafetyPolicy"
        )
        return Refusal("CeilingReached", message, lasting=True)
    diff = "; ".join(f"{name}: {bounds[name]} → {value}" for name, value in sorted(wanted.items()))
    return Draft("autoscaling/v2", json.dumps({"spec": wanted}, sort_keys=True), diff)


def _found(target: Ref, snapshot: Snapshot) -> HorizontalPodAutoscaler | Refusal:
    if isinstance(snapshot.autoscalers, Unobserved):
        return Refusal("EvidenceMissing", snapshot.autoscalers.message, lasting=False)
    found = snapshot.autoscalers.get(target.name)
    if found is None or found.metadata.uid != target.uid:
        return Refusal("TargetGone", f"{named(target)} is gone", lasting=True)
    return found


REMEDY = Proposer(action=ActionName.CHANGE_AUTOSCALING, title="Move the bounds of an autoscaler", draft=draft)
