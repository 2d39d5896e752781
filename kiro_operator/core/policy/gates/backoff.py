"""Whether the wait that grows with each action that did not help is over."""

from datetime import datetime, timedelta

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import Backoff, KiroSafetyPolicySpec
from kiro_operator.core.policy.history import came_to_nothing, tried
from kiro_operator.core.policy.text import incomplete, named, stamp
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation

RETRY = Backoff(initial=timedelta(seconds=30), maximum=timedelta(minutes=15))
"""The wait after actions that were denied or expired."""
_DOUBLINGS = 32
"""More than it takes from a second to the longest wait."""


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, ledger: Ledger, now: datetime
) -> Answer:
    """Shut until the wait after the episode's last remedy is over. It does not bind scaling back.

    An action that was refused or overtaken before it was done costs no such wait, but one of its
    own, so that what keeps being refused, as by a PodDisruptionBudget, is not tried at every look.
    """
    if policy.backoff is None:
        return incomplete("backoff", "write e.g. {initial: 5m, maximum: 1h}")
    if intent.proposed:
        return Allow("a person decides on each proposal")
    nothing = came_to_nothing(ledger.of(intent.target), intent.episode)
    if nothing:
        until = max(min(entry.ended_at, now) for entry in nothing) + wait(RETRY, len(nothing))
        if now < until:
            return Deny(
                "RetryLater",
                f"{nothing[-1].name} came to nothing ({nothing[-1].reason or nothing[-1].state}): "
                f"the next try may follow at {stamp(until)}",
                until=until,
            )
    if intent.method is Method.SCALE_BACK:
        return Allow("scaling back follows health, not failure")
    unhelpful = tried(ledger.of(intent.target), intent.episode)
    if not unhelpful:
        return Allow(f"nothing was tried on {named(intent.target)} in this episode")
    until = max(min(entry.ended_at, now) for entry in unhelpful) + wait(policy.backoff, len(unhelpful))
    if now < until:
        return Deny(
            "Backoff",
            f"{len(unhelpful)} actions on {named(intent.target)} did not help: "
            f"the next may follow at {stamp(until)}",
            until=until,
        )
    return Allow(f"the wait after {len(unhelpful)} actions that did not help is over")


def wait(backoff: Backoff, failures: int) -> timedelta:
    """The wait after so many actions that did not help, one or more."""
    factor: int = 2 ** min(failures - 1, _DOUBLINGS)
    return backoff.maximum if backoff.initial > backoff.maximum / factor else backoff.initial * factor
