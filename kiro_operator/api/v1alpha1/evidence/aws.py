"""Evidence: the AWS account."""

from kiro_operator.api.v1alpha1.types import ApiModel


class AwsEvidence(ApiModel):
    """Where the evidence on the AWS account is."""
