"""KiroApproval: one person's decision on one plan, at one gate.

The API server vouches for the author: an admission policy compares ``decidedBy`` with who is asking, and
asks RBAC whether that user may approve at the gate. See core/admission.py.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import Field

from kiro_operator.api.v1alpha1.autonomy import GateName
from kiro_operator.api.v1alpha1.types import ApiModel, rules

LONGEST = timedelta(hours=24)
"""How long an approval may last from its creation."""


def _rule(rule: str, message: str) -> dict[str, Any]:
    return {"x-kubernetes-validations": [{"rule": rule, "message": message}]}


class ApprovalDecision(StrEnum):
    """What was decided."""

    APPROVE = "Approve"
    """The plan may be carried out, once, until the approval expires."""
    DENY = "Deny"
    """The plan is never to be carried out."""


class PlanTarget(ApiModel):
    """The very object that the plan is about."""

    kind: Annotated[str, Field(min_length=1, max_length=128)] = Field(description="Kind.")
    name: Annotated[str, Field(min_length=1, max_length=253)] = Field(description="Name.")
    uid: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="UID: another object of the same name is another target."
    )


class PlanReference(ApiModel):
    """The plan that was decided on, as status.decisions[].approval of the KiroHealthCheck shows it."""

    digest: Annotated[
        str,
        Field(
            max_length=64,
            json_schema_extra=_rule(
                "self.matches('^[0-9a-f]{64}$')",
                "write the 64 digits of status.decisions[].approval.digest of the KiroHealthCheck",
            ),
        ),
    ] = Field(description="Digest of the plan: any other plan needs a decision of its own.")
    target: PlanTarget = Field(description="The object that it is about.")


class KiroApprovalSpec(ApiModel):
    """Who decided what, on which plan, at which gate and until when. Immutable."""

    model_config = rules(
        ("self == oldSelf", "spec is immutable: it records what was decided; create another KiroApproval"),
    )

    gate: GateName = Field(description="The gate, which RBAC knows as the subresource kiroapprovals/NAME.")
    decision: ApprovalDecision = Field(description="Approve or Deny; a denial is final for its plan.")
    decided_by: Annotated[str, Field(min_length=1, max_length=253)] = Field(
        description="Name of the user who decides, as kubectl auth whoami tells it."
    )
    reason: Annotated[str, Field(min_length=1, max_length=512)] = Field(
        description="Why, for whoever reads it later."
    )
    plan: PlanReference = Field(description="The plan that is decided on.")
    expires_at: datetime = Field(
        description="When an approval ends, at most 24 hours after its creation; a denial does not end."
    )


class KiroApproval(ApiModel):
    """A person's decision on one plan of the operator, at one gate."""

    KIND: ClassVar[str] = "KiroApproval"
    PLURAL: ClassVar[str] = "kiroapprovals"
    SCOPE: ClassVar[str] = "Namespaced"
    SHORT_NAMES: ClassVar[tuple[str, ...]] = ("kappr",)
    PRINTER_COLUMNS: ClassVar[tuple[tuple[str, str, str] | tuple[str, str, str, int], ...]] = (
        ("Gate", "string", ".spec.gate"),
        ("Decision", "string", ".spec.decision"),
        ("By", "string", ".spec.decidedBy"),
        ("Target", "string", ".spec.plan.target.name"),
        ("Expires", "string", ".spec.expiresAt"),
        ("Plan", "string", ".spec.plan.digest", 1),
        ("Reason", "string", ".spec.reason", 1),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    SELECTABLE_FIELDS: ClassVar[tuple[str, ...]] = (".spec.gate", ".spec.decision")

    spec: KiroApprovalSpec = Field(description="Who decided what, on which plan and until when.")
