"""Volumes and the nodes' own file systems, by how full they are."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class StorageUsageParameters(SeriesParameters):
    """Thresholds of storage-usage."""

    query: Expression = Field(
        default='kiro_volume_utilization{namespace="$namespace"} or kiro_node_filesystem_utilization',
        description=(
            "PromQL: how full each volume and file system is, from 0 to 1; $namespace is the "
            "KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=1, le=100)] = Field(
        default=85, description="Share of the storage in use, in percent, above which it is too much."
    )
    floor: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50,
        description="Storage use, in percent, below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="storage use",
        reason="StorageHigh",
        advice="delete what is not needed, or enlarge it",
    ),
    StorageUsageParameters,
    title="Volumes and file systems have room",
    section="performance-utilization",
)
