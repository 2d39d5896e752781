"""What remedies change besides workloads, as it was sampled."""

from collections.abc import Mapping

from msgspec import Struct

from kiro_operator.core.evidence.restorable import RESTORABLE, Found
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG, ConfigData
from kiro_operator.core.snapshot import ABSENT, Ref, Snapshot, Unobserved


class Subject(Struct, frozen=True):
    """An object that is no workload, or the place of one that is missing."""

    resource_version: str = ""
    labels: Mapping[str, str] = {}
    protected: bool = False


def subject(ref: Ref, snapshot: Snapshot) -> Subject | None:
    """The very object; None where it is not to be seen, or is another one by now."""
    found: ConfigData | Found | Unobserved | None
    match ref.kind:
        case "ConfigMap":
            found = _config(ref, snapshot)
        case "ClusterRole" | "ClusterRoleBinding":
            found = _rbac(ref, snapshot)
        case _:
            return None
    if isinstance(found, Unobserved):
        return None
    if found is None:
        return Subject() if ref.uid.startswith(ABSENT) else None
    return _subject(found) if found.uid == ref.uid else None


_NOT_SAMPLED = Unobserved("NotSampled", "it has not been looked at yet")


def _config(ref: Ref, snapshot: Snapshot) -> ConfigData | Unobserved | None:
    seen = snapshot.value(SAFETY_CONFIG)
    return seen if isinstance(seen, Unobserved) else seen.get(ref.name, _NOT_SAMPLED)


def _rbac(ref: Ref, snapshot: Snapshot) -> Found | Unobserved | None:
    seen = snapshot.value(RESTORABLE)
    if isinstance(seen, Unobserved):
        return seen
    if ref.name not in seen:
        return _NOT_SAMPLED
    return seen[ref.name].role if ref.kind == "ClusterRole" else seen[ref.name].binding


def _subject(found: ConfigData | Found) -> Subject:
    return Subject(found.resource_version, found.labels, is_protected(found.protected))


def is_protected(annotation: str) -> bool:
    """What the annotation kiro.dev/protected says: whoever writes "yes" or "True" means it."""
    return annotation.strip().lower() not in {"", "false"}
