"""The fault of a pod: what its phase, its conditions and its containers tell together."""

from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator.core.faults.containers import created, of_containers
from kiro_operator.core.faults.kinds import KINDS, Kind
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.objects import ObjectCondition, Pod


class Fault(Struct, frozen=True):
    """What is wrong with one pod."""

    kind: Kind
    since: datetime
    container: str = ""

    def message(self, pod: str) -> str:
        """The fault in words that stay the same while the fault does."""
        return self.kind.text.format(pod=pod, container=self.container)


Judged = tuple[Fault | None, datetime | None]
"""The fault, if there is one, and when the same facts could tell another story by themselves."""
_WELL: Judged = (None, None)
_UNSCHEDULABLE = KINDS["Unschedulable"]
_GATED = KINDS["SchedulingGated"]
_NOT_READY = KINDS["NotReady"]


def owner_kind(pod: Pod) -> str:
    """Kind of the pod's controller as the pod names it; empty for a bare pod."""
    for owner in pod.metadata.owner_references:
        if owner.controller:
            return owner.kind
    return ""


def fault_of(pod: Pod, limits: PodFaultParameters, now: datetime) -> Judged:
    """What is wrong with a pod now."""
    phase = pod.status.phase
    deadline = pod.metadata.deletion_timestamp
    if deadline is not None:
        # Its deadline lies ahead for as long as it may take its time.
        due = deadline + limits.terminating_grace
        return (Fault(KINDS["TerminatingTooLong"], min(deadline, now)), None) if now >= due else (None, due)
    if phase == "Succeeded":
        return _WELL
    if phase == "Failed":
        return _failed(pod, now), None
    conditions = {condition.type.value: condition for condition in pod.status.conditions}
    ready = conditions.get("Ready")
    initialized = _holds(conditions.get("Initialized"))
    worst, again = of_containers(pod, limits, now, initialized=initialized)
    if worst is not None:
        since = min(_began(pod, ready), now)
        return Fault(worst[1], since, worst[0].name), again
    if _holds(ready):
        return None, again
    fault, later = _not_ready(pod, conditions, limits, now)
    if later is None or (again is not None and again < later):
        later = again
    return fault, later


def _past(kind: Kind, since: datetime, grace: timedelta, now: datetime, container: str = "") -> Judged:
    """The fault, once it has lasted longer than a grace; until then the time when it will have."""
    due = since + grace
    # A time in the future comes from a clock that was set back: it begins its grace now.
    if since > now:
        return None, now + max(grace, timedelta(seconds=1))
    return (Fault(kind, since, container), None) if now >= due else (None, due)


def _holds(condition: ObjectCondition | None) -> bool:
    return condition is not None and condition.status == "True"


def _began(pod: Pod, ready: ObjectCondition | None) -> datetime:
    """Since when the pod is not Ready; for one that is Ready again, since its last crash."""
    if ready is not None and ready.status != "True" and ready.last_transition_time is not None:
        return ready.last_transition_time
    ends = [
        ended.finished_at
        for status in pod.status.lasting
        if (ended := status.state.terminated or status.last_state.terminated) and ended.finished_at
    ]
    return max(ends, default=created(pod))


def _failed(pod: Pod, now: datetime) -> Fault | None:
    match owner_kind(pod):
        case "":
            kind = KINDS["PodFailed"]
        case "Job":
            return None  # retries, and giving up, are the Job's own business
        case _:
            kind = KINDS["LeftBehind"]
    ready = pod.condition("Ready")
    since = ready.last_transition_time if ready is not None else None
    return Fault(kind, min(since or created(pod), now))


def _not_ready(
    pod: Pod, conditions: dict[str, ObjectCondition], limits: PodFaultParameters, now: datetime
) -> Judged:
    """Judge a pod that is not Ready though none of its containers says why."""
    scheduled, ready = conditions.get("PodScheduled"), conditions.get("Ready")
    if scheduled is not None and scheduled.status == "False":
        gated = scheduled.reason == "SchedulingGated"
        kind, grace = (_GATED, limits.start_grace) if gated else (_UNSCHEDULABLE, limits.not_ready_grace)
        return _past(kind, scheduled.last_transition_time or created(pod), grace, now)
    unready = (ready.last_transition_time if ready is not None else None) or created(pod)
    outside = _outside_of_containers(pod, ready, conditions.get("ContainersReady"))
    if outside is not None:
        return _past(outside, unready, limits.not_ready_grace, now)
    start = max([created(pod), *_dates(scheduled, conditions.get("Initialized"))])
    hindered, container = _hindered(pod, initialized=_holds(conditions.get("Initialized")))
    if owner_kind(pod) == "Job" and (hindered is None or hindered.reason == "Initializing"):
        return _WELL  # nobody waits for a Job's pod to be Ready
    if hindered is None:
        # Up again after the pod had become not Ready: it starts, as it once did.
        restarted = _restarted(pod)
        if ready is not None and start < unready and restarted <= unready:
            return _past(_NOT_READY, unready, limits.not_ready_grace, now, container)
        start = max(start, restarted)
    return _past(hindered or _NOT_READY, start, limits.start_grace, now, container)


def _dates(*conditions: ObjectCondition | None) -> list[datetime]:
    return [
        condition.last_transition_time
        for condition in conditions
        if condition is not None and condition.status == "True" and condition.last_transition_time is not None
    ]


def _restarted(pod: Pod) -> datetime:
    """When the youngest container that is not ready was started; the pod's creation while none was."""
    return max(
        (
            status.state.running.started_at
            for status in pod.status.lasting
            if not status.ready
            and status.state.running is not None
            and status.state.running.started_at is not None
        ),
        default=created(pod),
    )


def _outside_of_containers(
    pod: Pod, ready: ObjectCondition | None, containers_ready: ObjectCondition | None
) -> Kind | None:
    if pod.status.phase == "Unknown" or pod.status.reason == "NodeLost":
        return KINDS["NodeLost"]
    if ready is None:
        return None
    if ready.status == "Unknown":
        return KINDS["NodeLost"]
    if ready.reason == "ReadinessGatesNotReady":
        return KINDS["ReadinessGatesNotReady"]
    # When a node stops reporting, the control plane turns Ready to False and leaves the rest.
    if _holds(containers_ready) and all(status.ready for status in pod.status.container_statuses):
        return KINDS["NodeLost"]
    return None


def _hindered(pod: Pod, *, initialized: bool) -> tuple[Kind | None, str]:
    """What keeps containers from running, else the first container that is not ready."""
    for status in pod.status.init_container_statuses:
        if not initialized and status.state.running is not None and not status.ready:
            return KINDS["Initializing"], status.name
    unready = ""
    for status in pod.status.lasting if initialized else pod.status.container_statuses:
        if status.ready:
            continue
        unready = unready or status.name
        waiting = status.state.waiting
        if waiting is not None and waiting.reason in {"ContainerCreating", "PodInitializing"}:
            return KINDS["ContainerCreating"], status.name
    return None, unready or (pod.spec.containers[0].name if pod.spec.containers else "")
