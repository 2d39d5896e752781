"""Whether a restart can help a workload, as the faults of its pods tell."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.pods import fault_of
from kiro_operator.core.findings import earliest
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of


class Helped(Enum):
    """Whether a restart can help."""

    YES = "yes"
    NO = "no"
    """One of its pods has a fault that a new pod would have as well."""
    STARTING = "starting"
    """Its pods are within their grace: a restart would only have them start once more."""
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
    """When the grace of the first of its pods ends."""


def helped(
    workloads: Collection[Ref], snapshot: Snapshot, limits: PodFaultParameters, now: datetime
) -> Mapping[Ref, Help]:
    """Whether a restart can help each of these workloads."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return dict.fromkeys(workloads, Help(Helped.UNSEEN))
    faulty: dict[Ref, list[Ref]] = {ref: [] for ref in workloads}
    beyond: set[Ref] = set()
    starting: dict[Ref, datetime] = {}
    for pod in pods.unsettled:
        if pod.metadata.deletion_timestamp is not None:
            continue
        owner = controller_of(pod, snapshot)
        if owner is None or owner not in faulty:
            continue
        fault, again = fault_of(pod, limits, now)
        if fault is None:
            if again is not None:
                starting[owner] = earliest(starting.get(owner), again) or again
        elif fault.kind.remedies:
            faulty[owner].append(Ref("Pod", pod.metadata.name, pod.metadata.uid))
        elif not fault.kind.warns:
            beyond.add(owner)
    return {ref: _help(sorted(faulty[ref]), starting.get(ref), beyond=ref in beyond) for ref in workloads}


def _help(faulty: list[Ref], again: datetime | None, *, beyond: bool) -> Help:
    if beyond:
        return Help(Helped.NO)
    if faulty:
        return Help(Helped.YES, tuple(faulty))
    return Help(Helped.STARTING, again=again) if again is not None else Help(Helped.NO_PODS)
