"""How many pods of the namespace may be unhealthy, as a policy has it."""

import re

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.shares import at_least, at_most

_RANGE = re.compile(r"^\[([0-9]{1,5})-([0-9]{1,5})\]$")


def given(policy: KiroSafetyPolicySpec) -> str:
    """The one field that says it; empty where none does, or more than one."""
    fields = {
        "minHealthy": policy.min_healthy,
        "maxUnhealthy": policy.max_unhealthy,
        "unhealthyRange": policy.unhealthy_range,
    }
    said = [name for name, value in fields.items() if value is not None]
    return said[0] if len(said) == 1 else ""


def bounds(policy: KiroSafetyPolicySpec, total: int) -> tuple[int, int] | None:
    """The fewest and the most of so many pods that may be unhealthy for an action; None where it is not said.

    Shares are rounded to the safe side. The most is below zero where fewer pods are there than must be
    healthy.

    Raises:
        ValueError: what is written is neither a number, a share, nor a range.
    """
    match given(policy):
        case "minHealthy":
            return 0, total - at_least(policy.min_healthy or 0, total)
        case "maxUnhealthy":
            return 0, at_most(policy.max_unhealthy or 0, total)
        case "unhealthyRange":
            return _range(policy.unhealthy_range or "")
    return None


def _range(text: str) -> tuple[int, int]:
    match = _RANGE.match(text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError(f"{text!r} is no range: write one such as [1-3], the smaller number first")
    return int(match[1]), int(match[2])


def words(policy: KiroSafetyPolicySpec) -> str:
    """What is written, with its field."""
    value = {
        "minHealthy": policy.min_healthy,
        "maxUnhealthy": policy.max_unhealthy,
        "unhealthyRange": policy.unhealthy_range,
    }.get(given(policy), "")
    return f"{given(policy)} {value}"
