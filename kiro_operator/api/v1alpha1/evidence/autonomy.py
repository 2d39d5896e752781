"""Evidence: autonomous operations."""

from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.endpoint import Endpoint
from kiro_operator.api.v1alpha1.types import ApiModel


class NamedEndpoint(Endpoint):
    """Something that autonomous operations depend on."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="Name, for messages.")


class AutonomyEvidence(ApiModel):
    """Where the evidence on autonomous operations is."""

    endpoints: Annotated[list[NamedEndpoint], Field(max_length=16)] = Field(
        default=[],
        description="What autonomous operations must be able to reach over HTTP.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
    )
