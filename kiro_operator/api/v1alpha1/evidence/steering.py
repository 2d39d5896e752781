"""Evidence: steering documents and hooks."""

from kiro_operator.api.v1alpha1.types import ApiModel


class SteeringEvidence(ApiModel):
    """Where the evidence on steering documents and hooks is."""
