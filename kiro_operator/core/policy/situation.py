"""The facts that gates read about one intent, from a snapshot of the whole namespace.

Nothing here walks over healthy pods, but while something is turned off: of those only their number is asked.
"""

from datetime import datetime

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.faults.motion import is_disrupted
from kiro_operator.core.objects import Annotations, Approval, Deployment, Pod, Workload
from kiro_operator.core.policy.rollouts import REACHES_ALL, rolls, taken
from kiro_operator.core.policy.subjects import Subject, is_protected, subject
from kiro_operator.core.policy.types import Intent, Ledger, Situation
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of, workload

SETS_REPLICAS = frozenset({ActionName.SCALE, ActionName.REMOVE_UNUSED})
"""Actions that an autoscaler would have to agree with."""
OVER = frozenset({"Succeeded", "Failed"})
"""Phases that are final."""


class Census(Struct, frozen=True):
    """Pods of a namespace that count for the blast radius; None where they cannot be observed."""

    pods: int | None
    unhealthy: int | None


def census(snapshot: Snapshot) -> Census:
    """Count the namespace's pods, looking only at the unsettled ones.

    Not counted are, among those, bare pods, which nobody relies on to come back, and pods whose
    phase is final: whoever owns those replaces them, and it is the replacement that counts.
    """
    if isinstance(snapshot.pods, Unobserved):
        return Census(None, None)
    total = len(snapshot.pods)
    unhealthy = 0
    for pod in snapshot.pods.unsettled:
        if pod.status.phase in OVER or controller_of(pod, snapshot) is None:
            total -= 1
        elif not is_ready(pod):
            unhealthy += 1
    return Census(max(total, unhealthy), unhealthy)


def is_ready(pod: Pod) -> bool:
    """The pod's condition Ready is True."""
    ready = pod.condition("Ready")
    return ready is not None and ready.status == "True"


def situate(
    intent: Intent,
    snapshot: Snapshot,
    ledger: Ledger,
    counted: Census,
    approvals: tuple[Approval, ...] | Unobserved = (),
) -> Situation:
    """What is to be seen of an intent's target and its surroundings."""
    target = workload(intent.target, snapshot)
    other = subject(intent.target, snapshot) if target is None else None
    pod = _pod(intent.pod, snapshot)
    counted = _without_leaving(counted, intent, snapshot, ledger)
    autoscaler, observed = None, not isinstance(snapshot.autoscalers, Unobserved)
    if intent.action in SETS_REPLICAS:
        autoscaler, observed = autoscaler_of(intent.target, snapshot)
    return Situation(
        pods=counted.pods,
        unhealthy_pods=counted.unhealthy,
        unhealthy_expected=_expected(intent.target, snapshot, ledger),
        observed=target is not None or other is not None,
        workload=target,
        labels=_labels(target, other),
        pod_labels=pod.metadata.labels if pod is not None else {},
        pod_observed=intent.pod is None or pod is not None,
        pod_ready=pod is not None and is_ready(pod),
        reach_observed=intent.method not in REACHES_ALL or _has_known_pods(target, snapshot),
        protected=_protected(intent, target, pod, snapshot) or (other is not None and other.protected),
        gitops=other.gitops if other is not None else "",
        autoscaler=autoscaler,
        autoscalers_observed=observed,
        drained_by=_drained_by(intent, snapshot),
        namespace=snapshot.namespace,
        approvals=approvals,
    )


def autoscaler_of(target: Ref, snapshot: Snapshot) -> tuple[str | None, bool]:
    """Name of the autoscaler that scales a workload, and whether that could be observed."""
    if isinstance(snapshot.autoscalers, Unobserved):
        return None, False
    names = [
        autoscaler.metadata.name
        for autoscaler in snapshot.autoscalers
        if (autoscaler.spec.scale_target_ref.kind, autoscaler.spec.scale_target_ref.name)
        == (target.kind, target.name)
    ]
    return min(names, default=None), True


