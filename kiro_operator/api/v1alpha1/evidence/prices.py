"""Evidence: prices of resources."""

from kiro_operator.api.v1alpha1.types import ApiModel


class PricesEvidence(ApiModel):
    """Where the evidence on prices of resources is."""
