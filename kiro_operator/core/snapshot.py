"""What was observed, frozen: the only thing a check sees of the world."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

from kiro_operator.core.objects import (
    DaemonSet,
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Pod,
    Projection,
    ReplicaSet,
    Selector,
    Service,
    StatefulSet,
    Workload,
)

T = TypeVar("T", bound=Projection)
V = TypeVar("V")


class Source(StrEnum):
    """Where facts come from. Watched sources are streamed, polled ones sampled at an interval."""

    PODS = "pods"
    DEPLOYMENTS = "deployments"
    STATEFUL_SETS = "statefulsets"
    DAEMON_SETS = "daemonsets"
    REPLICA_SETS = "replicasets"
    SERVICES = "services"
    ENDPOINT_SLICES = "endpointslices"
    AUTOSCALERS = "horizontalpodautoscalers"
    POD_METRICS = "pod-metrics"
    POD_LOGS = "pod-logs"
    CONNECTIONS = "connections"
    CONFIG_CHANGES = "config-changes"


WATCHED = (
    Source.PODS,
    Source.DEPLOYMENTS,
    Source.STATEFUL_SETS,
    Source.DAEMON_SETS,
    Source.REPLICA_SETS,
    Source.SERVICES,
    Source.ENDPOINT_SLICES,
    Source.AUTOSCALERS,
)


class Unobserved(Struct, frozen=True):
    """An observation that could not be made: a value, never an exception."""

    reason: str
    """One CamelCase word, such as Forbidden, Timeout, NotInstalled, StaleWatch."""
    message: str
    """What to do about it; for Forbidden the very rule to add."""


CERTAIN = frozenset({"Forbidden", "NotInstalled"})
"""Reasons that another try will not change: they count at once."""


class Collection(Generic[T]):
    """The objects of one kind that a KiroHealthCheck selects, read-only.

    ``unsettled`` holds the few that deserve a closer look, so that judging a change costs the
    same among ten objects as among ten thousand. A collection is valid while a judgement runs;
    findings, not collections, outlive it.
    """

    __slots__ = ("_count", "_lookup", "_objects", "unsettled")

    def __init__(
        self,
        unsettled: tuple[T, ...],
        objects: Callable[[], Iterable[T]],
        count: Callable[[], int],
        lookup: Callable[[str], T | None],
    ) -> None:
        self.unsettled = unsettled
        self._objects = objects
        self._count = count
        self._lookup = lookup

    @classmethod
    def of(cls, objects: Iterable[T]) -> "Collection[T]":
        """A collection of these very objects."""
        by_name = {item.metadata.name: item for item in objects}
        return cls(
            tuple(item for item in by_name.values() if not item.settled),
            by_name.values,
            by_name.__len__,
            by_name.get,
        )

    def __iter__(self) -> Iterator[T]:
        return iter(self._objects())

    def __len__(self) -> int:
        return self._count()

    def get(self, name: str) -> T | None:
        """The object of that name in the namespace, selected or not."""
        return self._lookup(name)


class Usage(Struct, frozen=True):
    """What a container uses now."""

    cpu: float
    """Cores."""
    memory: int
    """Bytes."""


class PodUsage(Struct, frozen=True):
    """What a pod's containers use, by container name, averaged over ``window`` seconds."""

    containers: Mapping[str, Usage]
    timestamp: datetime | None = None
    window: float = 0.0


class LogTail(Struct, frozen=True):
    """The new lines of one container's log, already redacted and bounded."""

    pod: str
    container: str
    lines: tuple[str, ...]
    seconds: float
    """Span of time the lines were asked for."""
    truncated: bool = False
    """More was written than the bounds let through."""
    previous: bool = False
    """The lines are those of the instance before the last crash."""


class Connection(Struct, frozen=True):
    """The outcome of a TCP connect to one port of a Service."""

    service: str
    port: int
    seconds: float
    """Until connected or given up."""
    error: str = ""
    """Empty when connected: refused, timeout, unresolved, unreachable."""


class Change(Struct, frozen=True):
    """A recent write to an object's desired state, as its managedFields tell."""

    kind: str
    name: str
    manager: str
    time: datetime
    detail: str = ""
    """What is known of it, such as the revision."""


class Sample(Struct, Generic[V], frozen=True):
    """One answer of a polled source."""

    number: int
    """Counts the samples of this source, from 1."""
    time: datetime
    value: V | Unobserved


class Snapshot(Struct, frozen=True, kw_only=True):
    """All facts about one KiroHealthCheck's selection at one instant."""

    namespace: str
    pods: Collection[Pod] | Unobserved
    deployments: Collection[Deployment] | Unobserved
    stateful_sets: Collection[StatefulSet] | Unobserved
    daemon_sets: Collection[DaemonSet] | Unobserved
    replica_sets: Collection[ReplicaSet] | Unobserved
    services: Collection[Service] | Unobserved
    endpoint_slices: Collection[EndpointSlice] | Unobserved
    autoscalers: Collection[HorizontalPodAutoscaler] | Unobserved
    pod_metrics: Sample[Mapping[str, PodUsage]] | None = None
    """By pod name; None before the first sample."""
    pod_logs: Sample[tuple[LogTail | Unobserved, ...]] | None = None
    connections: Sample[tuple[Connection, ...]] | None = None
    config_changes: Sample[tuple[Change, ...]] | None = None
    began_failing: Mapping[str, datetime] = {}
    """Since when each other check fails, by id: what a change is held against."""


class Ref(Struct, frozen=True, order=True):
    """An object, exactly."""

    kind: str
    name: str
    uid: str = ""


def controller_of(pod: Pod, snapshot: Snapshot) -> Ref | None:
    """The workload that owns a pod: its Deployment, StatefulSet, DaemonSet or Job; None for a bare pod.

    A ReplicaSet that no Deployment owns is its own workload.
    """
    for owner in pod.metadata.owner_references:
        if not owner.controller:
            continue
        if owner.kind == "ReplicaSet" and not isinstance(snapshot.replica_sets, Unobserved):
            replica_set = snapshot.replica_sets.get(owner.name)
            if replica_set is not None:
                for grand in replica_set.metadata.owner_references:
                    if grand.controller:
                        return Ref(grand.kind, grand.name, grand.uid)
        return Ref(owner.kind, owner.name, owner.uid)
    return None


def workload(ref: Ref, snapshot: Snapshot) -> Workload | None:
    """The workload behind a reference, while it is known and of the same UID."""
    source: Collection[Deployment] | Collection[StatefulSet] | Collection[DaemonSet] | Unobserved
    match ref.kind:
        case "Deployment":
            source = snapshot.deployments
        case "StatefulSet":
            source = snapshot.stateful_sets
        case "DaemonSet":
            source = snapshot.daemon_sets
        case _:
            return None
    if isinstance(source, Unobserved):
        return None
    found = source.get(ref.name)
    return found if found is not None and found.metadata.uid == ref.uid else None


__all__ = [
    "WATCHED",
    "Change",
    "Collection",
    "Connection",
    "LogTail",
    "PodUsage",
    "Ref",
    "Sample",
    "Selector",
    "Snapshot",
    "Source",
    "Unobserved",
    "Usage",
    "controller_of",
    "workload",
]
