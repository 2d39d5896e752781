"""What a KiroSafetyPolicy desires of Kiro's own autonomous operations.

All of it is held against what is there; by itself nothing of it lets the operator do anything. What a list
leaves out is not desired, so that a lost field is told as a difference. Where it is to be restored as well,
what belongs to the whole cluster is bounded by a KiroSafetyBaseline.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel, Between, DnsName, rules


def _rule(rule: str, message: str) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


def _restoring(condition: str, message: str) -> tuple[str, str]:
    """What is only held against the world may be left out; for what is written the default would widen."""
    return f"!has(self.onDrift) || self.onDrift != 'Restore' || {condition}", message


_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
_ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
LARGEST_CHANGE = 1000
"""Percent beyond which no boundary goes."""

ConfigText = Annotated[str, Field(max_length=2048)]
ACTION_WORD = "^[A-Za-z0-9][-A-Za-z0-9_.]*$"
ActionWord = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=_rule(
            f"self.matches('{ACTION_WORD}')",
            "write the name of an action as the records have it, such as scale or restart-pod",
        ),
    ),
]
KIND_WORD = "^[A-Za-z][A-Za-z0-9]{0,62}$"
KindWord = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=_rule(f"self.matches('{KIND_WORD}')", "write a kind, such as Deployment"),
    ),
]
_PLAIN = "such as get or create: a wildcard, escalate, bind or impersonate would let it do anything"
_ONE = "write the names one by one, without a wildcard, such as pods or pods/log"
PlainVerb = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=_rule(
            "self.matches('^[a-z]+$') && !(self in ['escalate', 'bind', 'impersonate'])",
            f"write each verb it needs, {_PLAIN}",
        ),
    ),
]
GateName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=63,
        json_schema_extra=_rule(
            "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "write a name of lower-case letters, digits and '-', such as scale-down",
        ),
    ),
]
PlainName = Annotated[str, Field(max_length=253, json_schema_extra=_rule("!self.contains('*')", _ONE))]


class OnDrift(StrEnum):
    """What to do about an object that is not as it is desired."""

    OBSERVE = "Observe"
    """Tell of it."""
    RESTORE = "Restore"
    """Tell of it, and ask to bring it back: whether that is done is for the actions and gates."""


class DesiredConfig(ApiModel):
    """The safety configuration that Kiro's autonomous operations are to run under."""

    model_config = rules(
        _restoring("has(self.name)", "safetyConfig: onDrift: Restore needs a name: write kiro-safety-config"),
    )

    name: DnsName = Field(
        default_factory=lambda: "kiro-safety-config",
        description="Name of the ConfigMap: kiro-safety-config when left out; required with Restore.",
    )
    on_drift: OnDrift = Field(
        default=OnDrift.OBSERVE,
        description="Observe tells of a difference; Restore asks for RestoreSafetyConfig as well.",
    )
    # Empty is what is left of a key without a value, and would have all of it taken away.
    data: Annotated[dict[str, ConfigText], Field(min_length=1, max_length=64)] = Field(
        description="Keys and values that it is to have, these and no others.",
        json_schema_extra=_rule(
            "self.all(k, k.size() <= 253 && k.matches('^[-._a-zA-Z0-9]+$'))",
            "write keys as a ConfigMap has them: letters, digits, '-', '_' and '.'",
        ),
    )


class Switch(ApiModel):
    """One key of a ConfigMap, and the value that an action may give it."""

    config_map: DnsName = Field(description="Name of the ConfigMap.")
    key: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="The key; others are left alone.",
        json_schema_extra=_rule(
            "self.matches('^[-._a-zA-Z0-9]+$')",
            "write a key as a ConfigMap has it: letters, digits, '-', '_' and '.'",
        ),
    )
    value: Annotated[str, Field(max_length=256)] = Field(
        description="The value that it is given; what Kiro makes of it is for whoever writes it here to know."
    )


class DetailedLogging(Switch):
    """What makes Kiro log in detail, and for how long."""

    duration: Annotated[timedelta, Between("10s", "1h")] = Field(
        description="How long it stays so; after that the former value is given back."
    )


