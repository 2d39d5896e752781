"""Requests that end in an error."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class ErrorRateParameters(SeriesParameters):
    """Thresholds of error-rate."""

    query: Expression = Field(
        default='kiro_error_ratio{namespace="$namespace"}',
        description=(
            "PromQL: the share of each service's requests that fail, from 0 to 1; $namespace "
            "is the KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=0, le=100)] = Field(
        default=5, description="Share of failing requests, in percent, above which it is too much."
    )
    floor: Annotated[int, Field(ge=0, le=100)] = Field(
        default=1,
        description="Share of failing requests, in percent, below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="error rate",
        reason="ErrorRateHigh",
        advice="read the logs of its pods, and see what was changed last",
    ),
    ErrorRateParameters,
    title="Requests succeed",
    section="performance-application",
)
