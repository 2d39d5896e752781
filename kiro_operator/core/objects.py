"""Projections of Kubernetes objects: only the fields that checks and gates read.

Each type has the shape of the object's JSON, so that the informer decodes a watch event, and a
test decodes what ``kubectl get -o yaml`` prints, into the very same facts. Fields that are not
named here cost nothing: the decoder skips them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct, field


class Base(Struct, frozen=True, gc=False, rename="camel"):
    """Base of every projection: immutable and outside the garbage collector."""


class OwnerReference(Base, frozen=True):
    """The owner named in an object's metadata."""

    kind: str
    name: str
    uid: str
    api_version: str = ""
    controller: bool = False


class Annotations(Base, frozen=True):
    """The annotations that the operator reads; all others are skipped."""

    protected: str = field(default="", name="kiro.dev/protected")
    restarted_by: str = field(default="", name="kiro.dev/restarted-by")
    requested_at: str = field(default="", name="kiro.dev/requestedAt")
    revision: str = field(default="", name="deployment.kubernetes.io/revision")
    change_cause: str = field(default="", name="kubernetes.io/change-cause")
    argocd_tracking: str = field(default="", name="argocd.argoproj.io/tracking-id")
    endpoints_changed: str = field(default="", name="endpoints.kubernetes.io/last-change-trigger-time")


class ManagedField(Base, frozen=True):
    """Which manager wrote, and when. It names managers, never users."""

    manager: str = ""
    operation: str = ""
    time: datetime | None = None
    subresource: str = ""


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


class ObjectCondition(Base, frozen=True):
    """A condition as Kubernetes' own kinds carry it."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class Resources(Base, frozen=True):
    """Requests and limits as quantities, such as ``{"cpu": "500m"}``."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Container(Base, frozen=True):
    """A container of a pod's spec."""

    name: str
    resources: Resources = Resources()


class Waiting(Base, frozen=True):
    """Why a container waits."""

    reason: str = ""
    message: str = ""


class Running(Base, frozen=True):
    """Since when a container runs."""

    started_at: datetime | None = None


class Terminated(Base, frozen=True):
    """How a container ended."""

    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class ContainerState(Base, frozen=True):
    """At most one of the three is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Base, frozen=True):
    """What became of a container."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodSpec(Base, frozen=True):
    """What checks read of a pod's spec."""

    node_name: str = ""
    restart_policy: str = "Always"
    containers: tuple[Container, ...] = ()


class PodStatus(Base, frozen=True):
    """What checks read of a pod's status."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: tuple[ObjectCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Base, frozen=True):
    """A pod."""

    metadata: Metadata
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()

    def condition(self, kind: str) -> ObjectCondition | None:
        """The condition of that type, if the pod has it."""
        for condition in self.status.conditions:
            if condition.type == kind:
                return condition
        return None

    @property
    def settled(self) -> bool:
        """Nothing about this pod is worth a closer look: it ran through, or is ready and never restarted."""
        if self.metadata.deletion_timestamp is not None:
            return False
        if self.status.phase == "Succeeded":
            return True
        if self.status.phase != "Running":
            return False
        for condition in self.status.conditions:
            if condition.type == "Ready":
                if condition.status != "True":
                    return False
                break
        else:
            return False
        return all(status.ready and not status.restart_count for status in self.status.container_statuses)


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


class TemplateMetadata(Base, frozen=True):
    """Metadata of a pod template."""

    labels: dict[str, str] = {}
    annotations: Annotations = Annotations()


class PodTemplate(Base, frozen=True):
    """A workload's pod template."""

    metadata: TemplateMetadata = TemplateMetadata()


class RollingUpdate(Base, frozen=True):
    """Bounds of a rolling update, as numbers or shares."""

    max_unavailable: int | str | None = None
    max_surge: int | str | None = None
    partition: int = 0
    """Pods of a StatefulSet below this ordinal are left at the old revision on purpose."""


class Strategy(Base, frozen=True):
    """How a workload replaces its pods."""

    type: str = ""
    rolling_update: RollingUpdate | None = None


class WorkloadSpec(Base, frozen=True):
    """What checks and gates read of a workload's spec."""

    replicas: int | None = None
    paused: bool = False
    selector: Selector = Selector()
    strategy: Strategy = Strategy()
    update_strategy: Strategy = Strategy()
    template: PodTemplate = PodTemplate()
    progress_deadline_seconds: int = 600


class WorkloadStatus(Base, frozen=True):
    """Status of a Deployment, StatefulSet, ReplicaSet or DaemonSet; each sets its own fields."""

    observed_generation: int = 0
    replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    updated_replicas: int = 0
    unavailable_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    desired_number_scheduled: int = 0
    number_available: int = 0
    number_ready: int = 0
    updated_number_scheduled: int = 0
    conditions: tuple[ObjectCondition, ...] = ()


