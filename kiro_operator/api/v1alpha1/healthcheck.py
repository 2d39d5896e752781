"""KiroHealthCheck: which checks run in this namespace, how often, and what they found."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.conditions import Condition
from kiro_operator.api.v1alpha1.evidence.autonomy import AutonomyEvidence
from kiro_operator.api.v1alpha1.evidence.aws import AwsEvidence
from kiro_operator.api.v1alpha1.evidence.logs import LogsEvidence
from kiro_operator.api.v1alpha1.evidence.mcp import McpEvidence
from kiro_operator.api.v1alpha1.evidence.optimization import OptimizationEvidence
from kiro_operator.api.v1alpha1.evidence.prices import PricesEvidence
from kiro_operator.api.v1alpha1.evidence.prometheus import AlertmanagerEvidence, PrometheusEvidence
from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.api.v1alpha1.evidence.steering import SteeringEvidence
from kiro_operator.api.v1alpha1.types import ApiModel, Between, LabelSelector, LocalReference, rules

Message = Annotated[str, Field(max_length=1024)]
Word = Annotated[str, Field(max_length=128)]
Name = Annotated[str, Field(max_length=253)]


class ActionName(StrEnum):
    """What the operator can do, each granted by its own entry in a KiroSafetyPolicy."""

    RESTART = "Restart"
    SCALE = "Scale"
    RECONNECT_MCP = "ReconnectMCP"
    RESYNC_MCP = "ResyncMCP"
    RESTORE_SAFETY_CONFIG = "RestoreSafetyConfig"
    RESTORE_RBAC = "RestoreRBAC"
    RESTORE_STEERING = "RestoreSteering"
    CONTAIN = "Contain"
    DETAILED_LOGGING = "DetailedLogging"
    RIGHT_SIZE = "RightSize"
    CHANGE_AUTOSCALING = "ChangeAutoscaling"
    REMOVE_UNUSED = "RemoveUnused"
    CHANGE_BOUNDARY = "ChangeBoundary"
    EDIT_STEERING = "EditSteering"
    CHANGE_THRESHOLD = "ChangeThreshold"
    ROLLBACK = "Rollback"
    CHANGE_OPTIMIZATION = "ChangeOptimization"


PROPOSALS = frozenset(
    {
        ActionName.RIGHT_SIZE,
        ActionName.CHANGE_AUTOSCALING,
        ActionName.REMOVE_UNUSED,
        ActionName.CHANGE_BOUNDARY,
        ActionName.EDIT_STEERING,
        ActionName.CHANGE_THRESHOLD,
        ActionName.ROLLBACK,
        ActionName.CHANGE_OPTIMIZATION,
    }
)
"""Actions that a person decides on, each time, whatever a policy says."""
PROPOSALS_CEL = f"[{', '.join(repr(action.value) for action in sorted(PROPOSALS))}]"
"""The same as a list of CEL."""
COMMANDS = frozenset({ActionName.RECONNECT_MCP, ActionName.RESYNC_MCP})
"""Actions that are a command of the admin's, run in a pod."""
LADDER = (ActionName.RECONNECT_MCP, ActionName.RESYNC_MCP, ActionName.RESTART, ActionName.SCALE)
"""The ladder where none is written: the mildest first. What cannot help is passed over."""


class CheckSettings(ApiModel):
    """Settings of one check; what is left out keeps the check's own default."""

    id: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="Id of the check, such as pods-ready. docs/checks/ lists them."
    )
    enabled: bool = Field(default=True, description="False skips this check.")
    interval: Annotated[timedelta, Between("5s", "24h")] | None = Field(
        default=None, description="How often a polled check samples; spec.interval when left out."
    )
    fail_after: Annotated[timedelta, Between("0s", "24h")] | None = Field(
        default=None, description="How long a watched fault must last before the check fails."
    )
    recover_after: Annotated[timedelta, Between("0s", "24h")] | None = Field(
        default=None, description="How long a watched check must be well before it passes again."
    )
    failure_threshold: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Samples in a row that must fail before a polled check fails."
    )
    success_threshold: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Samples in a row that must pass before a polled check passes again."
    )
    parameters: dict[str, Any] = Field(
        default={},
        description=(
            "Thresholds of this check by name. One that the check does not know makes the "
            "KiroHealthCheck Stalled, with the names it does know."
        ),
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True, "maxProperties": 32},
    )


class LadderStep(ApiModel):
    """One step of the remediation ladder."""

    model_config = rules(
        (
            f"!(self.action in {PROPOSALS_CEL})",
            "ladder: a person decides on that, so it is no step; write it in actions of the KiroSafetyPolicy",
        ),
    )

    action: ActionName = Field(description="What to try.")
    timeout: Annotated[timedelta, Between("10s", "24h")] = Field(
        default=timedelta(minutes=5),
        description="How long the action has to show sustained health before the next step is due.",
    )


