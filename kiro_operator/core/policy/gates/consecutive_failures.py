"""Whether so many actions did not help that a person has to look."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.history import tried
from kiro_operator.core.policy.text import incomplete, named
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, ledger: Ledger, _now: datetime
) -> Answer:
    """Shut after spec.maxConsecutiveFailures actions of one episode; a new episode begins afresh.

    It does not bind scaling back, which follows health.
    """
    if policy.max_consecutive_failures is None:
        return incomplete("maxConsecutiveFailures", "write e.g. 3, after which a person is needed")
    if intent.proposed:
        return Allow("a person decides on each proposal")
    if intent.method is Method.SCALE_BACK:
        return Allow("scaling back follows health, not failure")
    unhelpful = tried(ledger.of(intent.target), intent.episode)
    if len(unhelpful) >= policy.max_consecutive_failures:
        return Deny(
            "ConsecutiveFailures",
            f"{len(unhelpful)} actions in a row did not help {named(intent.target)} "
            f"(last: {unhelpful[-1].name}): a person has to look",
            needs_person=True,
        )
    return Allow(
        f"{len(unhelpful)} of {policy.max_consecutive_failures} actions in a row did not help "
        f"{named(intent.target)}"
    )
