"""Faults that a pod's container statuses tell of."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.faults.kinds import KINDS, Kind
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.objects import ContainerStatus, Pod, Terminated

BACK_OFF_RESET = timedelta(minutes=10)
"""The kubelet forgets earlier crashes of a container that ran this long."""
_RESTARTS_OF_A_LOOP = 2
"""The kubelet backs off from the second crash in a row on."""
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

_WAITING = {
    "InvalidImageName": KINDS["InvalidImageName"],
    "ErrImagePull": KINDS["ImagePullBackOff"],
    "ImagePullBackOff": KINDS["ImagePullBackOff"],
    "ErrImageNeverPull": KINDS["ImagePullBackOff"],
    "ImageInspectError": KINDS["ImagePullBackOff"],
    "RegistryUnavailable": KINDS["ImagePullBackOff"],
    "SignatureValidationFailed": KINDS["ImagePullBackOff"],
    "CreateContainerConfigError": KINDS["CreateContainerConfigError"],
    "CreateContainerError": KINDS["CreateContainerError"],
    "PreCreateHookError": KINDS["CreateContainerError"],
    "PreStartHookError": KINDS["CreateContainerError"],
    "RunContainerError": KINDS["StartError"],
}
_CANNOT_START = frozenset({"StartError", "ContainerCannotRun"})
_OOM = KINDS["OOMKilled"]
_OOM_AND_BACK = replace(_OOM, remedies=(ActionName.SCALE,))
"""The kubelet has restarted it already: to evict a pod that serves again would help nobody."""
_CRASH = KINDS["CrashLoopBackOff"]
_INIT_CRASH = KINDS["InitCrashLoopBackOff"]
_RESTARTING = KINDS["RestartingOften"]


def created(pod: Pod) -> datetime:
    """When the pod was created."""
    return pod.metadata.creation_timestamp or _EPOCH


def of_containers(
    pod: Pod, limits: PodFaultParameters, now: datetime, *, initialized: bool
) -> tuple[tuple[ContainerStatus, Kind] | None, datetime | None]:
    """The most telling fault of the containers, and when one of them ends by itself."""
    worst: tuple[ContainerStatus, Kind] | None = None
    again: datetime | None = None
    if not initialized:
        for status in pod.status.init_container_statuses:
            kind = _init(status)
            if kind is not None and (worst is None or kind.rank < worst[1].rank):
                worst = (status, kind)
    for status in pod.status.lasting if initialized else pod.status.container_statuses:
        if status.ready and not status.restart_count:
            continue
        kind, until = _container(status, pod, limits, now)
        if kind is not None and (worst is None or kind.rank < worst[1].rank):
            worst = (status, kind)
        if until is not None and (again is None or until < again):
            again = until
    return worst, again


def _init(status: ContainerStatus) -> Kind | None:
    if status.ready:
        return None
    waiting = status.state.waiting
    if waiting is not None and waiting.reason in _WAITING:
        return _WAITING[waiting.reason]
    if waiting is not None and waiting.reason == "CrashLoopBackOff":
        return _INIT_CRASH
    ended = status.state.terminated
    if ended is not None and ended.exit_code and status.restart_count:
        return _INIT_CRASH
    # It runs once more, or is about to: still the loop, until it has come to its end.
    last = status.last_state.terminated
    looped = status.restart_count >= _RESTARTS_OF_A_LOOP and last is not None and last.exit_code
    return _INIT_CRASH if looped else None


def _container(
    status: ContainerStatus, pod: Pod, limits: PodFaultParameters, now: datetime
) -> tuple[Kind | None, datetime | None]:
    waiting = status.state.waiting
    if waiting is not None:
        if waiting.reason != "CrashLoopBackOff":
            return _WAITING.get(waiting.reason), None
        last = status.last_state.terminated
        if last is not None and last.reason == "OOMKilled":
            return _OOM, None
        if last is not None and last.reason in _CANNOT_START:
            return KINDS["StartError"], None
        return _CRASH, None
    ended = status.state.terminated or status.last_state.terminated
    if ended is None:
        return None, None
    return _after_end(status, ended, pod, limits, now)


def _after_end(
    status: ContainerStatus,
    ended: Terminated,
    pod: Pod,
    limits: PodFaultParameters,
    now: datetime,
) -> tuple[Kind | None, datetime | None]:
    """Judge a container that runs, or is about to run, again after it had ended."""
    finished = ended.finished_at
    if finished is None:
        return None, None
    if ended.reason == "OOMKilled" and now < finished + limits.oom_look_back:
        return _OOM_AND_BACK if status.ready else _OOM, finished + limits.oom_look_back
    if not status.restart_count:
        return None, None
    if status.restart_count >= _RESTARTS_OF_A_LOOP and _short(ended, finished):
        running = status.state.running
        stable = finished if running is None or running.started_at is None else running.started_at
        if now < stable + limits.stable_after:
            return (
                KINDS["StartError"] if ended.reason in _CANNOT_START else _CRASH
            ), stable + limits.stable_after
    forgotten = finished + limits.restart_window
    if now < forgotten and status.restart_count >= limits.max_restarts:
        # The status counts over the pod's whole life and dates the last end only: of an older pod
        # the mean rate is known, no more.
        age = now - created(pod)
        rate = status.restart_count * min(1.0, limits.restart_window / age if age else 1.0)
        if rate >= limits.max_restarts:
            return _RESTARTING, forgotten
    return None, None


def _short(ended: Terminated, finished: datetime) -> bool:
    return ended.started_at is not None and finished - ended.started_at < BACK_OFF_RESET