def _pod(ref: Ref | None, snapshot: Snapshot) -> Pod | None:
    if ref is None or isinstance(snapshot.pods, Unobserved):
        return None
    pod = snapshot.pods.get(ref.name)
    return pod if pod is not None and pod.metadata.uid == ref.uid else None


def _drained_by(intent: Intent, snapshot: Snapshot) -> datetime | None:
    """The last deadline of the target's pods that are being moved off their nodes."""
    if isinstance(snapshot.pods, Unobserved):
        return None
    deadlines = [
        pod.metadata.deletion_timestamp
        for pod in snapshot.pods.unsettled
        if pod.metadata.deletion_timestamp is not None
        and is_disrupted(pod)
        and controller_of(pod, snapshot) == intent.target
    ]
    return max(deadlines, default=None)


def _without_leaving(counted: Census, intent: Intent, snapshot: Snapshot, ledger: Ledger) -> Census:
    """The namespace as it will be when what is turned off, this included, has no pods any more.

    A pod that ends counts as healthy for as long as that takes, and its Deployment's number is 0 by then.
    """
    leaving = {
        entry.target
        for entry in ledger.entries
        if entry.action is ActionName.REMOVE_UNUSED and (entry.running or _is_off(entry.target, snapshot))
    }
    if intent.action is ActionName.REMOVE_UNUSED:
        leaving.add(intent.target)
    if not leaving or isinstance(snapshot.pods, Unobserved):
        return counted
    if counted.pods is None or counted.unhealthy is None:
        return counted
    going = [
        pod
        for pod in snapshot.pods
        if pod.status.phase not in OVER and controller_of(pod, snapshot) in leaving
    ]
    unhealthy = counted.unhealthy - sum(not is_ready(pod) for pod in going)
    return Census(counted.pods - len(going), unhealthy)


def _is_off(target: Ref, snapshot: Snapshot) -> bool:
    found = workload(target, snapshot)
    return found is not None and found.desired == 0


def _expected(target: Ref, snapshot: Snapshot, ledger: Ledger) -> int:
    """Healthy pods of other targets that the rollouts and evictions under way may yet take down."""
    running = [entry for entry in ledger.entries if entry.running and entry.target.uid != target.uid]
    rolling = (workload(entry.target, snapshot) for entry in running if rolls(entry.action, entry.method))
    leaving = (_pod(entry.pod, snapshot) for entry in running if entry.method is Method.EVICT)
    return sum(taken(found) for found in rolling if found is not None) + sum(
        pod is not None and is_ready(pod) for pod in leaving
    )


def _has_known_pods(target: Workload | None, snapshot: Snapshot) -> bool:
    """Whether a workload's pods can be told from those of others: ReplicaSets stand between it and them."""
    return not (isinstance(target, Deployment) and isinstance(snapshot.replica_sets, Unobserved))


def _protected(intent: Intent, target: Workload | None, pod: Pod | None, snapshot: Snapshot) -> bool:
    """Whether an annotation protects what the action would reach.

    A rollout reaches each pod of the workload; of those the unsettled ones are looked at, so one
    that is healthy is protected by its template's annotation, not by its own. What is turned off loses them
    for good, and so all of them are.
    """
    carriers: list[Annotations] = []
    if target is not None:
        carriers += [target.metadata.annotations, target.spec.template.metadata.annotations]
    if pod is not None:
        carriers.append(pod.metadata.annotations)
    if intent.method in REACHES_ALL and not isinstance(snapshot.pods, Unobserved):
        all_of_them = intent.action is ActionName.REMOVE_UNUSED
        carriers += [
            other.metadata.annotations
            for other in (snapshot.pods if all_of_them else snapshot.pods.unsettled)
            if other.metadata.annotations.protected and controller_of(other, snapshot) == intent.target
        ]
    return any(is_protected(carrier.protected) for carrier in carriers)


def _labels(target: Workload | None, other: Subject | None) -> dict[str, str]:
    if target is not None:
        return target.metadata.labels
    return dict(other.labels) if other is not None else {}
