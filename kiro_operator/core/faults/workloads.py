"""Whether a restart can help a workload, as the faults of its pods tell."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

from kiro_operator.core.faults.motion import MOVING, judged
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.findings import earliest
from kiro_operator.core.objects import Pod
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of


class Helped(Enum):
    """Whether a restart can help."""

    YES = "yes"
    NO = "no"
    """One of its pods has a fault that a new pod would have as well."""
    STARTING = "starting"
    """Its pods are within their grace: a restart would only have them start once more."""
    MOVING = "moving"
    """Its pods are being drained or rolled out, within their deadline."""
    NO_PODS = "no pods"
    """No pod of it is in trouble: what is missing are the pods themselves."""
    UNSEEN = "unseen"
    """The pods cannot be observed."""


class Help(Struct, frozen=True):
    """The answer for one workload."""

    answer: Helped
    pods: tuple[Ref, ...] = ()
    """Pods with a fault that a restart can help against, by name."""
    again: datetime | None = None
    """When the grace, or the deadline, of the first of its pods ends."""


def helped(
    workloads: Collection[Ref], snapshot: Snapshot, limits: PodFaultParameters, now: datetime
) -> Mapping[Ref, Help]:
    """Whether a restart can help each of these workloads."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return dict.fromkeys(workloads, Help(Helped.UNSEEN))
    found: dict[Ref, dict[Helped, Help]] = {ref: {} for ref in workloads}
    for pod in pods.unsettled:
        owner = controller_of(pod, snapshot)
        told = _told_by(pod, snapshot, limits, now) if owner in found else None
        if owner is None or told is None:
            continue
        before = found[owner].get(told.answer, Help(told.answer))
        found[owner][told.answer] = Help(
            told.answer,
            tuple(sorted((*before.pods, *told.pods))),
            earliest(before.again, told.again),
        )
    none = Help(Helped.NO_PODS)
    return {
        ref: next((told[answer] for answer in _WEIGHT if answer in told), none) for ref, told in found.items()
    }


_WEIGHT = (Helped.NO, Helped.YES, Helped.STARTING, Helped.MOVING)
"""Which pod decides, where those of a workload differ."""


def _told_by(pod: Pod, snapshot: Snapshot, limits: PodFaultParameters, now: datetime) -> Help | None:
    """What one pod tells of its workload; None for one that is well, or past its time."""
    fault, again = judged(pod, snapshot, limits, now)
    if pod.metadata.deletion_timestamp is not None:
        return Help(Helped.MOVING, again=again) if fault is None else None
    if fault is None:
        return Help(Helped.STARTING, again=again) if again is not None else None
    if fault.kind.reason in MOVING:
        return Help(Helped.MOVING, again=again)
    if fault.kind.remedies:
        return Help(Helped.YES, (Ref("Pod", pod.metadata.name, pod.metadata.uid),))
    return None if fault.kind.warns else Help(Helped.NO)
