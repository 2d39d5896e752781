"""What goes over the nodes' network interfaces against what they can carry."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class NetworkBandwidthParameters(SeriesParameters):
    """Thresholds of network-bandwidth."""

    query: Expression = Field(
        default="kiro_node_network_utilization",
        description="PromQL: the share of its bandwidth that each node uses, from 0 to 1.",
    )
    threshold: Annotated[int, Field(ge=1, le=100)] = Field(
        default=80, description="Share of the bandwidth in use, in percent, above which it is too much."
    )
    floor: Annotated[int, Field(ge=0, le=100)] = Field(
        default=30,
        description="Bandwidth use, in percent, below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="bandwidth use",
        reason="BandwidthHigh",
        advice="see which pods send or receive most, move load away or use a faster interface",
    ),
    NetworkBandwidthParameters,
    title="The network carries the traffic",
    section="performance-utilization",
)
