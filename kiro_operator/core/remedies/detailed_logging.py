"""DetailedLogging: have Kiro log in detail for a while, and give the former level back.

What is still to be given back is read off the records, so that a crash or another leader forgets nothing.
"""

from datetime import timedelta

from kiro_operator.api.v1alpha1.autonomy import DetailedLogging
from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import REVERTED, Change, Entry, Fence, Intent
from kiro_operator.core.remedies.contain import admitted, settable, undo_of
from kiro_operator.core.remedies.types import Refusal, Remedy, Request, writing
from kiro_operator.core.snapshot import Snapshot, Unobserved
from kiro_operator.core.switches import held
from kiro_operator.core.writes import Chosen

ACTION = ActionName.DETAILED_LOGGING
NAME = "kiro-logging"
"""The ConfigMap that the overlay of this remedy covers; for one of another name the admin adds a rule."""
RULES: tuple[Rule, ...] = (
    Rule(
        "",
        ("configmaps",),
        ("patch",),
        "have Kiro log in detail for a while",
        grant=Grant.RESTORE,
        names=(NAME,),
    ),
)
ADMITTED = admitted(ACTION, Chosen("loggingConfigMaps", f"['{NAME}']"))


def propose(request: Request) -> Intent | Refusal:
    """Set the one key, if what it has now can be given back."""
    found = settable(request, ACTION)
    if isinstance(found, Refusal):
        return found
    switch, actual = found
    undo = undo_of(switch, actual)
    if not undo or not isinstance(switch, DetailedLogging):
        message = (
            f"{named(request.target)}: what {switch.key} has now could not be given back: set it by hand"
        )
        return Refusal("NotReversible", message, lasting=True)
    return writing(
        request,
        ACTION,
        Method.PATCH,
        Fence(actual.uid, actual.resource_version),
        content={"data": {switch.key: switch.value}},
        diff=(
            f"{named(request.target)}: {switch.key} → {switch.value!r} for {format_duration(switch.duration)}"
        ),
        undo=undo,
        holding=switch.duration,
    )


def owed(entries: tuple[Entry, ...]) -> Entry | None:
    """The change of one target that is still to be given back, by its entries in order.

    What somebody else has changed since is theirs.
    """
    left: Entry | None = None
    for entry in entries:
        if entry.action is not ACTION or not entry.counts:
            continue
        if entry.method is Method.PATCH:
            left = None if entry.reason == REVERTED else entry
        elif entry.running or entry.state is RemediationState.SUCCEEDED or entry.reason == REVERTED:
            left = None
    return left


def give_back(
    change: Entry,
    snapshot: Snapshot,
    *,
    episode: int,
    step: int,
    timeout: timedelta,
    stabilization: timedelta,
) -> Intent | None:
    """The change taken back; None where it is not there any more, or nobody can tell."""
    seen = snapshot.value(SAFETY_CONFIG)
    target = change.target
    if change.change is None or isinstance(seen, Unobserved):
        return None
    actual = seen.get(target.name)
    if actual is None or held(target, change.change.patch, "", snapshot) is not True:
        return None
    return Intent(
        action=ACTION,
        method=Method.GIVE_BACK,
        target=target,
        api_version="v1",
        fence=Fence(actual.uid, actual.resource_version),
        check=change.check,
        reason="TimeIsUp",
        message=f"{named(target)}: what {change.name} set for a while is given back",
        episode=episode,
        step=step,
        timeout=timeout,
        stabilization=stabilization,
        change=Change(change.change.undo, f"{named(target)}: as it was before {change.name}"),
    )


REMEDY = Remedy(
    action=ACTION,
    title="Log in detail for a while, then give the former level back",
    propose=propose,
    holds=True,
)
