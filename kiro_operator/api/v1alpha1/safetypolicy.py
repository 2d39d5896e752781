"""KiroSafetyPolicy: what the operator may do by itself, how much, and when.

No optional field widens. Each field is either required as soon as the mode is Enforce, or its
absence is the narrowest value there is, so that a misspelt field, which a lenient client has the
API server drop in silence, is refused or narrows what may be done.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import (
    ApprovalGate,
    Boundaries,
    DesiredClusterRole,
    DesiredConfig,
    DetailedLogging,
    Escalation,
    Permissions,
    Switch,
)
from kiro_operator.api.v1alpha1.conditions import Condition
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS_CEL, ActionName, Message, Name
from kiro_operator.api.v1alpha1.types import (
    ApiModel,
    Between,
    LabelSelector,
    Percent,
    not_above,
    rules,
)

MOST_REPLICAS = 1000
LONGEST_STEP = 100
"""Replicas added at a time."""


class Mode(StrEnum):
    """How far the operator may go."""

    OBSERVE = "Observe"
    """Judge and report; plan nothing."""
    DRY_RUN = "DryRun"
    """Plan, and say what would be done."""
    ENFORCE = "Enforce"
    """Act."""


class Budget(ApiModel):
    """At most so many actions within a sliding window."""

    limit: int = Field(ge=0, le=100, description="Actions that may start within the window.")
    window: Annotated[timedelta, Between("1m", "168h")] = Field(description="Length of the window.")


class Backoff(ApiModel):
    """Waiting time between actions on one target, doubled after each that did not help."""

    model_config = rules(
        (
            not_above("initial", "maximum"),
            "backoff: initial must not be above maximum; write e.g. {initial: 5m, maximum: 1h}",
        ),
    )

    initial: Annotated[timedelta, Between("0s", "24h")] = Field(
        description="Wait after the first action that did not help."
    )
    maximum: Annotated[timedelta, Between("0s", "168h")] = Field(description="Longest wait.")


class ActionPolicy(ApiModel):
    """Permission for one action. An action that is not listed is not allowed."""

    model_config = rules(
        (
            f"!has(self.approval) || self.approval == 'Manual' || !(self.name in {PROPOSALS_CEL})",
            "actions: a person decides on each proposal, such as RightSize; write approval: Manual",
        ),
    )

    name: ActionName = Field(description="The action allowed.")
    approval: Literal["Automatic", "Manual"] = Field(
        default="Manual",
        description="Automatic acts by itself; Manual waits for a KiroApproval.",
    )
    budget: Budget = Field(description="Budget of this action over all targets of the namespace.")


class ScaleLimits(ApiModel):
    """Bounds of the action Scale, for each workload."""

    model_config = rules(
        (
            "self.floor <= self.ceiling",
            "scale: floor must not be above ceiling; write e.g. {floor: 1, ceiling: 5, step: 1}",
        ),
    )

    floor: int = Field(ge=1, le=MOST_REPLICAS, description="Fewest replicas that scaling back may leave.")
    ceiling: int = Field(ge=1, le=MOST_REPLICAS, description="Most replicas that scaling may reach.")
    step: int = Field(ge=1, le=LONGEST_STEP, description="Replicas added at a time.")


def _cron_field(value: str) -> str:
    item = f"([*]|{value}(-{value})?)(/[1-9][0-9]?)?"
    return f"{item}(,{item})*"


_CRON = " +".join(
    _cron_field(value)
    for value in (
        "[0-5]?[0-9]",
        "([01]?[0-9]|2[0-3])",
        "(0?[1-9]|[12][0-9]|3[01])",
        "(0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)",
        "([0-7]|SUN|MON|TUE|WED|THU|FRI|SAT)",
    )
)


class Window(ApiModel):
    """A recurring span of time."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Name, for messages.")
    schedule: Annotated[str, Field(min_length=9, max_length=128)] = Field(
        description="When it opens: five cron fields, such as 0 22 * * 5.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": f"self.matches('^{_CRON}$')",
                    "message": "write five cron fields: minute hour day month weekday, such as 0 22 * * 5",
                }
            ]
        },
    )
    duration: Annotated[timedelta, Between("1m", "168h")] = Field(description="How long it stays open.")
    time_zone: Annotated[str, Field(min_length=1, max_length=64)] = Field(
        description="IANA time zone, such as Europe/Berlin or UTC.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self.matches('^(UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)+)$')",
                    "message": "write an IANA time zone such as Europe/Berlin or UTC, no abbreviation",
                }
            ]
        },
    )


_RANGE = "^[[](0|[1-9][0-9]{0,4})-(0|[1-9][0-9]{0,4})[]]$"


