"""Which containers' logs are to be read now, from where on, and whether one has crashed since."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.log_text import nanoseconds
from kiro_operator.core.objects import ContainerStatus, Pod
from kiro_operator.core.records import Record

Id = tuple[str, str]
"""UID of the pod and name of the container."""


class Cursor(Struct, frozen=True):
    """How far a container has been read."""

    last: int
    """Time of the last line, in nanoseconds since 1970, by the clock of the container runtime."""
    restarts: int
    """Restarts whose previous log has been read, or was none of our business."""
    read: datetime
    """When it was read, by the operator's clock."""


class Reading(Struct, frozen=True):
    """What one sample remembers for the next of the same KiroHealthCheck."""

    taken: datetime
    cursors: Mapping[Id, Cursor]
    records: Mapping[Id, tuple[tuple[datetime, Record], ...]]
    """The records that still count, by container, each with the time at which it was read."""


class Job(Struct, frozen=True):
    """One container that is to be read."""

    id: Id
    namespace: str
    pod: str
    node: str
    container: str
    cursor: Cursor
    """Where to go on; what stays remembered when it cannot be read."""
    seconds: float
    """Since it was read last."""
    restarts: int

    @property
    def crashed(self) -> bool:
        """Whether the log of its former instance is to be read too."""
        return self.restarts > self.cursor.restarts


def choose(pods: Iterable[Pod]) -> list[Pod]:
    """The pods that have logs, those that are not well first, then by name."""
    return sorted(filter(_has_logs, pods), key=lambda pod: (pod.settled, pod.metadata.name))


def jobs(
    pods: Iterable[Pod], wanted: Iterable[str], before: Reading | None, request: ports.PollRequest
) -> Iterator[Job]:
    """One job for each container that has run, of those wanted; all when none is named."""
    names = frozenset(wanted)
    for pod in pods:
        statuses = [one for one in pod.status.init_container_statuses if not _has_done_its_work(one)]
        for status in (*statuses, *pod.status.container_statuses):
            if _has_run(status) and (not names or status.name in names):
                yield _job(pod, status, before, request)


def _job(pod: Pod, status: ContainerStatus, before: Reading | None, request: ports.PollRequest) -> Job:
    identity = (pod.metadata.uid, status.name)
    cursor = before.cursors.get(identity) if before else None
    if cursor is None:
        since = before.taken if before else request.since or request.now - request.interval
        cursor = _begin(status, since, request)
    return Job(
        identity,
        request.namespace,
        pod.metadata.name,
        pod.spec.node_name,
        status.name,
        cursor,
        max(0.0, (request.now - cursor.read).total_seconds()),
        status.restart_count,
    )


def _begin(status: ContainerStatus, since: datetime, request: ports.PollRequest) -> Cursor:
    """Where to begin with a container that has not been read before."""
    if not _crashed_lately(status, since):
        return Cursor(nanoseconds(since), status.restart_count, since)
    start, ended = since, status.last_state.terminated
    if ended is not None and ended.finished_at is not None:
        # It may have died a while ago: what it wrote in the interval before that counts.
        start = min(start, ended.finished_at - request.interval)
    return Cursor(nanoseconds(start), status.restart_count - 1, since)


def _crashed_lately(status: ContainerStatus, since: datetime) -> bool:
    if not status.restart_count:
        return False
    waiting, ended = status.state.waiting, status.last_state.terminated
    if waiting is not None and waiting.reason == "CrashLoopBackOff":
        return True
    return ended is not None and ended.finished_at is not None and ended.finished_at >= since


def _has_logs(pod: Pod) -> bool:
    """Pods that have ended write no more, and those that wait have written nothing yet."""
    if pod.status.phase == "Running":
        return True
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return pod.status.phase != "Succeeded" and any(status.restart_count for status in statuses)


def _has_done_its_work(init: ContainerStatus) -> bool:
    ended = init.state.terminated
    return ended is not None and ended.exit_code == 0


def _has_run(status: ContainerStatus) -> bool:
    state, ended = status.state, status.last_state.terminated
    return bool(state.running or state.terminated or ended or status.restart_count)