class Remediation(ApiModel):
    """What may be tried when a check fails. The KiroSafetyPolicy decides whether it may."""

    ladder: Annotated[list[LadderStep], Field(max_length=8)] = Field(
        default=[LadderStep(action=action) for action in LADDER],
        description="Steps in order; the next one only when the last did not help. Empty: none.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    stabilization: Annotated[timedelta, Between("0s", "1h")] = Field(
        default=timedelta(seconds=30),
        description="How long the target must stay well before an action counts as a success.",
    )
    scale_back_after: Annotated[timedelta, Between("10s", "168h")] = Field(
        default=timedelta(minutes=10),
        description="How long a workload that was scaled up must stay well before it is scaled back.",
    )


_RECORDS = RecordsEvidence()


class KiroHealthCheckSpec(ApiModel):
    """Desired state of a KiroHealthCheck. The empty spec observes and does nothing else."""

    suspend: bool = Field(default=False, description="True stops checks and actions; status stays as it is.")
    interval: Annotated[timedelta, Between("5s", "24h")] = Field(
        default=timedelta(minutes=1), description="How often polled checks sample."
    )
    selector: LabelSelector = Field(
        default=LabelSelector(),
        description="Pods and workloads of this namespace that are judged; empty means all of them.",
    )
    safety_policy_ref: LocalReference | None = Field(
        default=None,
        description="The KiroSafetyPolicy that allows actions. Without one the operator only observes.",
    )
    checks: Annotated[list[CheckSettings], Field(max_length=128)] = Field(
        default=[],
        description="Settings by check. A check that is not listed runs with its defaults.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"]},
    )
    remediation: Remediation = Field(default=Remediation(), description="The remediation ladder.")
    logs: LogsEvidence = Field(default=LogsEvidence(), description="Bounds of what is read of logs.")
    # Left out it stays left out: the defaults of forty fields would fill every object that is stored.
    records: RecordsEvidence | None = Field(
        default=None, description="Which fields hold what in the records that Kiro logs."
    )
    prometheus: PrometheusEvidence | None = Field(
        default=None, description="Where Prometheus is; the checks that ask it are skipped without."
    )
    alertmanager: AlertmanagerEvidence | None = Field(
        default=None, description="Where Alertmanager is; the checks that ask it are skipped without."
    )
    mcp: McpEvidence | None = Field(
        default=None, description="The MCP servers; the checks on them are skipped without."
    )
    steering: SteeringEvidence | None = Field(
        default=None, description="Where steering documents and hooks are; their checks are skipped without."
    )
    autonomy: AutonomyEvidence = Field(
        default=AutonomyEvidence(), description="What is to be known of autonomous operations."
    )
    aws: AwsEvidence | None = Field(
        default=None, description="The AWS account; the checks on it are skipped without."
    )
    prices: PricesEvidence | None = Field(
        default=None, description="What resources cost; without, waste is told in cores and bytes only."
    )
    optimization: OptimizationEvidence | None = Field(
        default=None,
        description="What Kiro optimizes by; without, no change of it is proposed.",
    )

    @property
    def record_fields(self) -> RecordsEvidence:
        """How records are read, set or not."""
        return self.records or _RECORDS


class ObjectName(ApiModel):
    """An object of this namespace."""

    kind: Word = Field(description="Kind of the object.")
    name: Name = Field(description="Name of the object.")


class FoundObject(ObjectName):
    """An object that a check has found something of."""

    since: datetime | None = Field(
        default=None,
        description="Since when it is found without a break, where missed-opportunities asks for it.",
    )


