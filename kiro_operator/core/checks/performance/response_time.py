"""How long the 95th percentile of requests takes."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class ResponseTimeParameters(SeriesParameters):
    """Thresholds of response-time."""

    query: Expression = Field(
        default='kiro_response_seconds{namespace="$namespace"}',
        description=(
            "PromQL: the 95th percentile of each service's response times, in seconds; "
            "$namespace is the KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=1, le=3_600_000)] = Field(
        default=1000, description="Milliseconds above which the 95th percentile is too slow."
    )
    floor: Annotated[int, Field(ge=0, le=3_600_000)] = Field(
        default=100,
        description="Milliseconds below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="95th percentile of response times",
        reason="ResponseSlow",
        advice=("see which resource is short (the other performance checks) and what was changed last"),
        unit=" ms",
        scale=1000.0,
    ),
    ResponseTimeParameters,
    title="Requests are answered fast",
    section="performance-application",
)
