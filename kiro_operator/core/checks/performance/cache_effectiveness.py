"""How often caches have what is asked of them."""

from typing import Annotated, ClassVar

from pydantic import Field

from kiro_operator.core.checks.performance._series import Expression, Measure, SeriesParameters, measured


class CacheEffectivenessParameters(SeriesParameters):
    """Thresholds of cache-effectiveness."""

    falls: ClassVar[bool] = True
    query: Expression = Field(
        default='kiro_cache_hit_ratio{namespace="$namespace"}',
        description=(
            "PromQL: the share of requests that each cache answers itself, from 0 to 1; "
            "$namespace is the KiroHealthCheck's."
        ),
    )
    threshold: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50, description="Share of hits, in percent, below which the cache does not help."
    )
    floor: Annotated[int, Field(ge=0, le=100)] = Field(
        default=20,
        description="Usual share of hits, in percent, below which a fall is no degradation.",
    )


CHECK = measured(
    Measure(
        noun="cache hit ratio",
        reason="CacheIneffective",
        advice=(
            "see whether it was emptied or restarted, evicts for want of memory, or holds keys too briefly"
        ),
        lower_is_worse=True,
    ),
    CacheEffectivenessParameters,
    title="Caches answer what they should",
    section="performance-application",
)
