"""Whether too much of the namespace is unhealthy for an action to be safe."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.rollouts import taken
from kiro_operator.core.policy.shares import at_least, at_most
from kiro_operator.core.policy.text import incomplete, invalid, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut while more of the namespace is unhealthy than spec.minHealthy or maxUnhealthy agree to.

    Counted as unhealthy are the pods that are not ready, those that rollouts allowed before may
    yet take down, and those that this action may. Shares are rounded to the safe side.
    """
    if (policy.min_healthy is None) == (policy.max_unhealthy is None):
        return incomplete(
            "minHealthy or spec.maxUnhealthy",
            "write one of them and not both, such as maxUnhealthy: 40%",
        )
    if situation.pods is None or situation.unhealthy_pods is None:
        return unseen("the health of the namespace's pods", intent.target)
    if not situation.observed:
        return unseen(f"{intent.target.kind} {intent.target.name}", intent.target)
    total = situation.pods
    own = taken(situation.workload, intent.method) if situation.workload else 0
    unhealthy = situation.unhealthy_pods + situation.unhealthy_expected + own
    facts = f"{situation.unhealthy_pods} of {total} pods are unhealthy"
    if unhealthy > situation.unhealthy_pods:
        facts += f" and {unhealthy - situation.unhealthy_pods} more may be for a while"
    try:
        if policy.max_unhealthy is not None:
            bound, rule = at_most(policy.max_unhealthy, total), f"maxUnhealthy {policy.max_unhealthy}"
            holds = unhealthy <= bound
        else:
            least = at_least(policy.min_healthy or 0, total)
            rule = f"minHealthy {policy.min_healthy}"
            holds = total - unhealthy >= least
    except ValueError as error:
        return invalid("minHealthy" if policy.max_unhealthy is None else "maxUnhealthy", str(error))
    if holds:
        return Allow(f"{facts}, within {rule}")
    return Deny("TooManyUnhealthy", f"{facts}, beyond {rule} of the policy: find the common cause first")
