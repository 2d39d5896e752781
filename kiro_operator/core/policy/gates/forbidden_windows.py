"""Whether this is a time at which acting is forbidden."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import incomplete, stamp
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation
from kiro_operator.core.policy.windows import closed_from


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, now: datetime
) -> Answer:
    """Shut while a window of spec.forbiddenWindows is open, until none is.

    A window that cannot be understood might be open now, so it keeps the gate shut.
    What was set for a while is given back whenever its time is over: that was decided when it was set.
    """
    if intent.method is Method.GIVE_BACK:
        return Allow("when it is given back was decided when it was set")
    if policy.forbidden_windows is None:
        return incomplete("forbiddenWindows", "write [] when there is no time at which acting is forbidden")
    try:
        closed = closed_from(tuple(policy.forbidden_windows), now)
    except ValueError as error:
        return Deny("InvalidWindow", f"forbidden window {error}", needs_person=True)
    if closed is None:
        return Allow("no forbidden window is open")
    until, name = closed
    return Deny("ForbiddenWindow", f"forbidden window {name} is open until {stamp(until)}", until=until)
