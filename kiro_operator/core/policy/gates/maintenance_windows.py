"""Whether this is one of the times at which alone something may be done."""

from datetime import datetime

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.policy.text import incomplete, stamp
from kiro_operator.core.policy.types import Allow, Answer, Deny, Intent, Ledger, Situation
from kiro_operator.core.policy.windows import open_until, opens_at


def gate(
    intent: Intent, policy: KiroSafetyPolicySpec, _situation: Situation, _ledger: Ledger, now: datetime
) -> Answer:
    """Shut outside spec.maintenanceWindows, where there are any, until the next of them opens.

    A window that cannot be understood might be all that was meant, so it keeps the gate shut.
    What was set for a while is given back whenever its time is over: that was decided when it was set.
    """
    if intent.method is Method.GIVE_BACK:
        return Allow("when it is given back was decided when it was set")
    if policy.maintenance_windows is None:
        return incomplete("maintenanceWindows", "write [] when any time will do")
    if not policy.maintenance_windows:
        return Allow("any time will do")
    opened: list[tuple[datetime, str]] = []
    following: list[tuple[datetime, str]] = []
    for window in policy.maintenance_windows:
        try:
            if (closes := open_until(window, now)) is not None:
                opened.append((closes, window.name))
            elif (opens := opens_at(window, now)) is not None:
                following.append((opens, window.name))
        except ValueError as error:
            return Deny("InvalidWindow", f"maintenance window {window.name}: {error}", needs_person=True)
    if opened:
        return Allow(f"maintenance window {max(opened)[1]} is open")
    if not following:
        return Deny("OutsideMaintenance", "no maintenance window opens any more", needs_person=True)
    until, name = min(following)
    return Deny(
        "OutsideMaintenance",
        f"no maintenance window is open: the next, {name}, opens at {stamp(until)}",
        until=until,
    )