class RoleRule(ApiModel):
    """One rule of RBAC, as a ClusterRole has it."""

    model_config = rules(
        (
            "(self.resources + self.nonResourceURLs).size() > 0",
            "write resources, such as resources: [pods], or nonResourceURLs",
        ),
    )

    api_groups: Annotated[list[PlainName], Field(max_length=16)] = Field(
        default=[], description='API groups; "" is the core group.', json_schema_extra=_ATOMIC
    )
    resources: Annotated[list[PlainName], Field(max_length=32)] = Field(
        default=[], description="Resources and subresources.", json_schema_extra=_ATOMIC
    )
    resource_names: Annotated[list[PlainName], Field(max_length=32)] = Field(
        default_factory=list,
        description="Objects that the rule is limited to; [] for all. Required with Restore.",
        json_schema_extra=_ATOMIC,
    )
    non_resource_urls: Annotated[list[PlainName], Field(max_length=16)] = Field(
        default=[],
        alias="nonResourceURLs",
        description="Paths of the API server that are no resources.",
        json_schema_extra=_ATOMIC,
    )
    verbs: Annotated[list[PlainVerb], Field(min_length=1, max_length=16)] = Field(
        description="What may be done.", json_schema_extra=_ATOMIC
    )


class SubjectReference(ApiModel):
    """Who: a ServiceAccount, a user or a group."""

    model_config = rules(
        (
            "!has(self.namespace) || self.kind == 'ServiceAccount'",
            "only a ServiceAccount has a namespace: write {kind: Group, name: sre} for a group",
        ),
    )

    kind: Literal["ServiceAccount", "User", "Group"] = Field(description="Kind of subject.")
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name of the subject.")
    namespace: DnsName | None = Field(
        default=None, description="Namespace of a ServiceAccount; the policy's own when left out."
    )


class DesiredClusterRole(ApiModel):
    """The ClusterRole of Kiro's autonomous operations and whom it is bound to."""

    model_config = rules(
        _restoring(
            "has(self.name)", "clusterRole: onDrift: Restore needs a name: write kiro-autonomous-operations"
        ),
        _restoring(
            "self.rules.all(r, r.resources.size() == 0 || has(r.resourceNames))",
            "clusterRole: onDrift: Restore needs resourceNames in each rule: write [] for all objects",
        ),
        _restoring(
            "has(self.subjects)",
            "clusterRole: onDrift: Restore needs subjects: write whom it is bound to, or [] for nobody",
        ),
        _restoring(
            "!has(self.subjects) || self.subjects.all(s, s.kind != 'ServiceAccount' || has(s.namespace))",
            "clusterRole: onDrift: Restore needs each ServiceAccount's namespace: write e.g. kiro-system",
        ),
    )

    name: DnsName = Field(
        default_factory=lambda: "kiro-autonomous-operations",
        description=(
            "Name of the ClusterRole: kiro-autonomous-operations when left out; required with Restore."
        ),
    )
    on_drift: OnDrift = Field(
        default=OnDrift.OBSERVE,
        description=(
            "Observe tells of a difference; Restore asks for RestoreRBAC as well, which stays within the "
            "KiroSafetyBaseline of the same name."
        ),
    )
    rules: Annotated[list[RoleRule], Field(max_length=32)] = Field(
        description="Rules that it is to hold, these and no others.", json_schema_extra=_ATOMIC
    )
    subjects: Annotated[list[SubjectReference], Field(max_length=8)] = Field(
        default_factory=lambda: [SubjectReference(kind="ServiceAccount", name="kiro")],
        description=(
            "Whom it is to be bound to, these and no others; [] for nobody, and ServiceAccount kiro when "
            "left out. Required with Restore, with their namespaces."
        ),
        json_schema_extra=_ATOMIC,
    )


class Permission(ApiModel):
    """One question of kubectl auth can-i."""

    verb: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="The verb, such as create.",
        json_schema_extra=_rule("self.matches('^([a-z]+|[*])$')", "write a verb such as create, or '*'"),
    )
    group: Annotated[str, Field(max_length=253)] = Field(
        default="",
        description='API group of the resource; "" is the core group.',
        json_schema_extra=_rule(
            "self.matches('^([a-z0-9]([-a-z0-9.]*[a-z0-9])?|[*])?$')",
            "write an API group such as apps, or '' for the core group",
        ),
    )
    resource: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="The resource in the plural, such as pods.",
        json_schema_extra=_rule(
            "self.matches('^([a-z][-a-z0-9]*|[*])$')",
            "write a resource in the plural, such as pods, and its subresource in subresource",
        ),
    )
    subresource: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None,
        description="A subresource, such as exec; the resource itself when left out.",
        json_schema_extra=_rule(
            "self.matches('^([a-z][-a-z0-9]*|[*])$')", "write a subresource such as exec"
        ),
    )
    name: Annotated[str, Field(min_length=1, max_length=253)] | None = Field(
        default=None, description="One object; any when left out."
    )
    namespace: Annotated[str, Field(min_length=1, max_length=63)] | None = Field(
        default=None,
        description="A namespace; the policy's own when left out, '*' for all and for what has none.",
        json_schema_extra=_rule(
            "self.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?|[*])$')",
            "write the name of a namespace, or '*' for all of them",
        ),
    )


