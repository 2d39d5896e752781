"""Whether a mass failure is over, and has been for long enough."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.storms import told
from kiro_operator.core.policy.text import incomplete
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, now: datetime
) -> Answer:
    """Shut while a mass failure lasts, and until it has been over for spec.stormCooldown.

    The blast radius is about this moment, and opens as soon as one pod too many is back. Whatever
    struck many at once may strike again, and what is left of it may mend by itself. Open for
    what only stops others from acting.
    """
    if policy.storm_cooldown is None:
        return incomplete("stormCooldown", "write e.g. 10m, how long nothing is done after a mass failure")
    if intent.action is ActionName.CONTAIN:
        return Allow("it takes no pod down, and stops what may")
    storm = situation.storm
    if storm is None:
        return Allow("no mass failure is remembered")
    reason, message = told(storm, policy.storm_cooldown)
    if storm.subsided is None:
        return Deny(reason, message)
    until = storm.subsided + policy.storm_cooldown
    if now < until:
        return Deny(reason, message, until=until)
    return Allow("the last mass failure has been over for spec.stormCooldown")
