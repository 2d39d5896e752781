"""What remedies change besides workloads, as it was sampled."""

from collections.abc import Mapping

from msgspec import Struct

from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG
from kiro_operator.core.evidence.restorable import RESTORABLE, Found
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.evidence.steering import STEERING
from kiro_operator.core.snapshot import ABSENT, Marks, Ref, Snapshot, Unobserved


class Subject(Struct, frozen=True):
    """An object that is no workload, or the place of one that is missing."""

    resource_version: str = ""
    labels: Mapping[str, str] = {}
    protected: bool = False
    gitops: str = ""
    """The GitOps tool that owns it; empty for none that is known."""


def subject(ref: Ref, snapshot: Snapshot) -> Subject | None:
    """The very object; None where it is not to be seen, or is another one by now."""
    match ref.kind:
        case "ConfigMap":
            return _safety_config(ref, snapshot) or _steering(ref, snapshot) or _optimization(ref, snapshot)
        case "HorizontalPodAutoscaler":
            return _autoscaler(ref, snapshot)
        case "ClusterRole" | "ClusterRoleBinding":
            return _rbac(ref, snapshot)
        case "KiroSafetyPolicy":
            return _marked(ref, snapshot.marks.get(ref.name))
        case "KiroHealthCheck":
            return _marked(ref, snapshot.own.marks if snapshot.own.name == ref.name else None)
    return None


def _marked(ref: Ref, marks: Marks | None) -> Subject | None:
    """Of the operator's own kinds. Who keeps one in Git is looked at in the object itself."""
    if marks is None or marks.uid != ref.uid:
        return None
    return Subject(labels=marks.labels, protected=is_protected(marks.protected))


def _safety_config(ref: Ref, snapshot: Snapshot) -> Subject | None:
    seen = snapshot.value(SAFETY_CONFIG)
    if isinstance(seen, Unobserved) or ref.name not in seen:
        return None
    return _subject(seen[ref.name], ref)


def _rbac(ref: Ref, snapshot: Snapshot) -> Subject | None:
    seen = snapshot.value(RESTORABLE)
    if isinstance(seen, Unobserved) or ref.name not in seen:
        return None
    found = seen[ref.name]
    return _subject(found.role if ref.kind == "ClusterRole" else found.binding, ref)


def _steering(ref: Ref, snapshot: Snapshot) -> Subject | None:
    seen = snapshot.value(STEERING)
    if isinstance(seen, Unobserved):
        return None
    found = next(
        (holder for holder in seen.holders if (holder.name, holder.uid) == (ref.name, ref.uid)), None
    )
    if found is None:
        return None
    return Subject(found.resource_version, found.labels, is_protected(found.protected), found.gitops)


def _optimization(ref: Ref, snapshot: Snapshot) -> Subject | None:
    seen = snapshot.value(OPTIMIZATION_CONFIG)
    if seen is None or isinstance(seen, Unobserved) or seen.uid != ref.uid:
        return None
    # Who keeps it is looked at in the object itself, when a proposal is made and when it is carried out.
    return Subject(seen.resource_version, seen.labels, is_protected(seen.protected))


def _autoscaler(ref: Ref, snapshot: Snapshot) -> Subject | None:
    if isinstance(snapshot.autoscalers, Unobserved):
        return None
    found = snapshot.autoscalers.get(ref.name)
    if found is None or found.metadata.uid != ref.uid:
        return None
    metadata = found.metadata
    return Subject(metadata.resource_version, metadata.labels, is_protected(metadata.annotations.protected))


def _subject(found: ConfigData | Found | None, ref: Ref) -> Subject | None:
    if found is None:
        return Subject() if ref.uid.startswith(ABSENT) else None
    if found.uid != ref.uid:
        return None
    return Subject(found.resource_version, found.labels, is_protected(found.protected), found.gitops)


def is_protected(annotation: str) -> bool:
    """What the annotation kiro.dev/protected says: whoever writes "yes" or "True" means it."""
    return annotation.strip().lower() not in {"", "false"}
