"""What pods use now, by the metrics API."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


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


POD_METRICS: Polled[Mapping[str, PodUsage]] = Polled("pod-metrics", dict[str, PodUsage])
"""By pod name."""
