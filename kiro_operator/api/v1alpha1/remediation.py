"""KiroRemediation: one action, from its reservation to its verified outcome.

Its name is derived from the target, the episode and the step, so that creating it is the lock on
that target; its immutable spec holds the fence under which the action may happen once.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from kiro_operator.api.v1alpha1.healthcheck import ActionName, Message, Name, Word
from kiro_operator.api.v1alpha1.types import API_VERSION, ApiModel, Between, rules


class RemediationState(StrEnum):
    """Where an action stands."""

    PROPOSED = "Proposed"
    """A person has to decide on it; nothing is reserved, and nothing has been done."""
    RESERVED = "Reserved"
    """Named and locked; nothing has been done yet."""
    ACTING = "Acting"
    """Its budget is reserved and its request may be on its way."""
    VERIFYING = "Verifying"
    """Done; whether it helped is being watched."""
    SUCCEEDED = "Succeeded"
    """The target stayed well over the stabilization window."""
    FAILED = "Failed"
    """Done, and it did not help within its timeout."""
    DENIED = "Denied"
    """Not done: a gate closed between decision and action."""
    EXPIRED = "Expired"
    """Not done: the target changed, healed or went away first."""


FINAL_STATES = frozenset(
    {
        RemediationState.SUCCEEDED,
        RemediationState.FAILED,
        RemediationState.DENIED,
        RemediationState.EXPIRED,
    }
)


class Method(StrEnum):
    """How an action is carried out."""

    EVICT = "Evict"
    ROLLOUT_RESTART = "RolloutRestart"
    SCALE_UP = "ScaleUp"
    SCALE_BACK = "ScaleBack"
    CREATE = "Create"
    """The object is not there, and is made."""
    PATCH = "Patch"
    """The object is changed by a JSON merge patch (RFC 7386); a workload by a strategic one."""
    ADVISE = "Advise"
    """A person makes the change; the operator never does."""
    EXEC = "Exec"
    """A command is run in a pod."""
    GIVE_BACK = "GiveBack"
    """What Patch has set for a while is set back, likewise."""


LONGEST_CHANGE = 262_144
"""Characters of a change that a record holds."""
WRITES = frozenset({Method.CREATE, Method.PATCH, Method.GIVE_BACK, Method.ADVISE})
"""Methods whose change is written in the record itself, for any kind of object."""


BACK = frozenset({Method.SCALE_BACK, Method.GIVE_BACK})
"""Methods that take an earlier action back: they follow health or time, and are no remedy."""


class TargetReference(ApiModel):
    """The very object acted on."""

    api_version: Word = Field(description="Group and version, such as apps/v1.")
    kind: Word = Field(description="Kind.")
    name: Name = Field(description="Name.")
    uid: Word = Field(description="UID: another object of the same name is another target.")


class ObjectVersion(ApiModel):
    """An object as it was when the action was decided."""

    uid: Word = Field(description="UID.")
    resource_version: Word = Field(description="Resource version.")
    generation: int = Field(
        default=0, ge=0, description="Generation: an unchanged one proves that nobody has acted since."
    )
    intent: Word = Field(
        default="", description="Remediation that last restarted it, from its annotation; empty for none."
    )
    revision: Word = Field(
        default="", description="Of a proposal: the revision of its pod template that was looked at."
    )


class Replicas(ApiModel):
    """A change of replicas."""

    before: int = Field(ge=0, description="Replicas when the action was decided.")
    after: int = Field(ge=0, description="Replicas wanted.")


class Change(ApiModel):
    """A change of an object, exactly."""

    patch: Annotated[str, Field(min_length=2, max_length=LONGEST_CHANGE)] = Field(
        description="JSON: the object to create, or the merge patch to send."
    )
    diff: Message = Field(description="The same for a person, redacted: expected → found.")
    undo: Annotated[str, Field(max_length=LONGEST_CHANGE)] = Field(
        default="",
        description="JSON: the patch that gives back what was there; empty where none is known.",
    )
    revision: Word = Field(
        default="",
        description="Of a Rollback: the earlier revision whose pod template the patch brings back.",
    )


class Command(ApiModel):
    """A command in a container, without a shell."""

    argv: Annotated[list[Annotated[str, Field(max_length=1024)]], Field(min_length=1, max_length=32)] = Field(
        description="Program and arguments, as the operator's flag has them: no other command is run.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    container: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Container of the pod.")


class OwnerName(ApiModel):
    """An object of this namespace, by name and UID."""

    name: Name = Field(description="Name.")
    uid: Word = Field(description="UID.")


class ApprovalUsed(OwnerName):
    """A KiroApproval that let the action through; it lets no other one through."""

    gate: Word = Field(description="The gate at which it was given.")


class GateResult(ApiModel):
    """What one gate said when the action was allowed."""

    gate: Word = Field(description="Name of the gate.")
    message: Message = Field(description="What it saw.")


class KiroRemediationSpec(ApiModel):
    """What is to be done, to what, and why. Immutable."""

    model_config = rules(
        ("self == oldSelf", "spec is immutable: it records what was decided; create another KiroRemediation"),
        (
            "(self.action == 'Restart') == (self.method in ['Evict', 'RolloutRestart'])",
            "spec.method: Restart is done by Evict or RolloutRestart, Scale by ScaleUp or ScaleBack",
        ),
        (
            "(self.action in ['ReconnectMCP', 'ResyncMCP']) == (self.method == 'Exec')",
            "spec.method: write Exec with actions ReconnectMCP and ResyncMCP, and with no other",
        ),
        (
            "(self.method in ['Evict', 'Exec']) == has(self.pod)",
            "spec.pod: name the pod with methods Evict and Exec, and no pod with any other",
        ),
        (
            "(self.method == 'Exec') == has(self.command)",
            "spec.command: write what is run with method Exec, and nothing with any other",
        ),
        (
            "(self.action == 'Scale') == has(self.replicas)",
            "spec.replicas: write e.g. {before: 2, after: 3} with action Scale, and none with any other",
        ),
        (
            "(self.method in ['Create', 'Patch', 'GiveBack', 'Advise']) == has(self.change)",
            "spec.change: write what changes with Create, Patch, GiveBack or Advise, and nothing else",
        ),
    )

    action: ActionName = Field(description="The action.")
    method: Method = Field(description="How it is carried out.")
    target: TargetReference = Field(description="The workload, or bare pod, that the action is for.")
    pod: TargetReference | None = Field(
        default=None, description="The pod to evict, for method Evict, or to run the command in, for Exec."
    )
    replicas: Replicas | None = Field(default=None, description="For the Scale methods.")
    change: Change | None = Field(default=None, description="For the methods Create, Patch and Advise.")
    command: Command | None = Field(default=None, description="For the method Exec.")
    fence: ObjectVersion = Field(description="The object to be changed, as it was when this was decided.")
    health_check: OwnerName = Field(description="The KiroHealthCheck that asked.")
    policy: OwnerName = Field(description="The KiroSafetyPolicy that allowed.")
    check: Word = Field(description="Id of the check that failed.")
    reason: Word = Field(description="Reason of its verdict.")
    message: Message = Field(description="Message of its verdict.")
    episode: int = Field(ge=1, description="Which illness of the target this is, counted from 1.")
    step: int = Field(ge=1, description="Which step of the ladder this is, counted from 1.")
    timeout: Annotated[timedelta, Between("10s", "24h")] = Field(
        description="How long the action has to show sustained health."
    )
    stabilization: Annotated[timedelta, Between("0s", "1h")] = Field(
        description="How long the target must stay well."
    )
    digest: Annotated[str, Field(max_length=64)] = Field(
        default="", description="Digest of the plan, to which approvals are bound."
    )
    approvals: Annotated[list[ApprovalUsed], Field(max_length=32)] = Field(
        default=[],
        description="The KiroApprovals by which the action was allowed, where a person had to decide.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    gates: Annotated[list[GateResult], Field(max_length=32)] = Field(
        default=[],
        description="The gates passed, in order; of a proposal, until it was made.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class KiroRemediationStatus(ApiModel):
    """How far it went."""

    model_config = rules(
        (
            "!(oldSelf.state in ['Succeeded', 'Failed', 'Denied', 'Expired']) || self.state == oldSelf.state",
            "status.state is final: what was done stays on record; create another KiroRemediation",
        ),
    )

    state: RemediationState = Field(default=RemediationState.RESERVED, description="Where it stands.")
    reason: Annotated[str, Field(max_length=128)] = Field(
        default="", description="Why it is in this state, as one CamelCase word, such as Reverted."
    )
    message: Message = Field(default="", description="What came of it.")
    approvals: Annotated[list[ApprovalUsed], Field(max_length=32)] = Field(
        default=[],
        description="Of a proposal: the KiroApprovals by which it was carried out.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    gates: Annotated[list[GateResult], Field(max_length=32)] = Field(
        default=[],
        description="Of a proposal: the gates passed when it was carried out, in order.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    acting_at: datetime | None = Field(default=None, description="When its budget was reserved.")
    acted_at: datetime | None = Field(
        default=None, description="When the API server confirmed the change, or the command ended."
    )
    healthy_since: datetime | None = Field(
        default=None, description="Since when the target has been well again."
    )
    completed_at: datetime | None = Field(default=None, description="When it reached its final state.")


class KiroRemediation(ApiModel):
    """One action on one target: reserved, done, verified, and kept as its own audit record."""

    KIND: ClassVar[str] = "KiroRemediation"
    PLURAL: ClassVar[str] = "kiroremediations"
    SCOPE: ClassVar[str] = "Namespaced"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("krem",)
    # The name says kind and target, so these are for -o wide: what remains fits a screen.
    PRINTER_COLUMNS: ClassVar[tuple[tuple[str, str, str] | tuple[str, str, str, int], ...]] = (
        ("Action", "string", ".spec.method"),
        ("Kind", "string", ".spec.target.kind", 1),
        ("Target", "string", ".spec.target.name", 1),
        ("Check", "string", ".spec.check", 1),
        ("State", "string", ".status.state"),
        ("Reason", "string", ".status.reason", 1),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    SELECTABLE_FIELDS: ClassVar[tuple[str, ...]] = (".spec.target.name", ".status.state")

    spec: KiroRemediationSpec = Field(description="What is to be done, to what, and why.")
    status: KiroRemediationStatus = Field(
        default=KiroRemediationStatus(state=RemediationState.RESERVED), description="How far it went."
    )


__all__ = [
    "API_VERSION",
    "FINAL_STATES",
    "WRITES",
    "KiroRemediation",
    "KiroRemediationSpec",
    "RemediationState",
]