class Workload(Base, frozen=True):
    """A Deployment, StatefulSet or DaemonSet; the subclasses say which."""

    metadata: ManagedMetadata
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    @property
    def kind(self) -> str:
        """The Kubernetes kind, which is the name of the subclass."""
        return type(self).__name__

    @property
    def desired(self) -> int:
        """Replicas wanted."""
        return 1 if self.spec.replicas is None else self.spec.replicas

    @property
    def available(self) -> int:
        """Replicas available."""
        return self.status.available_replicas

    @property
    def settled(self) -> bool:
        """All that is desired is up to date and available, and the controller has seen this generation."""
        status = self.status
        return (
            self.metadata.deletion_timestamp is None
            and status.observed_generation >= self.metadata.generation
            and self.desired <= status.available_replicas
            and self.desired <= status.updated_replicas
            and status.replicas <= self.desired
        )

    def condition(self, kind: str) -> ObjectCondition | None:
        """The condition of that type, if the workload has it."""
        for condition in self.status.conditions:
            if condition.type == kind:
                return condition
        return None


class Deployment(Workload, frozen=True):
    """A Deployment."""


class StatefulSet(Workload, frozen=True):
    """A StatefulSet."""


class DaemonSet(Workload, frozen=True):
    """A DaemonSet."""

    @property
    def desired(self) -> int:
        """Nodes that should run a pod."""
        return self.status.desired_number_scheduled

    @property
    def available(self) -> int:
        """Nodes whose pod is available."""
        return self.status.number_available

    @property
    def settled(self) -> bool:
        """Each node that should run a pod runs an available one of this generation."""
        status = self.status
        return (
            self.metadata.deletion_timestamp is None
            and status.observed_generation >= self.metadata.generation
            and status.desired_number_scheduled <= status.number_available
            and status.desired_number_scheduled <= status.updated_number_scheduled
        )


class ReplicaSet(Base, frozen=True):
    """A ReplicaSet: links a pod to its Deployment and dates a revision."""

    metadata: Metadata
    spec: WorkloadSpec = WorkloadSpec()
    status: WorkloadStatus = WorkloadStatus()

    @property
    def settled(self) -> bool:
        """No check looks closer at a ReplicaSet by itself."""
        return True


class ServicePort(Base, frozen=True):
    """A port of a Service."""

    port: int
    name: str = ""
    protocol: str = "TCP"


class ServiceSpec(Base, frozen=True):
    """What checks read of a Service."""

    type: str = "ClusterIP"
    cluster_ip: str = field(default="", name="clusterIP")
    selector: dict[str, str] = {}
    ports: tuple[ServicePort, ...] = ()


class Service(Base, frozen=True):
    """A Service."""

    metadata: Metadata
    spec: ServiceSpec = ServiceSpec()

    @property
    def settled(self) -> bool:
        """A Service has no status to judge: its EndpointSlices have."""
        return True


class EndpointConditions(Base, frozen=True):
    """Conditions of an endpoint; absent means true."""

    ready: bool | None = None


class Endpoint(Base, frozen=True):
    """One endpoint."""

    conditions: EndpointConditions = EndpointConditions()


class EndpointSlice(Base, frozen=True):
    """An EndpointSlice, linked to its Service by the label kubernetes.io/service-name."""

    metadata: Metadata
    endpoints: tuple[Endpoint, ...] | None = ()

    @property
    def settled(self) -> bool:
        """At least one endpoint is ready."""
        return any(endpoint.conditions.ready is not False for endpoint in self.endpoints or ())


class ScaleTargetRef(Base, frozen=True):
    """What an autoscaler scales."""

    kind: str
    name: str
    api_version: str = ""


class AutoscalerSpec(Base, frozen=True):
    """Bounds of an autoscaler."""

    scale_target_ref: ScaleTargetRef
    min_replicas: int = 1
    max_replicas: int = 0


class HorizontalPodAutoscaler(Base, frozen=True):
    """A HorizontalPodAutoscaler."""

    metadata: Metadata
    spec: AutoscalerSpec

    @property
    def settled(self) -> bool:
        """Its own conditions are judged by a check of their own."""
        return True


class Projection(Protocol):
    """What every watched projection offers."""

    @property
    def metadata(self) -> Metadata:
        """The object's metadata."""

    @property
    def settled(self) -> bool:
        """Whether checks may pass over this object without a closer look."""


class Record(Base, frozen=True):
    """One of the operator's own objects, its parts still as JSON."""

    metadata: Metadata
    spec: dict[str, Any] = {}
    status: dict[str, Any] = {}

    @property
    def settled(self) -> bool:
        """Records are read, never judged."""
        return True


def is_later(version: str, than: str) -> bool:
    """Whether a resource version is later than another of the same kind: they are ordered numbers."""
    return (len(version), version) > (len(than), than)


def selectable_labels(item: Any) -> dict[str, str]:
    """Labels that a KiroHealthCheck's selector is held against: of a workload those of its pods."""
    labels: dict[str, str]
    labels = item.spec.template.metadata.labels if isinstance(item, Workload) else item.metadata.labels
    return labels
