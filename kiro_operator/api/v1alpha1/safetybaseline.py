"""KiroSafetyBaseline: the widest that the operator may ever bring back, as the cluster's admin has it.

A KiroSafetyPolicy is written by whoever administers a namespace. What is granted in the whole cluster is not
theirs to say: they may ask for less than a baseline, never for more. No field that is left out widens.
"""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import PlainName, RoleRule, SubjectReference
from kiro_operator.api.v1alpha1.types import ApiModel, DnsName, rules

_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}


class BaselineRule(RoleRule):
    """One rule of RBAC, as wide as it may be."""

    # Required, since without it the rule holds for all objects: a field that is lost must not widen.
    resource_names: Annotated[list[PlainName], Field(max_length=32)] = Field(
        description="Objects that the rule is limited to; [] for all.", json_schema_extra=_ATOMIC
    )


class BaselineSubject(SubjectReference):
    """Who: a ServiceAccount with its namespace, a user or a group."""

    model_config = rules(
        (
            "has(self.namespace) == (self.kind == 'ServiceAccount')",
            "write the namespace of a ServiceAccount, such as kiro-system, and none for a user or group",
        ),
    )

    namespace: DnsName | None = Field(default=None, description="Namespace of a ServiceAccount.")


class BaselineClusterRole(ApiModel):
    """The bounds of the ClusterRole and of the ClusterRoleBinding that are named as the baseline is."""

    rules: Annotated[list[BaselineRule], Field(max_length=32)] = Field(
        description="The widest rules of the ClusterRole: each that is restored lies within one of these.",
        json_schema_extra=_ATOMIC,
    )
    subjects: Annotated[list[BaselineSubject], Field(max_length=8)] = Field(
        description=(
            "Whom the ClusterRoleBinding may bind in the whole cluster; [] for nobody, "
            "as where RoleBindings bind it."
        ),
        json_schema_extra=_ATOMIC,
    )


class KiroSafetyBaselineSpec(ApiModel):
    """The widest that may be restored."""

    cluster_role: BaselineClusterRole = Field(
        description="Bounds of the ClusterRole and the ClusterRoleBinding of the baseline's own name."
    )


class KiroSafetyBaseline(ApiModel):
    """The widest that the operator may ever restore; the cluster's admin writes it."""

    KIND: ClassVar[str] = "KiroSafetyBaseline"
    PLURAL: ClassVar[str] = "kirosafetybaselines"
    SCOPE: ClassVar[str] = "Cluster"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("ksb",)
    PRINTER_COLUMNS: ClassVar[tuple[tuple[str, str, str] | tuple[str, str, str, int], ...]] = (
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    SELECTABLE_FIELDS: ClassVar[tuple[str, ...]] = ()

    spec: KiroSafetyBaselineSpec = Field(description="The widest that may be restored.")
