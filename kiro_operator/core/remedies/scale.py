"""Scale: add replicas, and take them back once the workload has stayed well."""

from datetime import datetime, timedelta

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.api.v1alpha1.safetypolicy import LONGEST_STEP, MOST_REPLICAS, ScaleLimits
from kiro_operator.core.objects import DaemonSet, Workload
from kiro_operator.core.permissions import Grant, Rule
from kiro_operator.core.policy.text import named
from kiro_operator.core.policy.types import REVERTED, Entry, Intent
from kiro_operator.core.remedies.types import API_VERSION, Refusal, Remedy, Request, fence_of
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.writes import Must, Operation, Write

RULES: tuple[Rule, ...] = (
    Rule(
        "apps",
        ("deployments/scale", "statefulsets/scale"),
        ("patch",),
        "set replicas under a test of what they were",
        grant=Grant.SCALE,
    ),
)
_BEFORE, _AFTER = "oldObject.spec.?replicas.orValue(0)", "object.spec.?replicas.orValue(0)"
ADMITTED = (
    Write(
        by="Scale",
        api_version="apps/v1",
        resources=("deployments/scale", "statefulsets/scale"),
        operations=(Operation.UPDATE,),
        musts=(
            Must(f"{_AFTER} >= 1", "it scales nothing to zero"),
            Must(f"{_BEFORE} >= 1", "what was scaled to zero stays off"),
            Must(
                f"{_AFTER} <= {MOST_REPLICAS}\n&& {_AFTER} - {_BEFORE} <= {LONGEST_STEP}\n"
                f"&& {_BEFORE} - {_AFTER} <= {LONGEST_STEP}",
                f"it scales to {MOST_REPLICAS} replicas at most, "
                f"and adds or takes {LONGEST_STEP} at most at a time",
            ),
        ),
    ),
)


def propose(request: Request) -> Intent | Refusal:
    """One step up, within the ceiling; without a policy, by one, for its gates to refuse."""
    if isinstance(request.running, DaemonSet):
        return Refusal(
            "NotScalable", f"{named(request.target)} runs one pod a node: it has no replicas", lasting=True
        )
    before = request.running.desired
    after = before + 1
    if request.limits is not None:
        after = max(before, min(before + request.limits.step, request.limits.ceiling))
    want = request.wanted[0]
    return Intent(
        action=ActionName.SCALE,
        method=Method.SCALE_UP,
        target=request.target,
        api_version=API_VERSION,
        fence=fence_of(request.running),
        check=want.check,
        reason=want.finding.reason,
        message=want.message,
        episode=request.episode,
        step=request.step,
        timeout=request.timeout,
        stabilization=request.stabilization,
        replicas=(before, after),
    )


class Borrowed(Struct, frozen=True):
    """Replicas that were added and not yet taken back."""

    base: int
    """Replicas before the first step up."""
    level: int
    """Replicas as they were last set."""
    since: datetime
    """When they were set and verified."""
    check: str
    """The check that asked for them."""


def borrowed(entries: tuple[Entry, ...]) -> Borrowed | None:
    """What a target still has to give back, by its entries in order.

    A step that did not help is given back as well; one that was reverted is not there any more.
    When somebody set other replicas in between, those are what to go back to.
    """
    left: Borrowed | None = None
    for entry in entries:
        if entry.replicas is None or not entry.counts or entry.running:
            continue
        before, after = entry.replicas
        if entry.reason == REVERTED:
            left = None
        elif entry.method is Method.SCALE_UP:
            base = left.base if left is not None and left.level == before else before
            left = Borrowed(base, after, entry.ended_at, entry.check)
        elif entry.method is Method.SCALE_BACK and left is not None:
            left = Borrowed(left.base, after, entry.ended_at, left.check) if after > left.base else None
    return left


def give_back(
    target: Ref,
    workload: Workload,
    owed: Borrowed,
    *,
    needed: int,
    limits: ScaleLimits | None,
    episode: int,
    step: int,
    timeout: timedelta,
    stabilization: timedelta,
) -> Intent | None:
    """One step back towards what it was; None where there is nothing to give, or it is needed.

    Replicas that somebody set to another number are theirs, and stay.
    """
    now = workload.desired
    least = max(owed.base, needed, limits.floor if limits is not None else 0)
    after = max(least, now - (limits.step if limits is not None else 1))
    if now != owed.level or after >= now:
        return None
    return Intent(
        action=ActionName.SCALE,
        method=Method.SCALE_BACK,
        target=target,
        api_version=API_VERSION,
        fence=fence_of(workload),
        check=owed.check,
        reason="Recovered",
        message=f"{named(target)} stayed well: back from {now} towards {owed.base} replicas",
        episode=episode,
        step=step,
        timeout=timeout,
        stabilization=stabilization,
        replicas=(now, after),
    )


REMEDY = Remedy(action=ActionName.SCALE, title="Add replicas, and take them back later", propose=propose)
