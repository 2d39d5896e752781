"""Memory of the containers against what they may use."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class MemoryUsageParameters(SeriesParameters):
    """Thresholds of memory-usage."""

    query: Expression = Field(
        default='max by (container) (kiro_container_memory_utilization{namespace="$namespace"})',
        description=(
            "PromQL: the share of its memory limit that each container uses, from 0 to 1; "
            "$namespace is the KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=1, le=100)] = Field(
        default=90, description="Share of the memory limit in use, in percent, above which it is too much."
    )
    floor: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50,
        description="Memory use, in percent, below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="memory use",
        reason="MemoryHigh",
        advice="look for a leak, raise the memory limit or add replicas",
    ),
    MemoryUsageParameters,
    title="Containers stay within their memory",
    section="performance-utilization",
)
