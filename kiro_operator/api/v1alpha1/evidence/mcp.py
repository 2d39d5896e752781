"""Evidence: MCP servers."""

from kiro_operator.api.v1alpha1.types import ApiModel


class McpEvidence(ApiModel):
    """Where the evidence on MCP servers is."""
