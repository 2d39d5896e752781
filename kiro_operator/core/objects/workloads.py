"""Deployments, StatefulSets, DaemonSets and ReplicaSets."""

from kiro_operator.core.objects.meta import (
    Base,
    ManagedMetadata,
    Metadata,
    ObjectCondition,
    Selector,
    TemplateAnnotations,
)
from kiro_operator.core.objects.pods import Container


class TemplateMetadata(Base, frozen=True):
    """Metadata of a pod template."""

    labels: dict[str, str] = {}
    annotations: TemplateAnnotations = TemplateAnnotations()


class PodTemplate(Base, frozen=True):
    """A workload's pod template."""

    metadata: TemplateMetadata = TemplateMetadata()


class Containers(Base, frozen=True):
    """What a pod template says of its containers; what is added to pods as they are made is not in it."""

    containers: tuple[Container, ...] = ()


class RequestingTemplate(PodTemplate, frozen=True):
    """The pod template of what a person may have ask for less; of ReplicaSets there are too many."""

    spec: Containers = Containers()


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


class RequestingSpec(WorkloadSpec, frozen=True):
    """The same, with what the containers request."""

    template: RequestingTemplate = RequestingTemplate()


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
    spec: RequestingSpec = RequestingSpec()
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
    def held_back(self) -> int:
        """Pods that an update leaves as they are on purpose."""
        return 0

    @property
    def settled(self) -> bool:
        """All that is desired is available, and up to date but for what is held back.

        And the controller has seen this generation.
        """
        status = self.status
        return (
            self.metadata.deletion_timestamp is None
            and status.observed_generation >= self.metadata.generation
            and self.desired <= status.available_replicas
            and self.desired - self.held_back <= status.updated_replicas
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

    @property
    def held_back(self) -> int:
        """All pods, until somebody deletes them, or those below its partition."""
        strategy = self.spec.update_strategy
        if strategy.type == "OnDelete":
            return self.desired
        return strategy.rolling_update.partition if strategy.rolling_update is not None else 0


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
