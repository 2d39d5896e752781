"""Whether the budgets have room for one more action."""

from collections.abc import Iterable
from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import Budget, KiroSafetyPolicySpec
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.policy.text import incomplete, stamp
from kiro_operator.core.policy.types import Allow, Answer, Deny, Entry, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, ledger: Ledger, now: datetime
) -> Answer:
    """Shut while the budget of the action, or that of all actions, is spent.

    Windows slide, and are counted from the ledger, so that deleting or editing the policy resets
    nothing. An action that has not been done yet counts as done now: it may be, at any moment. So
    does a time in the future: a clock that was set back never makes room.
    """
    if policy.budget is None:
        return incomplete("budget", "write e.g. {limit: 3, window: 1h}, the budget over all actions")
    if intent.method is Method.GIVE_BACK:
        return Allow("giving back was paid for by what was set")
    counted = [entry for entry in ledger.entries if entry.spends]
    same = [entry for entry in counted if entry.action is intent.action]
    answers = [
        _room(f"the budget of {intent.action}", listed.budget, same, now)
        for listed in policy.actions
        if listed.name is intent.action
    ]
    answers.append(_room("the budget of all actions", policy.budget, counted, now))
    denials = [answer for answer in answers if isinstance(answer, Deny)]
    if denials:
        return max(denials, key=lambda denial: denial.holds)
    return Allow("; ".join(answer.message for answer in answers))


def _room(what: str, budget: Budget, entries: Iterable[Entry], now: datetime) -> Answer:
    given = f"{budget.limit} in {format_duration(budget.window)}"
    times = sorted(_time(entry, now) for entry in entries)
    within = [time for time in times if now - time < budget.window]
    if len(within) < budget.limit:
        return Allow(f"{len(within)} of {what} ({given}) used")
    if budget.limit == 0:
        return Deny("BudgetZero", f"{what} is zero", needs_person=True)
    until = within[len(within) - budget.limit] + budget.window
    return Deny("BudgetExhausted", f"{what} ({given}) is spent until {stamp(until)}", until=until)


def _time(entry: Entry, now: datetime) -> datetime:
    if entry.running and entry.acted_at is None:
        return now
    return min(entry.started_at, now)
