"""Condition types and reasons: the words that users and pipelines wait on.

The semantics of Ready, Reconciling and Stalled are kstatus' own; an unhealthy Kiro never makes
them False, because a GitOps pipeline that waits for this object waits for the operator's work on
it, not for the platform's health.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel


class ConditionType(StrEnum):
    """Condition types of a KiroHealthCheck and a KiroSafetyPolicy."""

    READY = "Ready"
    """True: the operator has done its work for this generation."""
    RECONCILING = "Reconciling"
    """Present and True only while work for this generation is under way."""
    STALLED = "Stalled"
    """Present and True only when the spec cannot be acted on, and the message says what to change, or when
    the operator itself is at fault."""
    HEALTHY = "Healthy"
    """True: no check fails; False: at least one does; Unknown: no answer could be had."""
    RESPONSIVE = "Responsive"
    """As Healthy, for the checks of the symptom responsiveness."""
    RESPONSES_APPROPRIATE = "ResponsesAppropriate"
    """As Healthy, for the checks of the symptom response-quality."""
    AUTONOMY_EFFECTIVE = "AutonomyEffective"
    """As Healthy, for the checks of the symptom autonomous-operations."""
    SIGNALS_TRUSTWORTHY = "SignalsTrustworthy"
    """As Healthy, for the checks of the symptom signal-quality."""
    COST_EFFICIENT = "CostEfficient"
    """As Healthy, for the checks of the symptom cost-efficiency."""
    PERFORMANCE_ADEQUATE = "PerformanceAdequate"
    """As Healthy, for the checks of the symptom performance."""
    OBSERVED = "Observed"
    """False: one or more checks could not be observed for longer than the grace."""
    REMEDIATION_ALLOWED = "RemediationAllowed"
    """False: the operator may not act now, and the reason says which gate."""
    ESCALATED = "Escalated"
    """True: a person is needed, and the message says why."""


class Condition(ApiModel):
    """A metav1.Condition, with the bounds this API keeps to."""

    type: Annotated[str, Field(max_length=316)] = Field(description="Condition type, in CamelCase.")
    status: Literal["True", "False", "Unknown"] = Field(description="True, False or Unknown.")
    observed_generation: int = Field(default=0, ge=0, description="Generation the condition speaks of.")
    last_transition_time: datetime = Field(description="When the status last changed.")
    reason: Annotated[str, Field(min_length=1, max_length=128)] = Field(
        description="Why, as one CamelCase word."
    )
    message: Annotated[str, Field(max_length=1024)] = Field(description="Why, for a person.")
