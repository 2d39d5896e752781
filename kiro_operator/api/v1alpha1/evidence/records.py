"""Evidence: records in logs."""

from kiro_operator.api.v1alpha1.types import ApiModel


class RecordsEvidence(ApiModel):
    """Where the evidence on records in logs is."""
