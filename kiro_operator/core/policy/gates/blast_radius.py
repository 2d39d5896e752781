"""Whether too much of the namespace is unhealthy for an action to be safe."""

from datetime import datetime

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.limits import bounds, given, words
from kiro_operator.core.policy.rollouts import rolls, taken
from kiro_operator.core.policy.text import incomplete, invalid, named, unseen
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut while more of the namespace is unhealthy than the policy agrees to, or less than its range.

    One of spec.minHealthy, maxUnhealthy and unhealthyRange says it. Counted as unhealthy are the pods
    that are not ready, those that rollouts and evictions allowed before may yet take down, and those that
    this action may. Shares are rounded to the safe side. Scaling back follows health, so no range is too
    healthy for it.

    Open for what only stops others from acting, since it matters most while much of the namespace fails, and
    for giving back what was set for a while.
    """
    total, rule, workload = situation.pods, words(policy), situation.workload
    try:
        agreed = bounds(policy, total or 0)
    except ValueError as error:
        return invalid(given(policy), str(error))
    if agreed is None:
        return incomplete(
            "minHealthy, spec.maxUnhealthy or spec.unhealthyRange",
            "write one of them and no other, such as maxUnhealthy: 40%",
        )
    if intent.action is ActionName.CONTAIN or intent.method is Method.GIVE_BACK:
        return Allow("it takes no pod down")
    if total is None or situation.unhealthy_pods is None:
        return unseen("the health of the namespace's pods", intent.target)
    if not situation.observed:
        return unseen(named(intent.target), intent.target)
    fewest, most = agreed
    own = taken(workload) if workload and rolls(intent.action, intent.method) else 0
    if intent.method is Method.EVICT and situation.pod_ready:
        own = 1
    more = situation.unhealthy_expected + own
    facts = f"{situation.unhealthy_pods} of {total} pods are unhealthy"
    if more:
        facts += f" and {more} more may be for a while"
    if situation.unhealthy_pods + more > most:
        return Deny("TooManyUnhealthy", f"{facts}, beyond {rule} of the policy: find the common cause first")
    if situation.unhealthy_pods < fewest and intent.method is not Method.SCALE_BACK:
        return Deny("TooFewUnhealthy", f"{facts}, fewer than {rule} of the policy asks for")
    return Allow(f"{facts}, within {rule}")
