"""Services, EndpointSlices and autoscalers."""

from datetime import datetime

from msgspec import field

from kiro_operator.core.objects.meta import Base, Metadata, ObjectCondition


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


class AutoscalerStatus(Base, frozen=True):
    """What an autoscaler last computed and did."""

    current_replicas: int = 0
    desired_replicas: int = 0
    last_scale_time: datetime | None = None
    conditions: tuple[ObjectCondition, ...] | None = ()


class HorizontalPodAutoscaler(Base, frozen=True):
    """A HorizontalPodAutoscaler."""

    metadata: Metadata
    spec: AutoscalerSpec
    status: AutoscalerStatus = AutoscalerStatus()

    @property
    def settled(self) -> bool:
        """Its own conditions are judged by a check of their own."""
        return True
