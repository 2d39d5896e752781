"""What moves on purpose: a rollout, a drain and the upgrade of a cluster are no failures.

Nodes are facts of the whole cluster, which an operator may not be allowed to see. So it goes by what
the pods tell, and by the nodes only where another check has them sampled.
"""

from datetime import datetime, timedelta

from kiro_operator.core.evidence.nodes import NODES
from kiro_operator.core.faults.containers import created
from kiro_operator.core.faults.kinds import KINDS
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.pods import Fault, Judged, fault_of
from kiro_operator.core.findings import earliest
from kiro_operator.core.objects import Deployment, Pod, StatefulSet
from kiro_operator.core.policy.rollouts import in_progress, is_on_delete, update_pending
from kiro_operator.core.snapshot import Snapshot, Unobserved, controller_of, workload

ROLLOUT_DEADLINE = timedelta(minutes=10)
"""How long a new pod of a StatefulSet or DaemonSet may take: they know no progress deadline themselves."""
STARTING = frozenset({"NotReady", "Initializing", "ContainerCreating"})
"""Faults that a pod may merely need more time to get over."""
MOVING = frozenset({"Draining", "RolloutInProgress"})
"""Reasons of what is on its way."""
_ON_A_NODE = STARTING | {"NodeLost"}
_CORDONED = ("were unschedulable", "node.kubernetes.io/unschedulable")
"""Words of the scheduler for nodes that take no new pods."""


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
