"""Evidence: autonomous operations."""

from kiro_operator.api.v1alpha1.types import ApiModel


class AutonomyEvidence(ApiModel):
    """Where the evidence on autonomous operations is."""
