"""Rollback: the pod template of the revision that still runs, where a newer one does not get going.

For a person to do. Who may set pod templates may run anything there, and admission, which sees one object at
a time, cannot hold a template against that of a ReplicaSet.
"""

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.remedies.types import API_VERSION, Draft, Proposer, Refusal
from kiro_operator.core.revisions import is_revision, owner_of
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, workload
from kiro_operator.core.verdict import Amendment
from kiro_operator.core.writes import Write

RULES: tuple[Rule, ...] = ()
ADMITTED: tuple[Write, ...] = ()


def draft(amendment: Amendment, snapshot: Snapshot) -> Draft | Refusal:
    """Back to ``revision``, of ``replicaSet``. The patch is made of what is read: no template is watched."""
    target = amendment.target
    if isinstance(snapshot.deployments, Unobserved):
        return Refusal("EvidenceMissing", snapshot.deployments.message, lasting=False)
    if isinstance(snapshot.replica_sets, Unobserved):
        return Refusal("EvidenceMissing", snapshot.replica_sets.message, lasting=False)
    found = workload(target, snapshot)
    if found is None:
        return Refusal("TargetGone", f"{named(target)} is gone", lasting=True)
    wanted = dict(amendment.values)
    earlier = snapshot.replica_sets.get(wanted["replicaSet"])
    if earlier is None or owner_of(earlier) != target.uid or not is_revision(earlier, wanted["revision"]):
        message = f"{named(target)} has no revision {wanted['revision']} any more"
        return Refusal("RevisionGone", message, lasting=True)
    return Draft(
        API_VERSION,
        "{}",
        f"pod template: revision {found.metadata.annotations.revision} → {wanted['revision']}",
        "No operator sets what pods run: see first what comes back",
        Ref("ReplicaSet", earlier.metadata.name, earlier.metadata.uid),
        wanted["revision"],
    )


REMEDY = Proposer(
    action=ActionName.ROLLBACK,
    title="Go back from a stuck rollout to what runs",
    draft=draft,
)
