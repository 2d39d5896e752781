"""How much of the logs is read."""

from typing import Annotated

from pydantic import Field

from kiro_operator.api.v1alpha1.types import ApiModel


class LogsEvidence(ApiModel):
    """Bounds of what is read of the selected containers' logs, once for all checks that read them."""

    containers: Annotated[list[Annotated[str, Field(max_length=63)]], Field(max_length=32)] = Field(
        default=[],
        description="Names of the containers to read; [] for all.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )
    limit_bytes: Annotated[int, Field(ge=1024, le=4_194_304)] = Field(
        default=262_144, description="Bytes read of one container in one interval."
    )
    max_lines: Annotated[int, Field(ge=10, le=20_000)] = Field(
        default=2000, description="Lines read of one container in one interval."
    )
