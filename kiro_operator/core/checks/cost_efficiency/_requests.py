"""What the running pods of a workload ask for."""

from kiro_operator.core.objects import Phase
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved, controller_of


def requested(snapshot: Snapshot, ref: Ref) -> tuple[float, float]:
    """Cores and bytes."""
    cpu = memory = 0.0
    for pod in () if isinstance(snapshot.pods, Unobserved) else snapshot.pods:
        if controller_of(pod, snapshot) == ref and pod.status.phase is Phase.RUNNING:
            for container in pod.spec.containers:
                cpu += _quantity(container.resources.requests.get("cpu"))
                memory += _quantity(container.resources.requests.get("memory"))
    return cpu, memory


def _quantity(text: str | None) -> float:
    try:
        return parse_quantity(text or "0")
    except ValueError:
        return 0.0  # the API server validates quantities
