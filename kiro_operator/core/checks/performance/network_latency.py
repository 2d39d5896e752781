"""How long probes of the network take."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class NetworkLatencyParameters(SeriesParameters):
    """Thresholds of network-latency."""

    query: Expression = Field(
        default="kiro_network_latency_seconds",
        description="PromQL: how long a probe of each destination takes, in seconds.",
    )
    threshold: Annotated[int, Field(ge=1, le=3_600_000)] = Field(
        default=250, description="Milliseconds above which a probe takes too long."
    )
    floor: Annotated[int, Field(ge=0, le=3_600_000)] = Field(
        default=20,
        description="Milliseconds below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="network latency",
        reason="LatencyHigh",
        advice=("see whether the way there or the destination is slow: compare probes of other destinations"),
        unit=" ms",
        scale=1000.0,
    ),
    NetworkLatencyParameters,
    title="The network answers fast",
    section="performance-utilization",
)
