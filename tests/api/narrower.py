"""Whether one KiroSafetyPolicy allows no more than another: the property that a slip must keep."""

from collections.abc import Iterable
from datetime import timedelta

from kiro_operator.api.v1alpha1.safetypolicy import (
    ActionPolicy,
    Backoff,
    Budget,
    KiroSafetyPolicySpec,
    Mode,
    Protected,
    ScaleLimits,
)
from kiro_operator.api.v1alpha1.types import LabelSelector

_APPROVALS = ("Manual", "Automatic")


def narrower_or_equal(stored: KiroSafetyPolicySpec, intended: KiroSafetyPolicySpec) -> bool:
    """Whether everything that `stored` allows, `intended` allows too.

    A policy that does not enforce allows nothing. What cannot be compared, such as a number of
    pods and a share, is not narrower.
    """
    if stored.mode is not Mode.ENFORCE:
        return True
    return intended.mode is Mode.ENFORCE and all(_comparisons(stored, intended))


def _comparisons(stored: KiroSafetyPolicySpec, intended: KiroSafetyPolicySpec) -> Iterable[bool]:
    granted = {action.name: action for action in intended.actions}
    yield all(_action(action, granted.get(action.name)) for action in stored.actions)
    yield _budget(stored.budget, intended.budget)
    yield _longer(stored.cooldown, intended.cooldown)
    yield _backoff(stored.backoff, intended.backoff)
    yield _at_most(stored.max_consecutive_failures, intended.max_consecutive_failures)
    yield _share(intended.min_healthy, stored.min_healthy)
    yield _share(stored.max_unhealthy, intended.max_unhealthy)
    yield _longer(stored.storm_cooldown, intended.storm_cooldown)
    yield stored.scale == intended.scale or _scale(stored.scale, intended.scale)
    yield all(window in (stored.forbidden_windows or []) for window in intended.forbidden_windows or [])
    allowed, kept = intended.maintenance_windows, stored.maintenance_windows
    yield not allowed or (bool(kept) and all(window in allowed for window in kept or []))
    yield _range(stored.unhealthy_range, intended.unhealthy_range)
    yield bool(stored.pause_requests) or not intended.pause_requests
    yield _protected(stored.protected, intended.protected)
    yield set(stored.consent) <= set(intended.consent)


def _action(stored: ActionPolicy, intended: ActionPolicy | None) -> bool:
    return (
        intended is not None
        and _APPROVALS.index(stored.approval) <= _APPROVALS.index(intended.approval)
        and _budget(stored.budget, intended.budget)
    )


def _budget(stored: Budget | None, intended: Budget | None) -> bool:
    if stored is None or intended is None:
        return stored is intended
    return stored.limit <= intended.limit and stored.window >= intended.window


def _longer(stored: timedelta | None, intended: timedelta | None) -> bool:
    return intended is None or (stored is not None and stored >= intended)


def _at_most(stored: int | None, intended: int | None) -> bool:
    return intended is None or (stored is not None and stored <= intended)


def _backoff(stored: Backoff | None, intended: Backoff | None) -> bool:
    if stored is None or intended is None:
        return intended is None
    return stored.initial >= intended.initial and stored.maximum >= intended.maximum


def _share(low: int | str | None, high: int | str | None) -> bool:
    """Whether `low` is no more than `high`, both numbers or both shares, or neither is there."""
    if isinstance(low, int) and isinstance(high, int):
        return low <= high
    if isinstance(low, str) and isinstance(high, str):
        return int(low.removesuffix("%")) <= int(high.removesuffix("%"))
    return low is None and high is None


def _range(stored: str | None, intended: str | None) -> bool:
    """Whether each number of pods in `stored` is in `intended`; alike where neither is there."""
    if stored is None or intended is None:
        return stored is intended
    few, many = (int(part) for part in stored.strip("[]").split("-"))
    fewest, most = (int(part) for part in intended.strip("[]").split("-"))
    return fewest <= few and many <= most


def _scale(stored: ScaleLimits | None, intended: ScaleLimits | None) -> bool:
    if stored is None or intended is None:
        return stored is None
    return (
        stored.floor >= intended.floor and stored.ceiling <= intended.ceiling and stored.step <= intended.step
    )


def _protected(stored: Protected | None, intended: Protected | None) -> bool:
    kept = stored.selectors if stored else []
    return all(
        any(_covers(one, wanted) for one in kept) for wanted in (intended.selectors if intended else [])
    )


def _covers(wide: LabelSelector, narrow: LabelSelector) -> bool:
    """Whether whatever `narrow` selects, `wide` selects too, because it asks for less."""
    return wide.match_labels.items() <= narrow.match_labels.items() and all(
        requirement in narrow.match_expressions for requirement in wide.match_expressions
    )