class Permissions(ApiModel):
    """What a ServiceAccount must be allowed and what it must be denied."""

    service_account: DnsName = Field(
        default="kiro", description="Name of the ServiceAccount, in the policy's namespace."
    )
    must_allow: Annotated[list[Permission], Field(max_length=10)] | None = Field(
        default=None,
        description="What it needs. When left out: create pods. Write [] for nothing.",
        json_schema_extra=_ATOMIC,
    )
    must_deny: Annotated[list[Permission], Field(max_length=10)] | None = Field(
        default=None,
        description=(
            "What it must never have. When left out: secrets, exec, escalate, bind, impersonate, "
            "wildcards. Write [] for nothing."
        ),
        json_schema_extra=_ATOMIC,
    )


class Boundaries(ApiModel):
    """What autonomous operations may touch. What is not listed is outside."""

    model_config = rules(
        (
            "self.risky.all(r, r in self.actions)",
            "boundaries: write each risky action into actions as well",
        ),
    )

    actions: Annotated[list[ActionWord], Field(max_length=32)] = Field(
        description="Actions that may be taken, as the records name them.", json_schema_extra=_SET
    )
    risky: Annotated[list[ActionWord], Field(max_length=32)] = Field(
        description="Those of the actions that have to wait at an approval gate; [] for none.",
        json_schema_extra=_SET,
    )
    kinds: Annotated[list[KindWord], Field(max_length=32)] = Field(
        description="Kinds of objects that may be touched, such as Deployment.", json_schema_extra=_SET
    )
    namespaces: Annotated[list[DnsName], Field(max_length=32)] = Field(
        description="Namespaces in which objects may be touched.", json_schema_extra=_SET
    )
    maximum_change: Annotated[int, Field(ge=0, le=LARGEST_CHANGE)] = Field(
        description="Most that one operation may change, in percent of what was there."
    )


class ApprovalGate(ApiModel):
    """A gate at which actions wait for a person.

    Who may open it is decided by RBAC: the verb approve on kiroapprovals/NAME in kiro.dev.
    """

    name: GateName = Field(
        description="Name of the gate, which RBAC knows as the subresource kiroapprovals/NAME."
    )
    actions: Annotated[list[ActionWord], Field(min_length=1, max_length=32)] = Field(
        description="Actions that wait here, the operator's or those of the boundaries.",
        json_schema_extra=_SET,
    )
    approvers: Annotated[list[SubjectReference], Field(min_length=1, max_length=4)] = Field(
        description="Who is meant to approve; RBAC has to let at least one of them.",
        json_schema_extra=_ATOMIC,
    )


class EscalationTrigger(ApiModel):
    """When a matter goes to another tier of support."""

    model_config = rules(
        (
            "has(self.condition) != has(self.metric)",
            "write one of condition, such as Responsive, and metric, such as kiro_error_rate",
        ),
        (
            "has(self.metric) == (has(self.above) || has(self.below))",
            "a metric needs a threshold and a condition has none: write above or below beside metric",
        ),
        (
            "!(has(self.above) && has(self.below))",
            "write one of above and below, such as above: 0.5",
        ),
    )

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Name, for messages.")
    condition: (
        Literal[
            "Healthy",
            "Responsive",
            "ResponsesAppropriate",
            "AutonomyEffective",
            "SignalsTrustworthy",
            "CostEfficient",
            "PerformanceAdequate",
        ]
        | None
    ) = Field(default=None, description="A condition of the KiroHealthChecks that is False.")
    metric: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None, description="A PromQL expression, such as kiro_error_rate."
    )
    above: Annotated[float, Field(ge=-1e15, le=1e15)] | None = Field(
        default=None, description="Fires while the metric is above this."
    )
    below: Annotated[float, Field(ge=-1e15, le=1e15)] | None = Field(
        default=None, description="Fires while the metric is below this."
    )
    after: Annotated[timedelta, Between("0s", "168h")] = Field(
        description="How long it has to last, without resolution."
    )
    tier: Literal["Tier2", "Tier3", "Management"] = Field(description="Who is called.")


class Escalation(ApiModel):
    """The triggers of escalation."""

    triggers: Annotated[list[EscalationTrigger], Field(max_length=16)] = Field(
        description="All triggers, each of its own name.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
