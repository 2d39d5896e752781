"""Whether this is a time at which acting is forbidden."""

from datetime import datetime

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import incomplete, stamp
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation
from kiro_operator.core.policy.windows import open_until


def gate(
    _intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, now: datetime
) -> Answer:
    """Shut while a window of spec.forbiddenWindows is open, until the last open one closes.

    A window that cannot be understood might be open now, so it keeps the gate shut.
    """
    if policy.forbidden_windows is None:
        return incomplete("forbiddenWindows", "write [] when there is no time at which acting is forbidden")
    latest: tuple[datetime, str] | None = None
    for window in policy.forbidden_windows:
        try:
            until = open_until(window, now)
        except ValueError as error:
            return Deny("InvalidWindow", f"forbidden window {window.name}: {error}", needs_person=True)
        if until is not None and (latest is None or until > latest[0]):
            latest = until, window.name
    if latest is None:
        return Allow("no forbidden window is open")
    return Deny(
        "ForbiddenWindow", f"forbidden window {latest[1]} is open until {stamp(latest[0])}", until=latest[0]
    )
