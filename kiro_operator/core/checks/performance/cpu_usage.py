"""CPU of the nodes: ``node_cpu_utilization``."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class CpuUsageParameters(SeriesParameters):
    """Thresholds of cpu-usage."""

    query: Expression = Field(
        default="node_cpu_utilization",
        description="PromQL: the share of its CPU that each node uses, from 0 to 1.",
    )
    threshold: Annotated[int, Field(ge=1, le=100)] = Field(
        default=85, description="Share of the CPU in use, in percent, above which it is too much."
    )
    floor: Annotated[int, Field(ge=0, le=100)] = Field(
        default=40,
        description="CPU use, in percent, below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="CPU use",
        reason="CpuHigh",
        advice=("see which pods use it with kubectl top pods -A --sort-by=cpu, add nodes or move load away"),
    ),
    CpuUsageParameters,
    title="The nodes have CPU to spare",
    section="performance-utilization",
)
