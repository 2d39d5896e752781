"""Whether the policy lets anything be planned at all."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Mode
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation


def gate(
    _intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, _now: datetime
) -> Answer:
    """Shut in mode Observe, which somebody chose: that calls for nobody.

    A dry run passes, so that it shows what each further gate would say; that nothing is done in
    the end is for the decision to say.
    """
    if policy.mode is Mode.OBSERVE:
        return Deny("ModeObserve", "the policy is in mode Observe: nothing is planned")
    return Allow(f"mode {policy.mode}")
