"""Pods."""

from datetime import datetime
from enum import StrEnum

from kiro_operator.core.objects.meta import Base, Metadata, ObjectCondition


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


class Phase(StrEnum):
    """A pod's phase."""

    NONE = ""
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"

    @classmethod
    def _missing_(cls, value: object) -> "Phase":  # noqa: ARG003 - a phase nobody knows yet
        return cls.UNKNOWN


class RestartPolicy(StrEnum):
    """Whether a pod's containers are started again."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class PodSpec(Base, frozen=True):
    """What checks read of a pod's spec."""

    node_name: str = ""
    restart_policy: RestartPolicy = RestartPolicy.ALWAYS
    containers: tuple[Container, ...] = ()


class PodStatus(Base, frozen=True):
    """What checks read of a pod's status."""

    phase: Phase = Phase.NONE
    reason: str = ""
    message: str = ""
    conditions: tuple[ObjectCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()

    @property
    def lasting(self) -> tuple[ContainerStatus, ...]:
        """Of an initialized pod, what is to go on: the containers, and sidecars, which are init containers.

        Other init containers have come to their end, and what it took them to get there is over.
        """
        if not self.init_container_statuses:
            return self.container_statuses
        sidecars = (
            status
            for status in self.init_container_statuses
            if not status.ready or status.state.terminated is None
        )
        return (*sidecars, *self.container_statuses)


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
        """Nothing about this pod is worth a closer look: it is ready, and what runs in it never restarted.

        One that ran through is: it is no fault, and nobody is served by it.
        """
        if self.metadata.deletion_timestamp is not None:
            return False
        if self.status.phase != "Running":
            return False
        for condition in self.status.conditions:
            if condition.type == "Ready":
                if condition.status != "True":
                    return False
                break
        else:
            return False
        return all(status.ready and not status.restart_count for status in self.status.lasting)