class CheckStatus(ApiModel):
    """The verdict of one check."""

    id: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Id of the check.")
    status: Literal["Pass", "Warn", "Fail", "Unknown", "Skipped"] = Field(description="The verdict.")
    reason: Word = Field(description="Why, as one CamelCase word.")
    message: Message = Field(description="Why, for a person, naming the objects.")
    since: datetime = Field(description="When the verdict last changed its status or reason.")
    began: datetime | None = Field(
        default=None, description="When the fault was first seen, only while the check fails."
    )
    observed: Word | None = Field(default=None, description="What was measured.")
    threshold: Word | None = Field(default=None, description="What it was held against.")
    command: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="What shows a person the same, where there is something to see."
    )
    objects: Annotated[list[FoundObject], Field(max_length=10)] = Field(
        default=[],
        description="The first ten objects concerned.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    object_count: int = Field(default=0, ge=0, description="How many objects are concerned.")


class ObjectIdentity(ObjectName):
    """The very object of this namespace."""

    uid: Word = Field(description="UID.")


class GateState(ApiModel):
    """What has been decided at one gate."""

    gate: Word = Field(description="Name of the gate; it takes the verb approve on kiroapprovals/NAME.")
    state: Literal["Waiting", "Approved", "Denied"] = Field(description="What was decided so far.")
    approval: Name = Field(default="", description="The KiroApproval that says so; empty while it waits.")


class ApprovalRequest(ApiModel):
    """The plan that a person has to decide on, with all that a KiroApproval has to name."""

    digest: Word = Field(description="Digest of the plan, for spec.plan.digest of the KiroApproval.")
    change: Annotated[str, Field(max_length=1024)] = Field(description="What exactly would be done.")
    target: ObjectIdentity = Field(description="For spec.plan.target of the KiroApproval.")
    since: datetime = Field(
        description="Since when the target has been in need, well for a moment or not: part of the plan."
    )
    gates: Annotated[list[GateState], Field(max_length=16)] = Field(
        description="The gates at which it waits, each for a KiroApproval; none while nobody is asked.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class Decision(ApiModel):
    """What the policy says of one wanted action."""

    action: ActionName = Field(description="The action wanted.")
    target: ObjectName = Field(description="What it would act on.")
    check: Word = Field(description="Id of the check that asks for it.")
    decision: Literal["Allowed", "Denied", "DryRun"] = Field(description="What was decided.")
    gate: Word = Field(description="The gate that decided.")
    reason: Word = Field(description="Why, as one CamelCase word.")
    message: Message = Field(description="Why, for a person.")
    until: datetime | None = Field(default=None, description="When the decision may change by itself.")
    approval: ApprovalRequest | None = Field(
        default=None, description="What a person has to decide on, or was asked when approval was Manual."
    )


class Asked(ApiModel):
    """A need that a person was asked about: what was decided on is bound to its time."""

    uid: Annotated[str, Field(max_length=128)] = Field(description="UID of the object in need.")
    since: datetime = Field(description="Since when it has been: part of the plan, in whole seconds.")
    check: Word = Field(description="Id of the check that asked last.")
    back: bool = Field(default=False, description="It is well, and may give back what was added to it.")


class RemediationSummary(ApiModel):
    """One of the last actions; the KiroRemediation of that name tells all."""

    name: Name = Field(description="Name of the KiroRemediation.")
    action: ActionName = Field(description="What was done.")
    method: Word = Field(description="How it was done.")
    target: ObjectName = Field(description="What was acted on.")
    state: Word = Field(description="State of the KiroRemediation.")
    message: Message = Field(description="What came of it.")
    time: datetime = Field(description="When it reached this state.")


class KiroHealthCheckStatus(ApiModel):
    """Observed state of a KiroHealthCheck; written on transitions only."""

    observed_generation: int = Field(
        default=0, ge=-1, description="Generation that was judged; -1 before the first look."
    )
    conditions: Annotated[list[Condition], Field(max_length=32)] = Field(
        default=[],
        description="Conditions, by type.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    failing: Annotated[str, Field(max_length=256)] = Field(
        default="", description="Ids of the failing checks, for the printer column."
    )
    last_action: Annotated[str, Field(max_length=256)] = Field(
        default="", description="The last action and its state, for the printer column."
    )
    checks: Annotated[list[CheckStatus], Field(max_length=128)] = Field(
        default=[],
        description="Verdicts, by check.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    decisions: Annotated[list[Decision], Field(max_length=10)] = Field(
        default=[],
        description=(
            "Actions wanted now and what the policy says of each, the first ten. Those that a person decides "
            "on come first."
        ),
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    asked: Annotated[list[Asked], Field(max_length=100)] = Field(
        default=[],
        description="What a person was asked about and is still in need, shown among the decisions or not.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    decision_count: int = Field(default=0, ge=0, description="How many actions are wanted now.")
    remediations: Annotated[list[RemediationSummary], Field(max_length=5)] = Field(
        default=[],
        description="The last five actions, newest first.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    last_handled_reconcile_at: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Value of the annotation kiro.dev/requestedAt that was handled last."
    )


class KiroHealthCheck(ApiModel):
    """Judges the Kiro platform of its own namespace by the documented checks."""

    model_config = rules(
        ("self.metadata.name.size() <= 63", "metadata.name: use 63 characters or fewer"),
    )

    KIND: ClassVar[str] = "KiroHealthCheck"
    PLURAL: ClassVar[str] = "kirohealthchecks"
    SCOPE: ClassVar[str] = "Namespaced"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("khc",)
    PRINTER_COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        ("Healthy", "string", '.status.conditions[?(@.type=="Healthy")].status'),
        ("Failing", "string", ".status.failing"),
        ("Last action", "string", ".status.lastAction"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    SELECTABLE_FIELDS: ClassVar[tuple[str, ...]] = ()

    spec: KiroHealthCheckSpec = Field(default=KiroHealthCheckSpec(), description="Desired state.")
    # Until the first look the status says so: otherwise whoever waits by kstatus' rules would take
    # an object without any status for one that is done.
    status: KiroHealthCheckStatus = Field(
        default=KiroHealthCheckStatus(observed_generation=-1), description="Observed state."
    )
