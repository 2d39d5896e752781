"""Metadata, conditions and selectors: what all kinds share."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct, field

from kiro_operator.core.gitops import keeper

PROTECTED = "kiro.dev/protected"
"""The annotation of what is never acted on."""


class Base(Struct, frozen=True, gc=False, rename="camel"):
    """Base of every projection: immutable and outside the garbage collector."""


class OwnerReference(Base, frozen=True):
    """The owner named in an object's metadata."""

    kind: str
    name: str
    uid: str
    controller: bool = False


class Annotations(Base, frozen=True):
    """The annotations that the operator reads; all others are skipped."""

    protected: str = field(default="", name=PROTECTED)
    restarted_by: str = field(default="", name="kiro.dev/restarted-by")
    revision: str = field(default="", name="deployment.kubernetes.io/revision")
    argocd_tracking: str = field(default="", name="argocd.argoproj.io/tracking-id")
    endpoints_changed: str = field(default="", name="endpoints.kubernetes.io/last-change-trigger-time")


class TemplateAnnotations(Annotations, frozen=True):
    """Annotations of a pod template; on the pods themselves nobody reads them."""

    restarted_at: str = field(default="", name="kubectl.kubernetes.io/restartedAt")


class RecordAnnotations(Annotations, frozen=True):
    """What people note on one of the operator's own objects; see core/feedback.py."""

    outcome: str = field(default="", name="kiro.dev/outcome")
    feedback: str = field(default="", name="kiro.dev/feedback")
    proposal: str = field(default="", name="kiro.dev/proposal")


class ManagedField(Base, frozen=True):
    """Which manager wrote, and when. It names managers, never users."""

    manager: str = ""
    operation: str = ""
    written: str = field(default="", name="time")
    subresource: str = ""

    @property
    def time(self) -> datetime | None:
        """When; None where that is not told, or by a time that there is none of.

        Whoever may write the object may write this as well, and the API server knows a year zero.
        """
        try:
            time = datetime.fromisoformat(self.written)
        except ValueError:
            return None
        return None if time.tzinfo is None else time


class Metadata(Base, frozen=True):
    """Metadata of an object."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: Annotations = Annotations()
    owner_references: tuple[OwnerReference, ...] = ()


class ManagedMetadata(Metadata, frozen=True):
    """Metadata with the history of its managers, for the kinds whose changes are judged."""

    managed_fields: tuple[ManagedField, ...] = ()


class MarkedMetadata(Base, frozen=True):
    """Metadata with all marks, of what is read one by one: who keeps it, and whether it is protected."""

    name: str
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    managed_fields: tuple[ManagedField, ...] = ()

    @property
    def protected(self) -> str:
        """Value of the annotation kiro.dev/protected."""
        return self.annotations.get(PROTECTED, "")

    @property
    def gitops(self) -> str:
        """The GitOps tool that keeps it; empty for none that is known."""
        writers = ((field.manager, field.subresource) for field in self.managed_fields)
        return keeper([*self.labels, *self.annotations], writers)


class RecordMetadata(Metadata, frozen=True):
    """Metadata of one of the operator's own objects, with what people note on it."""

    annotations: RecordAnnotations = RecordAnnotations()


class ConditionKind(StrEnum):
    """Types of conditions that are read. As members, not texts, they cost each pod nothing."""

    READY = "Ready"
    CONTAINERS_READY = "ContainersReady"
    INITIALIZED = "Initialized"
    POD_SCHEDULED = "PodScheduled"
    POD_READY_TO_START_CONTAINERS = "PodReadyToStartContainers"
    DISRUPTION_TARGET = "DisruptionTarget"
    AVAILABLE = "Available"
    PROGRESSING = "Progressing"
    REPLICA_FAILURE = "ReplicaFailure"
    ABLE_TO_SCALE = "AbleToScale"
    SCALING_ACTIVE = "ScalingActive"
    SCALING_LIMITED = "ScalingLimited"
    OTHER = "(other)"

    @classmethod
    def _missing_(cls, value: object) -> "ConditionKind":  # noqa: ARG003 - whatever it is, nobody reads it
        return cls.OTHER


class Truth(StrEnum):
    """Status of a condition; what is no status is not known."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"

    @classmethod
    def _missing_(cls, value: object) -> "Truth":  # noqa: ARG003 - see above
        return cls.UNKNOWN


class ObjectCondition(Base, frozen=True):
    """A condition as Kubernetes' own kinds carry it."""

    type: ConditionKind
    status: Truth
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class LabelSelectorExpression(Base, frozen=True):
    """One expression of a label selector."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Selector(Base, frozen=True):
    """A label selector as workloads carry it."""

    match_labels: dict[str, str] = {}
    match_expressions: tuple[LabelSelectorExpression, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected; the empty selector selects everything.

        Raises:
            ValueError: an expression's operator does not exist.
        """
        for key, value in self.match_labels.items():
            if labels.get(key) != value:
                return False
        return all(_expression_holds(expression, labels) for expression in self.match_expressions)


def _expression_holds(expression: LabelSelectorExpression, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression.key)
    match expression.operator:
        case "In":
            return value is not None and value in expression.values
        case "NotIn":
            return value is None or value not in expression.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case other:
            raise ValueError(f"label selector operator {other!r}: write In, NotIn, Exists or DoesNotExist")


class Projection(Protocol):
    """What every watched projection offers."""

    @property
    def metadata(self) -> Metadata:
        """The object's metadata."""

    @property
    def settled(self) -> bool:
        """Whether checks may pass over this object without a closer look."""