class Protected(ApiModel):
    """Objects that are never acted on, beside those annotated kiro.dev/protected."""

    selectors: Annotated[list[LabelSelector], Field(max_length=16)] = Field(
        description="Workloads or pods that match any of these; [] for none, an empty selector for all.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class DisruptionConsent(StrEnum):
    """Disruptions that need an owner's consent, because nothing serves while they last."""

    SINGLE_REPLICA = "SingleReplica"
    RECREATE = "Recreate"


def _enforced(field: str, advice: str) -> tuple[str, str]:
    return (
        f"!has(self.mode) || self.mode != 'Enforce' || has(self.{field})",
        f"spec.{field} is required in mode Enforce: {advice}",
    )


def _listed(action: str, field: str, advice: str) -> tuple[str, str]:
    return (
        f"!has(self.actions) || !self.actions.exists(a, a.name == '{action}') || has(self.{field})",
        f"spec.{field} is required when actions has {action}: {advice}",
    )


_APART = (
    "!has(self.detailedLogging) || !has(self.containment) "
    "|| self.detailedLogging.configMap != self.containment.configMap"
)
_NOT_DESIRED = (
    "!has(self.detailedLogging) || !has(self.safetyConfig) "
    "|| self.detailedLogging.configMap "
    "!= (has(self.safetyConfig.name) ? self.safetyConfig.name : 'kiro-safety-config')"
)


class KiroSafetyPolicySpec(ApiModel):
    """Desired state of a KiroSafetyPolicy. The empty spec is a dry run that allows nothing."""

    model_config = rules(
        _enforced("budget", "write e.g. {limit: 3, window: 1h}, the budget over all actions"),
        _enforced("cooldown", "write e.g. 5m, the least time between two actions on one target"),
        _enforced("backoff", "write e.g. {initial: 5m, maximum: 1h}"),
        _enforced("maxConsecutiveFailures", "write e.g. 3, after which a person is needed"),
        _enforced("stormCooldown", "write e.g. 10m, how long nothing is done after a mass failure is over"),
        _enforced("forbiddenWindows", "write [] when there is no time at which acting is forbidden"),
        _enforced("maintenanceWindows", "write [] when any time will do"),
        _enforced("pauseRequests", "write [] when nothing pauses it"),
        _enforced("protected", "write {selectors: []} when only annotated objects are protected"),
        (
            (
                "!has(self.mode) || self.mode != 'Enforce' || "
                "has(self.minHealthy) || has(self.maxUnhealthy) || has(self.unhealthyRange)"
            ),
            (
                "spec.minHealthy, spec.maxUnhealthy or spec.unhealthyRange is required in mode Enforce: "
                "write e.g. maxUnhealthy: 40%"
            ),
        ),
        (
            (
                "[has(self.minHealthy), has(self.maxUnhealthy), has(self.unhealthyRange)]"
                ".filter(given, given).size() <= 1"
            ),
            "spec: write one of minHealthy, maxUnhealthy and unhealthyRange, such as maxUnhealthy: 40%",
        ),
        _listed("Scale", "scale", "write e.g. {floor: 1, ceiling: 5, step: 1}"),
        _listed("ChangeAutoscaling", "scale", "write e.g. {floor: 1, ceiling: 5, step: 1}"),
        _listed("Contain", "containment", "write {configMap: …, key: …, value: …}, which suspend operations"),
        _listed(
            "DetailedLogging", "detailedLogging", "write {configMap: …, key: …, value: …, duration: 15m}"
        ),
        (
            _APART,
            "spec.detailedLogging.configMap: write another than spec.containment has, which must not wait",
        ),
        (
            _NOT_DESIRED,
            "spec.detailedLogging.configMap: write another than spec.safetyConfig has, which is restored",
        ),
    )

    mode: Mode = Field(default=Mode.DRY_RUN, description="Observe, DryRun or Enforce.")
    actions: Annotated[list[ActionPolicy], Field(max_length=24)] = Field(
        default=[],
        description="Actions allowed. One that is not listed is not allowed.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    budget: Budget | None = Field(default=None, description="Budget over all actions of the namespace.")
    cooldown: Annotated[timedelta, Between("0s", "168h")] | None = Field(
        default=None, description="Least time between two actions on one target."
    )
    backoff: Backoff | None = Field(
        default=None, description="Growing wait on one target after actions that did not help."
    )
    max_consecutive_failures: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Actions in a row that did not help one target before a person is needed."
    )
    min_healthy: Percent | None = Field(
        default=None,
        description="Pods of the namespace, a number or a share, that must be healthy for any action.",
    )
    max_unhealthy: Percent | None = Field(
        default=None,
        description="Pods of the namespace, a number or a share, that may be unhealthy for any action.",
    )
    unhealthy_range: (
        Annotated[
            str,
            Field(
                max_length=16,
                json_schema_extra={
                    "x-kubernetes-validations": [
                        {
                            "rule": (
                                f"self.matches('{_RANGE}') && int(self.substring(1, self.indexOf('-'))) <= "
                                "int(self.substring(self.indexOf('-') + 1, self.size() - 1))"
                            ),
                            "message": "write a range of pods such as [1-3], the smaller number first",
                        }
                    ]
                },
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="How many pods of the namespace have to be unhealthy for any action, such as [1-3].",
    )
    storm_cooldown: Annotated[timedelta, Between("0s", "24h")] | None = Field(
        default=None,
        description="How long a mass failure (beyond that bound) must be over for any action.",
    )
    scale: ScaleLimits | None = Field(default=None, description="Bounds of the action Scale.")
    forbidden_windows: Annotated[list[Window], Field(max_length=32)] | None = Field(
        default=None,
        description="Times at which nothing is done.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    maintenance_windows: Annotated[list[Window], Field(max_length=32)] | None = Field(
        default=None,
        description="Times at which alone anything is done; [] for any time.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    pause_requests: (
        Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=16)] | None
    ) = Field(
        default=None,
        description="Reasons to pause; while there is one, nothing is done.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    protected: Protected | None = Field(default=None, description="Objects that are never acted on.")
    consent: Annotated[list[DisruptionConsent], Field(max_length=2)] = Field(
        default=[],
        description="Disruptions agreed to: SingleReplica, Recreate; other such workloads are left alone.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    containment: Switch | None = Field(
        default=None, description="What the action Contain sets; required with it, for nothing is guessed."
    )
    detailed_logging: DetailedLogging | None = Field(
        default=None, description="What the action DetailedLogging sets for a while; required with it."
    )
    # What follows is held against what is there. It allows the operator nothing.
    safety_config: DesiredConfig | None = Field(
        default=None, description="What the ConfigMap kiro-safety-config is to hold; not judged without."
    )
    cluster_role: DesiredClusterRole | None = Field(
        default=None,
        description="What the ClusterRole kiro-autonomous-operations is to hold; not judged without.",
    )
    permissions: Permissions | None = Field(
        default=None,
        description="What Kiro's ServiceAccount must be allowed and denied; the defaults hold without.",
    )
    boundaries: Boundaries | None = Field(
        default=None, description="What autonomous operations may touch; not judged without."
    )
    approval_gates: Annotated[list[ApprovalGate], Field(max_length=8)] = Field(
        default=[],
        description=(
            "Gates at which actions wait for a person, and who is meant to approve. A Manual action of "
            "the operator that none of them lists waits at operator-approver."
        ),
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
    escalation: Escalation | None = Field(
        default=None, description="When a matter goes to another tier; not judged without."
    )


RESERVATIONS = 200
"""Those that a status can hold: twice what the largest budget allows, so that the newest decide."""


class Reservation(ApiModel):
    """One action that counts against the budget."""

    remediation: Name = Field(description="Name of the KiroRemediation.")
    action: ActionName = Field(description="Its action.")
    time: datetime = Field(description="When it was reserved.")


class Storm(ApiModel):
    """A mass failure: more pods of the namespace fail, or have just failed, than the policy agrees to."""

    since: datetime = Field(description="When it was first seen.")
    subsided: datetime | None = Field(
        default=None, description="Since when no more fail than the policy agrees to; absent while they do."
    )


class KiroSafetyPolicyStatus(ApiModel):
    """Observed state of a KiroSafetyPolicy. Reservations are rebuilt from KiroRemediations."""

    observed_generation: int = Field(
        default=0, ge=-1, description="Generation that was read; -1 before the first look."
    )
    conditions: Annotated[list[Condition], Field(max_length=16)] = Field(
        default=[],
        description="Conditions, by type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    reservations: Annotated[list[Reservation], Field(max_length=RESERVATIONS)] = Field(
        default=[],
        description="Actions of the widest budget window.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["remediation"]},
    )
    storm: Storm | None = Field(
        default=None,
        description="A mass failure that lasts, or is not over for stormCooldown; absent without one.",
    )
    used: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Budget used of the budget given, for the printer column."
    )
    message: Message = Field(default="", description="What the policy amounts to now.")


class KiroSafetyPolicy(ApiModel):
    """What the operator may do by itself in this namespace, how much, and when."""

    model_config = rules(
        ("self.metadata.name.size() <= 63", "metadata.name: use 63 characters or fewer"),
    )

    KIND: ClassVar[str] = "KiroSafetyPolicy"
    PLURAL: ClassVar[str] = "kirosafetypolicies"
    SCOPE: ClassVar[str] = "Namespaced"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("ksp",)
    PRINTER_COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Mode", "string", ".spec.mode"),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        ("Used", "string", ".status.used"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    SELECTABLE_FIELDS: ClassVar[tuple[str, ...]] = (".spec.mode",)

    spec: KiroSafetyPolicySpec = Field(default=KiroSafetyPolicySpec(), description="Desired state.")
    status: KiroSafetyPolicyStatus = Field(
        default=KiroSafetyPolicyStatus(observed_generation=-1), description="Observed state."
    )
