"""Mass failures: when one begins, when it has subsided, and when it is forgotten.

A storm is judged by the pods that fail, not by all that are not ready: a rollout, a drain or the
upgrade of a cluster has many pods on their way, and is no failure. The blast radius counts those
all the same, since they serve nobody.
"""

from datetime import datetime, timedelta

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec, Storm
from kiro_operator.api.v1alpha1.types import format_duration
from kiro_operator.core.faults.motion import judged
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.policy.limits import bounds
from kiro_operator.core.policy.situation import OVER, Census, census, is_ready
from kiro_operator.core.policy.text import stamp
from kiro_operator.core.snapshot import Snapshot, Unobserved, controller_of

_LIMITS = PodFaultParameters()
_SECOND = timedelta(seconds=1)


def casualties(snapshot: Snapshot, now: datetime) -> Census:
    """Count the namespace's pods as the blast radius does, but as unhealthy only those that fail."""
    counted = census(snapshot)
    if isinstance(snapshot.pods, Unobserved):
        return counted
    failing = 0
    for pod in snapshot.pods.unsettled:
        if pod.status.phase in OVER or is_ready(pod) or controller_of(pod, snapshot) is None:
            continue
        fault, _ = judged(pod, snapshot, _LIMITS, now)
        failing += fault is not None and not fault.kind.warns
    return Census(counted.pods, failing)


def observe(
    before: Storm | None, policy: KiroSafetyPolicySpec, counted: Census, now: datetime
) -> Storm | None:
    """The storm that a policy has to remember after one more look; None for none.

    While pods cannot be seen, nothing subsides: what is not known to be over may go on. Times are
    those of whole seconds, as the status keeps them, and never make the pause shorter.
    """
    if counted.pods is None or counted.unhealthy is None:
        return before and Storm(since=before.since)
    try:
        agreed = bounds(policy, counted.pods)
    except ValueError:
        agreed = None
    if agreed is None or policy.storm_cooldown is None:
        return before  # such a policy allows nothing, and nothing can be held against it
    if counted.unhealthy > max(0, agreed[1]):
        return Storm(since=before.since if before else now.replace(microsecond=0))
    if before is None:
        return None
    soon = now if not now.microsecond else now.replace(microsecond=0) + _SECOND
    # A time in the future comes from a clock that was set back: it counts as now.
    subsided = min(before.subsided or soon, soon)
    return None if now >= subsided + policy.storm_cooldown else Storm(since=before.since, subsided=subsided)


def ends(storm: Storm | None, policy: KiroSafetyPolicySpec) -> datetime | None:
    """When a storm that has subsided will be forgotten; None while that is not known."""
    if storm is None or storm.subsided is None or policy.storm_cooldown is None:
        return None
    return storm.subsided + policy.storm_cooldown


def told(storm: Storm, cooldown: timedelta) -> tuple[str, str]:
    """Reason and words for a storm: they change when it does, not with every pod."""
    wait = format_duration(cooldown)
    if storm.subsided is None:
        return "TooManyUnhealthy", (
            f"a mass failure began at {stamp(storm.since)}, beyond what the policy agrees to: nothing is "
            f"done until it has been over for {wait} (spec.stormCooldown); find the common cause"
        )
    return "StormCooldown", (
        f"the mass failure of {stamp(storm.since)} is over since {stamp(storm.subsided)}: nothing is done "
        f"before {stamp(storm.subsided + cooldown)} ({wait} of spec.stormCooldown)"
    )
