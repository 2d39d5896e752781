"""How many pods of the namespace may be unhealthy, as a policy has it."""

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.shares import at_least, at_most


def most_unhealthy(policy: KiroSafetyPolicySpec, total: int) -> tuple[int, str] | None:
    """How many of so many pods may be unhealthy, and the words for it; None where it is not said, or twice.

    Shares are rounded to the safe side. It is below zero where fewer pods are there than must be healthy.

    Raises:
        ValueError: the bound is neither a number nor a share.
    """
    if (policy.min_healthy is None) == (policy.max_unhealthy is None):
        return None
    if policy.max_unhealthy is not None:
        return at_most(policy.max_unhealthy, total), f"maxUnhealthy {policy.max_unhealthy}"
    return total - at_least(policy.min_healthy or 0, total), f"minHealthy {policy.min_healthy}"
