"""The operator's own objects, and what all versions and labels have in common."""

from typing import Any

from kiro_operator.core.objects.meta import Base, RecordMetadata
from kiro_operator.core.objects.network import Service
from kiro_operator.core.objects.workloads import Workload


class Record(Base, frozen=True):
    """One of the operator's own objects, its parts still as JSON."""

    metadata: RecordMetadata
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
    """Labels that a KiroHealthCheck's selector is held against: those of the pods an object is about.

    A workload's are in its template; a Service's are the ones it selects, since its own labels need
    have nothing to do with its pods.
    """
    labels: dict[str, str]
    if isinstance(item, Workload):
        labels = item.spec.template.metadata.labels
    elif isinstance(item, Service) and item.spec.selector:
        labels = item.spec.selector
    else:
        labels = item.metadata.labels
    return labels
