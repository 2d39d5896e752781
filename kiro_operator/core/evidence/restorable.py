"""The ClusterRoles that policies ask to restore and their bindings, and how wide they may be."""

from collections.abc import Mapping

from msgspec import Struct

from kiro_operator.core.evidence.access import RbacRule, Subject
from kiro_operator.core.snapshot import Polled


class Found(Struct, frozen=True, kw_only=True):
    """An object that is there."""

    uid: str
    resource_version: str
    labels: Mapping[str, str] = {}
    protected: str = ""
    """Value of the annotation kiro.dev/protected."""
    gitops: str = ""
    """The GitOps tool that keeps it; empty for none."""


class FoundRole(Found, frozen=True, kw_only=True):
    """A ClusterRole."""

    rules: tuple[RbacRule, ...] = ()


class FoundBinding(Found, frozen=True, kw_only=True):
    """A ClusterRoleBinding."""

    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...] = ()


class Bounds(Struct, frozen=True):
    """What a KiroSafetyBaseline says."""

    rules: tuple[RbacRule, ...]
    subjects: tuple[Subject, ...]


class Restorable(Struct, frozen=True):
    """What there is of one name; None for what is not there."""

    role: FoundRole | None = None
    binding: FoundBinding | None = None
    bounds: Bounds | None = None


RESTORABLE: Polled[Mapping[str, Restorable]] = Polled(
    "restorable-roles", dict[str, Restorable], names_people=True
)
"""By the name that ClusterRole, ClusterRoleBinding and KiroSafetyBaseline share."""
