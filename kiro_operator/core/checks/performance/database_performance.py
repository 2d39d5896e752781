"""How long queries of the databases take."""

from typing import Annotated

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class DatabasePerformanceParameters(SeriesParameters):
    """Thresholds of database-performance."""

    query: Expression = Field(
        default='kiro_database_query_seconds{namespace="$namespace"}',
        description=(
            "PromQL: how long a query of each database takes on average, in seconds; "
            "$namespace is the KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=1, le=3_600_000)] = Field(
        default=200, description="Milliseconds above which a query takes too long on average."
    )
    floor: Annotated[int, Field(ge=0, le=3_600_000)] = Field(
        default=10,
        description="Milliseconds below which a rise is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="average query time",
        reason="DatabaseSlow",
        advice=("look for missing indexes, locks and slow queries in pg_stat_statements, and at its storage"),
        unit=" ms",
        scale=1000.0,
    ),
    DatabasePerformanceParameters,
    title="Databases answer fast",
    section="performance-utilization",
)
