"""What was observed, frozen: the only thing a check sees of the world."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct
from pydantic import BaseModel

from kiro_operator.api.v1alpha1.evidence.mcp import McpEvidence
from kiro_operator.api.v1alpha1.evidence.optimization import OptimizationEvidence
from kiro_operator.api.v1alpha1.healthcheck import CheckSettings
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.feedback import Notes
from kiro_operator.core.objects import (
    DaemonSet,
    Deployment,
    EndpointSlice,
    HorizontalPodAutoscaler,
    Pod,
    Projection,
    Record,
    ReplicaSet,
    Service,
    StatefulSet,
    Workload,
)

T = TypeVar("T", bound=Projection)
V = TypeVar("V")


class Source(StrEnum):
    """Sources that are watched; what has to be sampled is Polled."""

    PODS = "pods"
    DEPLOYMENTS = "deployments"
    STATEFUL_SETS = "statefulsets"
    DAEMON_SETS = "daemonsets"
    REPLICA_SETS = "replicasets"
    SERVICES = "services"
    ENDPOINT_SLICES = "endpointslices"
    AUTOSCALERS = "horizontalpodautoscalers"
    POLICIES = "kirosafetypolicies"
    REMEDIATIONS = "kiroremediations"
    HEALTH_CHECK = "kirohealthchecks"
    """The KiroHealthCheck itself: its settings, and what people noted on it."""
    VERDICTS = "verdicts"
    """What the other checks of the KiroHealthCheck have said so far."""


class Unobserved(Struct, frozen=True):
    """An observation that could not be made: a value, never an exception."""

    reason: str
    """One CamelCase word, such as Forbidden, Timeout, NotInstalled, StaleWatch."""
    message: str
    """What to do about it; for Forbidden the very rule to add."""


NOT_CONFIGURED = "NotConfigured"
"""Reason of what nobody asked to be observed: such a check is Skipped."""
CERTAIN = frozenset({"Forbidden", "NotInstalled"})
"""Reasons that another try will not change: they count at once."""


AWAITING = Unobserved("AwaitingSamples", "No sample has been taken yet.")


def awaiting(source: "Polled[Any]") -> Unobserved:
    """That a source has not been sampled yet."""
    return Unobserved(AWAITING.reason, f"No sample of {source.name} has been taken yet.")


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


class Sample(Struct, Generic[V], frozen=True):
    """One answer of a polled source."""

    number: int
    """Counts the samples of this source, from 1."""
    time: datetime
    value: V | Unobserved


class Polled(Struct, Generic[V], frozen=True):
    """A source that is sampled: its key, and the type of what it gives."""

    name: str
    type: Any
    """Type of the value, as fixtures are read."""
    section: str = ""
    """Field of a KiroHealthCheck's spec without which there is nothing to sample; empty: none."""
    timeout: float = 15.0
    """Seconds a sample may take at most; a shorter interval is a shorter limit."""
    names_people: bool = False
    """Whether it tells who may do what: the users in it are no personal data to be taken out."""

    def __hash__(self) -> int:
        return hash(self.name)


class Setting(Protocol):
    """How one enabled check is set."""

    @property
    def chosen(self) -> CheckSettings | None:
        """As it is written; None when nothing is."""

    @property
    def parameters(self) -> BaseModel:
        """With the defaults of what is not."""

    @property
    def interval(self) -> timedelta:
        """How often it is sampled."""


class Marks(Struct, frozen=True):
    """What gates ask of an object of the operator's own kinds."""

    uid: str = ""
    labels: Mapping[str, str] = {}
    protected: str = ""
    """Value of the annotation kiro.dev/protected."""


class Own(Struct, frozen=True):
    """What is known of the KiroHealthCheck that is judged, by itself."""

    name: str = ""
    settings: Mapping[str, Setting] = {}
    """Of the enabled checks, by id."""
    notes: Notes = Notes()
    failed: Mapping[str, Sequence[datetime]] = {}
    """When each check began to fail, oldest first, as far as this process remembers."""
    mcp: McpEvidence | None = None
    """Where its MCP servers and their client are, as its spec says."""
    optimization: OptimizationEvidence | None = None
    """What Kiro optimizes by, as its spec declares it."""
    marks: Marks = Marks()


class Ref(Struct, frozen=True, order=True):
    """An object, exactly."""

    kind: str
    name: str
    uid: str = ""


ABSENT = "absent-"
"""Begins what stands for the UID of an object that is to be, and is not."""


def absent(kind: str, name: str) -> Ref:
    """An object that is missing, as the target of what would make it."""
    return Ref(kind, name, f"{ABSENT}{kind.lower()}-{name}"[:128])


class Stands(Struct, frozen=True):
    """What another check finds of one object, and since when it has found it without a break."""

    object: Ref
    message: str
    since: datetime


class Weighed(Struct, frozen=True):
    """What a check has found that another one weighs."""

    known: bool
    """It passes or fails, by what has been seen since the operator started."""
    stands: tuple[Stands, ...] = ()
    hidden: Unobserved | None = None
    """Why what it found last is out of sight; None where it is in sight, or had found nothing."""


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
    policies: Mapping[str, KiroSafetyPolicySpec] = {}
    """The KiroSafetyPolicies of the namespace that can be read, by name."""
    marks: Mapping[str, Marks] = {}
    """Of all KiroSafetyPolicies of the namespace, by name."""
    remediations: Iterable[Record] | Unobserved = ()
    """The KiroRemediations of the namespace."""
    samples: Mapping[str, Sample[Any]] = {}
    """The last sample of each polled source, by the source's name."""
    began_failing: Mapping[str, datetime] = {}
    """Since when each other check fails, by id: what a change is held against."""
    own: Own = Own()
    """The KiroHealthCheck itself."""
    weighed: Mapping[str, Weighed] = {}
    """What the checks have found whose findings this one weighs, by id."""

    def sample(self, source: Polled[V]) -> Sample[V] | None:
        """The last sample of a source; None before the first."""
        return self.samples.get(source.name)

    def value(self, source: Polled[V]) -> V | Unobserved:
        """What the last sample of a source gave; before the first, that there is none yet."""
        sample = self.sample(source)
        return awaiting(source) if sample is None else sample.value

    def sampled_at(self, source: Polled[Any], now: datetime) -> datetime:
        """When the source was sampled last, and never in the future."""
        sample = self.sample(source)
        return now if sample is None else min(sample.time, now)


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


def ref_of(workload: Workload) -> Ref:
    """What a workload is referred to by."""
    return Ref(workload.kind, workload.metadata.name, workload.metadata.uid)


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
