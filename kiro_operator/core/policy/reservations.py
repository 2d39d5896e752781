"""The budget as reserved in a policy's status: a second count beside the ledger, guarded by compare-and-swap.

The ledger is what this process has seen of the KiroRemediations; the reservations are what the
API server has accepted. An action needs room in both.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from kiro_operator.api.v1alpha1.safetypolicy import RESERVATIONS, KiroSafetyPolicySpec, Reservation
from kiro_operator.core.policy.types import Entry


def widest_window(policy: KiroSafetyPolicySpec) -> timedelta:
    """The longest time a reservation matters."""
    windows = [action.budget.window for action in policy.actions]
    if policy.budget:
        windows.append(policy.budget.window)
    return max(windows, default=timedelta(0))


def kept(
    reservations: Iterable[Reservation], policy: KiroSafetyPolicySpec, ledger: Iterable[Entry], now: datetime
) -> list[Reservation]:
    """The reservations that still count: within the widest window, and not known to have come to nothing.

    What the ledger knows and the status has lost is put back, so that editing or deleting a
    policy never gives a budget back.
    """
    window = widest_window(policy)
    entries = {entry.name: entry for entry in ledger}
    found = {
        item.remediation: item
        for item in reservations
        if now - item.time < window
        and not (item.remediation in entries and not entries[item.remediation].counts)
    }
    for entry in entries.values():
        if entry.spends and now - entry.reserved_at < window and entry.name not in found:
            found[entry.name] = Reservation(
                remediation=entry.name, action=entry.action, time=entry.reserved_at.replace(microsecond=0)
            )
    return sorted(found.values(), key=lambda item: (item.time, item.remediation))[-RESERVATIONS:]


def exceeds(reservations: Sequence[Reservation], policy: KiroSafetyPolicySpec, now: datetime) -> str:
    """Which budget these reservations would exceed, in words; empty for none.

    A reservation from the future counts: a clock that was set back gives nothing away.
    """
    if policy.budget is None:
        return "the policy gives no budget"
    total = sum(now - item.time < policy.budget.window for item in reservations)
    if total > policy.budget.limit:
        return f"the budget of {policy.budget.limit} actions is used up"
    for action in policy.actions:
        used = sum(
            now - item.time < action.budget.window for item in reservations if item.action == action.name
        )
        if used > action.budget.limit:
            return f"the budget of {action.budget.limit} {action.name} actions is used up"
    return ""


def used(reservations: Sequence[Reservation], policy: KiroSafetyPolicySpec, now: datetime) -> str:
    """Budget used of the budget given, such as ``2/5``; ``-`` where there is none."""
    if policy.budget is None:
        return "-"
    count = sum(now - item.time < policy.budget.window for item in reservations)
    return f"{count}/{policy.budget.limit}"


def next_release(
    reservations: Sequence[Reservation], policy: KiroSafetyPolicySpec, now: datetime
) -> datetime | None:
    """When the oldest reservation leaves the widest window."""
    window = widest_window(policy)
    return min((item.time + window for item in reservations if item.time + window > now), default=None)
