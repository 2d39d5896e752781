"""Whether a restart can help a workload, as the faults of its pods tell."""

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum

from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.pods import fault_of
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of


class Helped(Enum):
    """Whether a restart can help."""

    YES = "yes"
    NO = "no"
    """One of its pods has a fault that a new pod would have as well."""
    NO_PODS = "no pods"
    """No pod of it is in trouble: what is missing are the pods themselves."""
    UNSEEN = "unseen"
    """The pods cannot be observed."""


_LIMITS = PodFaultParameters()


def helped(workloads: Collection[Ref], snapshot: Snapshot, now: datetime) -> Mapping[Ref, Helped]:
    """Whether a restart can help each of these workloads."""
    pods = snapshot.pods
    if isinstance(pods, Unobserved):
        return dict.fromkeys(workloads, Helped.UNSEEN)
    answers = dict.fromkeys(workloads, Helped.NO_PODS)
    for pod in pods.unsettled:
        if pod.metadata.deletion_timestamp is not None:
            continue
        owner = controller_of(pod, snapshot)
        if owner is None or owner not in answers or answers[owner] is Helped.NO:
            continue
        fault, again = fault_of(pod, _LIMITS, now)
        if fault is not None and not fault.kind.warns:
            answers[owner] = Helped.YES if fault.kind.remedies else Helped.NO
        elif again is not None:
            # Within its grace: too young to say more than that there is a pod.
            answers[owner] = Helped.YES
    return answers
