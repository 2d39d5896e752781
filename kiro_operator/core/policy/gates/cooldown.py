"""Whether the last action on the target is long enough ago."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.history import acted
from kiro_operator.core.policy.text import incomplete, named, stamp
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, ledger: Ledger, now: datetime
) -> Answer:
    """Shut until spec.cooldown has passed since the last action on the target, of any kind.

    What was set for a while is given back when its time is over, whatever that is shorter than.
    A time in the future counts as now, so that a clock that was set back never shortens the wait.
    """
    if policy.cooldown is None:
        return incomplete("cooldown", "write e.g. 5m, the least time between two actions on one target")
    if intent.method is Method.GIVE_BACK:
        return Allow("what was set for a while is given back in time")
    times = [min(entry.started_at, now) for entry in acted(ledger, intent.target)]
    if not times:
        return Allow(f"no action on {named(intent.target)} is remembered")
    until = max(times) + policy.cooldown
    if now < until:
        return Deny("Cooldown", f"{named(intent.target)} cools down until {stamp(until)}", until=until)
    return Allow(f"the last action on {named(intent.target)} was at {stamp(max(times))}")
