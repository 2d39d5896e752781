"""What moves on purpose: a rollout, a drain and the upgrade of a cluster are no failures.

Nodes are facts of the whole cluster, which an operator may not be allowed to see. So it goes by what
the pods tell, and by the nodes only where another check has them sampled.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator.core.evidence.nodes import NODES
from kiro_operator.core.faults.containers import created
from kiro_operator.core.faults.kinds import KINDS
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.pods import Fault, Judged, fault_of
from kiro_operator.core.findings import earliest
from kiro_operator.core.objects import Deployment, Pod, StatefulSet, Workload
from kiro_operator.core.policy.rollouts import (
    ROLLOUT_DEADLINE,
    in_progress,
    is_on_delete,
    is_stuck,
    update_pending,
)
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of, ref_of, workload

STARTING = frozenset({"NotReady", "Initializing", "ContainerCreating"})
"""Faults that a pod may merely need more time to get over."""
MOVING = frozenset({"Draining", "RolloutInProgress"})
"""Reasons of what is on its way."""
_ON_A_NODE = STARTING | {"NodeLost"}
_CORDONED = ("were unschedulable", "node.kubernetes.io/unschedulable")
"""Words of the scheduler for nodes that take no new pods."""


class Motion(Struct, frozen=True):
    """That the pods of a workload are on their way."""

    reason: str
    """One of MOVING."""
    until: datetime | None
    """When time alone could end it; None: only new facts can."""


def moving(workloads: Iterable[Workload], snapshot: Snapshot, now: datetime) -> Mapping[str, Motion]:
    """Those of the workloads that are on their way, by UID: what they serve need not answer meanwhile.

    A Deployment is as long as its rollout makes progress, and not once that is past its deadline; what
    becomes of its pods is for pods-ready to say. Otherwise a workload is while each of its pods that is not
    well is going, being moved or just made.
    """
    by_ref = {ref_of(item): item for item in workloads}
    ways: dict[Ref, list[tuple[bool, datetime | None]]] = {ref: [] for ref in by_ref}
    if by_ref and not isinstance(snapshot.pods, Unobserved):
        for pod in snapshot.pods.unsettled:
            owner = controller_of(pod, snapshot)
            if owner in ways and (way := _way(pod, snapshot, now)) is not None:
                ways[owner].append(way)
    found: dict[str, Motion] = {}
    for ref, item in by_ref.items():
        if in_progress(item):
            found[ref.uid] = Motion("RolloutInProgress", None)
        elif ways[ref] and all(moves for moves, _ in ways[ref]) and not is_stuck(item):
            rolls = not isinstance(item, Deployment) and not is_on_delete(item) and update_pending(item)
            until = earliest(*(until for _, until in ways[ref]))
            found[ref.uid] = Motion("RolloutInProgress" if rolls else "Draining", until)
    return found


def _way(pod: Pod, snapshot: Snapshot, now: datetime) -> tuple[bool, datetime | None] | None:
    """Whether a pod is on its way, and until when; None for one that is well, or was left behind."""
    limits = PodFaultParameters()
    fault, again = judged(pod, snapshot, limits, now)
    if fault is not None:
        moves = fault.kind.reason in MOVING
        return None if fault.kind.warns and not moves else (moves, again)
    if again is None:
        return None
    # One so young takes the place of another; an older one has been there, and went down.
    new = now - created(pod) < limits.start_grace
    return new or pod.metadata.deletion_timestamp is not None, again


def judged(pod: Pod, snapshot: Snapshot, limits: PodFaultParameters, now: datetime) -> Judged:
    """What is wrong with a pod now; what is merely on its way is a warning."""
    fault, again = fault_of(pod, limits, now)
    if fault is None or fault.kind.warns:
        return fault, again
    reason, until = fault.kind.reason, None
    if reason == "Unschedulable":
        until = fault.since + limits.drain_grace if _is_kept_out(pod) else None
        kind = KINDS["Draining"]
    elif reason in _ON_A_NODE and _leaves(pod, snapshot):
        return Fault(KINDS["Draining"], fault.since), again
    elif reason in STARTING:
        until, kind = _rolled_out_by(pod, snapshot), KINDS["RolloutInProgress"]
    if until is None or now >= until:
        return fault, again
    return Fault(kind, fault.since), earliest(again, until)


def is_disrupted(pod: Pod) -> bool:
    """Kubernetes says that the pod is to go for a reason outside of it, such as a drain."""
    disruption = pod.condition("DisruptionTarget")
    return disruption is not None and disruption.status == "True"


def _is_kept_out(pod: Pod) -> bool:
    """The scheduler found nodes for the pod that are cordoned."""
    scheduled = pod.condition("PodScheduled")
    return scheduled is not None and any(words in scheduled.message for words in _CORDONED)


def _leaves(pod: Pod, snapshot: Snapshot) -> bool:
    """The pod is to go, or its node is known to be cordoned."""
    nodes = snapshot.value(NODES)
    return is_disrupted(pod) or (
        not isinstance(nodes, Unobserved)
        and any(node.name == pod.spec.node_name and node.cordoned for node in nodes.nodes)
    )


def _rolled_out_by(pod: Pod, snapshot: Snapshot) -> datetime | None:
    """When the rollout that brought the pod has to have made it Ready; None where there is none."""
    owner = controller_of(pod, snapshot)
    found = workload(owner, snapshot) if owner is not None else None
    if isinstance(found, Deployment):
        if not in_progress(found) or not _is_newest(pod, found, snapshot):
            return None
        return created(pod) + timedelta(seconds=found.spec.progress_deadline_seconds)
    if found is None or is_on_delete(found) or not update_pending(found):
        return None
    revision = pod.metadata.labels.get("controller-revision-hash")
    if isinstance(found, StatefulSet) and revision != found.status.update_revision:
        return None
    return created(pod) + ROLLOUT_DEADLINE


def _is_newest(pod: Pod, deployment: Deployment, snapshot: Snapshot) -> bool:
    """The pod is of the revision that is being rolled out."""
    if isinstance(snapshot.replica_sets, Unobserved):
        return False
    revision = deployment.metadata.annotations.revision
    return bool(revision) and any(
        (replica_set := snapshot.replica_sets.get(owner.name)) is not None
        and replica_set.metadata.annotations.revision == revision
        for owner in pod.metadata.owner_references
    )
