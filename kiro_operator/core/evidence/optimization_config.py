"""What Kiro optimizes by, as it stands in the ConfigMap that spec.optimization names."""

from collections.abc import Mapping

from msgspec import Struct

from kiro_operator.core.snapshot import Polled


class OptimizationConfig(Struct, frozen=True):
    """That ConfigMap; of what it holds no more than the numbers that are declared."""

    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = {}
    protected: str = ""
    """Value of the annotation kiro.dev/protected."""
    numbers: Mapping[str, str] = {}
    """By their keys, as they are written there."""
    others: tuple[str, ...] = ()
    """Declared keys under which stands something else."""


OPTIMIZATION_CONFIG: Polled[OptimizationConfig | None] = Polled(
    "optimization-config", OptimizationConfig | None, section="optimization"
)
"""None: it is not there."""
