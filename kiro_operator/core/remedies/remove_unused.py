"""RemoveUnused: how to turn off a Deployment that does nothing, for a person to do.

To zero and not away: what it was is one number, which its undo has. The operator scales nothing to zero: a
right to do so could take everything down, and admission cannot tell an idle Deployment from another.
Claims, ConfigMaps and Services that nothing uses are left to the words of the check: deleting them loses
data, or what nobody can make anew from a record.
"""

import json

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.types import API_VERSION, Draft, Proposer, Refusal
from kiro_operator.core.snapshot import Snapshot, Unobserved, workload
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Write

RULES: tuple[Rule, ...] = ()
ADMITTED: tuple[Write, ...] = ()


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
    patch = {"spec": {"replicas": 0}}
    advice = "The operator scales nothing to zero: see first that nobody counts on it"
    return Draft(API_VERSION, json.dumps(patch), f"replicas: {found.desired} → 0", advice)


REMEDY = Proposer(action=ActionName.REMOVE_UNUSED, title="Scale to zero what does nothing", draft=draft)
