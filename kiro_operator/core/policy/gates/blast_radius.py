"""Whether too much of the namespace is unhealthy for an action to be safe."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.limits import most_unhealthy
from kiro_operator.core.policy.rollouts import taken
from kiro_operator.core.policy.text import incomplete, invalid, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut while more of the namespace is unhealthy than spec.minHealthy or maxUnhealthy agree to.

    Counted as unhealthy are the pods that are not ready, those that rollouts allowed before may
    yet take down, and those that this action may. Shares are rounded to the safe side.
    """
    total = situation.pods
    try:
        bound = most_unhealthy(policy, total or 0)
    except ValueError as error:
        return invalid("minHealthy" if policy.max_unhealthy is None else "maxUnhealthy", str(error))
    if bound is None:
        return incomplete(
            "minHealthy or spec.maxUnhealthy",
            "write one of them and not both, such as maxUnhealthy: 40%",
        )
    if total is None or situation.unhealthy_pods is None:
        return unseen("the health of the namespace's pods", intent.target)
    if situation.workload is None:
        return unseen(f"{intent.target.kind} {intent.target.name}", intent.target)
    most, rule = bound
    own = taken(situation.workload, intent.method)
    unhealthy = situation.unhealthy_pods + situation.unhealthy_expected + own
    facts = f"{situation.unhealthy_pods} of {total} pods are unhealthy"
    if unhealthy > situation.unhealthy_pods:
        facts += f" and {unhealthy - situation.unhealthy_pods} more may be for a while"
    if unhealthy <= most:
        return Allow(f"{facts}, within {rule}")
    return Deny("TooManyUnhealthy", f"{facts}, beyond {rule} of the policy: find the common cause first")
