"""RemoveUnused: turn off a Deployment that does nothing, when a person approves it.

To zero and not away: what it was is one number, which its undo has. Admission cannot tell an idle Deployment
from another, so it lets nothing be scaled to zero but in namespaces that the admin has listed.
Claims, ConfigMaps and Services that nothing uses are left to the words of the check: deleting them loses
data, or what nobody can make anew from a record.
"""

import json

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.types import API_VERSION, Draft, Proposer, Refusal, unscaled
from kiro_operator.core.snapshot import Snapshot, Unobserved, workload
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import UNPROTECTED_WORKLOAD, Must, Operation, Write, changes, listed

RULES: tuple[Rule, ...] = (
    Rule(
        "apps",
        ("deployments",),
        ("patch",),
        "scale to zero what does nothing, when a person has approved it",
        grant=Grant.REMOVE_UNUSED,
    ),
)
_CHOSEN, _LISTED = listed("removeUnusedNamespaces")
ADMITTED = (
    Write(
        by="RemoveUnused",
        api_version=API_VERSION,
        resources=("deployments",),
        operations=(Operation.UPDATE,),
        chosen=(_CHOSEN,),
        musts=(
            _LISTED,
            *UNPROTECTED_WORKLOAD,
            *changes(("spec", "replicas")),
            Must(
                "variables.after.?spec.?replicas.orValue(1) == 0\n"
                "&& variables.before.?spec.?replicas.orValue(1) > 0",
                "it scales to zero what has replicas",
            ),
        ),
    ),
)


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """No replicas; the number that it had is what its undo sets again."""
    target = amendment.target
    if isinstance(snapshot.deployments, Unobserved):
        return Refusal("EvidenceMissing", snapshot.deployments.message, lasting=False)
    found = workload(target, snapshot)
    if target.kind != "Deployment" or found is None:
        return Refusal("NotSupported", f"{named(target)} is no Deployment that is there", lasting=True)
    if not found.desired:
        return Refusal("Healed", f"{named(target)} has no replicas any more", lasting=True)
    if refusal := unscaled(target, snapshot, f"owns the replicas of {named(target)}: take it away first"):
        return refusal
    patch = {"spec": {"replicas": 0}}
    return Draft(API_VERSION, json.dumps(patch), f"replicas: {found.desired} → 0")


REMEDY = Proposer(action=ActionName.REMOVE_UNUSED, title="Scale to zero what does nothing", draft=draft)
