"""Requests that are served."""

from typing import Annotated, ClassVar

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class ThroughputParameters(SeriesParameters):
    """Thresholds of throughput."""

    falls: ClassVar[bool] = True
    query: Expression = Field(
        default='60 * kiro_requests_per_second{namespace="$namespace"}',
        description=(
            "PromQL: requests that each service serves in a minute; $namespace is the KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=0, description="Requests a minute below which it is too few; 0: any number will do."
    )
    floor: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=60,
        description="Usual requests a minute below which a fall is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="number of requests",
        reason="ThroughputLow",
        advice=("see whether requests still arrive (ingress, clients) and whether they are answered"),
        unit="/min",
        scale=1.0,
        lower_is_worse=True,
    ),
    ThroughputParameters,
    title="Requests are served in the usual number",
    section="performance-application",
)
