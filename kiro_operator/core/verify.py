"""Whether an action helped, and what to make of one that a crash left half done.

Both judge from what is seen now and from the record of the action, never from what the process
that began it remembers.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from kiro_operator.api.v1alpha1.healthcheck import COMMANDS, PROPOSALS
from kiro_operator.api.v1alpha1.remediation import (
    WRITES,
    KiroRemediationSpec,
    KiroRemediationStatus,
    Method,
    RemediationState,
)
from kiro_operator.core.amended import holds, is_looked_at, objection
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.faults.pods import fault_of
from kiro_operator.core.objects import Pod, Workload
from kiro_operator.core.policy.situation import is_ready
from kiro_operator.core.policy.subjects import is_protected
from kiro_operator.core.policy.text import clip
from kiro_operator.core.policy.types import REVERTED, WORKLOADS, Intent, remediation_name
from kiro_operator.core.snapshot import Ref, Snapshot, Unobserved
from kiro_operator.core.snapshot import workload as workload_of
from kiro_operator.core.switches import NOT_WATCHED
from kiro_operator.core.verdict import Finding

RESUME_WITHIN = timedelta(minutes=2)
"""How long after its reservation an action may still be sent: after that, its reasons are history."""
LOOK_AGAIN = timedelta(seconds=5)
"""How soon to look again for what could not be seen."""


class Verification(Struct, frozen=True):
    """How an action stands: Verifying, or a final state."""

    state: RemediationState
    reason: str
    message: str
    healthy_since: datetime | None = None
    next: datetime | None = None
    """When to look again though nothing changes; None for a final state.

    Once that has passed, only what is sampled from then on tells.
    """


def concerns(finding: Finding, check: str, spec: KiroRemediationSpec) -> bool:
    """Whether what a check finds says that an action did not help.

    A restart is to help its workload whatever fails there. A command, and what is written into an object,
    is held against what asks for it; and what commands help against is held against no action that
    another check asked for: neither is to fail by what it was never meant for.
    """
    if spec.target.uid not in {ref.uid for ref in (finding.target, finding.fallback) if ref}:
        return False
    if spec.action in COMMANDS or spec.method in WRITES:
        return spec.action in finding.remedies
    return COMMANDS.isdisjoint(finding.remedies) or check == spec.check


def is_open(finding: Finding, check: str, spec: KiroRemediationSpec) -> bool:
    """Whether the check that asked still finds something, and cannot say for now where."""
    return check == spec.check and finding.target is None and bool(finding.remedies)


def verify(
    spec: KiroRemediationSpec,
    status: KiroRemediationStatus,
    findings: tuple[Finding, ...] | Unobserved,
    workload: Workload | Unobserved | None,
    now: datetime,
    *,
    seen_at: datetime | None = None,
) -> Verification:
    """Judge an action that was done, by the findings against its target now; None: the target is gone.

    It succeeds when the target stays well for the stabilization time, from the first look at which
    it is well. A relapse, and a look that sees nothing, start that time anew. It fails at the first
    look after its timeout at which the target is not well: one that became well shortly before is
    given its time.

    ``seen_at`` is when what the findings rest on was sampled, where it was: what was seen before the
    action says nothing of it, and health lasts no longer than it has been seen to.
    """
    acted = min(status.acted_at or status.acting_at or now, now)
    deadline = acted + spec.timeout
    ended = None if spec.method in WRITES else _ended(spec, workload)
    if ended is not None:
        return ended
    seen_at = min(seen_at or now, now)
    if seen_at < acted:
        return _blind(deadline, f"{spec.check} has not looked since", now)
    seen = _look(spec, findings, workload)
    if isinstance(seen, Unobserved):
        return _blind(deadline, seen.message, now)
    if seen:
        return _unwell(status, deadline, seen, now)
    since = min(status.healthy_since or seen_at, seen_at)
    until = since + spec.stabilization
    if seen_at < until:
        return Verification(RemediationState.VERIFYING, "Stabilizing", "well again", since, until)
    message = f"{spec.target.kind} {spec.target.name} is well and stayed so"
    return Verification(RemediationState.SUCCEEDED, "Recovered", message, since)


def in_force(
    spec: KiroRemediationSpec,
    status: KiroRemediationStatus,
    live: Mapping[str, Any] | Unobserved | None,
    workload: Workload | Unobserved | None,
    now: datetime,
) -> Verification:
    """Judge a proposal that was carried out: what was approved stands, and nothing broke by it.

    Whether what it was made against has gone is for its check, which may look at days of history.
    """
    acted = min(status.acted_at or status.acting_at or now, now)
    deadline, what = acted + spec.timeout, f"{spec.target.kind} {spec.target.name}"
    if isinstance(live, Unobserved):
        return _blind(deadline, live.message, now)
    if live is None or live["metadata"]["uid"] != spec.target.uid:
        return Verification(RemediationState.EXPIRED, "TargetGone", f"{what} is gone")
    if not holds(live, spec):
        return Verification(RemediationState.FAILED, REVERTED, f"somebody changed {what} again")
    if spec.target.kind in WORKLOADS:
        if isinstance(workload, Unobserved):
            return _blind(deadline, workload.message, now)
        # The object was read, and its fence may be of days ago: what is watched has to be as new as that.
        if workload is None or workload.metadata.generation < live["metadata"]["generation"]:
            return _blind(deadline, "the change is not to be seen yet", now)
        if not workload.settled:
            trouble = (
                f"{workload.available} of {workload.desired} pods of {what} are available and up to date"
            )
            return _unwell(status, deadline, trouble, now)
    since = min(status.healthy_since or now, now)
    until = since + spec.stabilization
    if now < until:
        return Verification(RemediationState.VERIFYING, "Stabilizing", "in force", since, until)
    return Verification(RemediationState.SUCCEEDED, "InForce", f"{what} is as approved, and well", since)


def verify_held(
    spec: KiroRemediationSpec,
    status: KiroRemediationStatus,
    held: bool | Unobserved,  # noqa: FBT001 - a fact, not a switch
    seen_at: datetime,
    now: datetime,
) -> Verification:
    """Judge an action that sets something, by whether that stays: what was found need not go by it.

    It succeeds when it is seen to have stayed for the stabilization time, counted from the action, and fails
    as soon as somebody else has changed it: theirs wins. Where nobody looks any more it fails at once, too.
    """
    acted = min(status.acted_at or status.acting_at or now, now)
    deadline, until = acted + spec.timeout, acted + spec.stabilization
    what = f"{spec.target.kind} {spec.target.name}"
    if seen_at < acted:
        return _blind(deadline, f"{what} has not been looked at since", now)
    if isinstance(held, Unobserved) and held.reason == NOT_WATCHED:
        return Verification(RemediationState.FAILED, NOT_WATCHED, clip(f"whether it stays: {held.message}"))
    if isinstance(held, Unobserved):
        return _blind(deadline, held.message, now)
    if not held:
        message = f"somebody else has changed what was set in {what}: it is left as they have it"
        return Verification(RemediationState.FAILED, REVERTED, message)
    if seen_at < until:
        return Verification(RemediationState.VERIFYING, "Holding", "it stays as it was set", acted, until)
    return Verification(RemediationState.SUCCEEDED, "Held", f"{what} stayed as it was set", acted)


def _ended(spec: KiroRemediationSpec, workload: Workload | Unobserved | None) -> Verification | None:
    """What makes further looks pointless."""
    if isinstance(workload, Unobserved):
        return None
    if workload is None or workload.metadata.uid != spec.target.uid:
        message = f"{spec.target.kind} {spec.target.name} is gone"
        return Verification(RemediationState.EXPIRED, "TargetGone", message)
    if spec.replicas and _is_seen(spec, workload) and workload.desired != spec.replicas.after:
        message = f"replicas were set to {spec.replicas.after}, and somebody set them to {workload.desired}"
        return Verification(RemediationState.FAILED, REVERTED, message)
    return None


def _is_seen(spec: KiroRemediationSpec, workload: Workload) -> bool:
    """Whether what is seen can hold the change: each change of a workload raises its generation."""
    return spec.method is Method.EVICT or workload.metadata.generation > spec.fence.generation


def _look(
    spec: KiroRemediationSpec,
    findings: tuple[Finding, ...] | Unobserved,
    workload: Workload | Unobserved | None,
) -> str | Unobserved:
    """What is wrong with the target, empty for nothing.

    Checks have their grace periods; the workload itself tells at once whether it is all there. After
    an eviction that is a matter of numbers: an update that somebody holds back is none of its own.
    """
    if isinstance(findings, Unobserved):
        return findings
    if spec.method in WRITES or spec.method is Method.EXEC:
        return min((finding.message for finding in findings), default="")
    if isinstance(workload, Unobserved):
        return workload
    if workload is None or not _is_seen(spec, workload):
        return Unobserved("StaleWatch", "the change is not to be seen yet")
    if findings:
        return min(findings, key=lambda finding: (finding.since, finding.object, finding.reason)).message
    whole = workload.available >= workload.desired if spec.method is Method.EVICT else workload.settled
    facts = f"{workload.available} of {workload.desired} pods"
    return "" if whole else f"{facts} of {spec.target.kind} {spec.target.name} are available and up to date"


def _unwell(status: KiroRemediationStatus, deadline: datetime, trouble: str, now: datetime) -> Verification:
    if now >= deadline:
        reason = "Relapsed" if status.healthy_since else "StillFailing"
        return Verification(RemediationState.FAILED, reason, clip(f"it did not help: {trouble}"))
    return Verification(RemediationState.VERIFYING, "NotYetWell", clip(trouble), None, deadline)


def _blind(deadline: datetime, why: str, now: datetime) -> Verification:
    """What cannot be seen never counts as well, and as failed only when time is up."""
    if now >= deadline:
        return Verification(RemediationState.FAILED, "NotObserved", clip(f"whether it helped: {why}"))
    return Verification(RemediationState.VERIFYING, "NotObserved", clip(why), None, deadline)


class Live(Struct, frozen=True, kw_only=True):
    """The live objects behind an action, read from the API server and not from a cache."""

    workload: Workload | Unobserved | None
    """None: there is none of that name."""
    pod: Pod | Unobserved | None = None
    """The pod to evict, or to run a command in."""
    written: Mapping[str, Any] | Unobserved | None = None
    """The whole object, for the methods Create and Patch."""
    failing: bool | None = None
    """Whether anything is found against the target; None when that cannot be told."""


class Act(Struct, frozen=True):
    """Send it: it has not been done, and its reasons still hold. The gates are to be asked again."""


class AlreadyDone(Struct, frozen=True):
    """It has been done, or nobody can rule it out: go on with verification."""

    message: str


class Expire(Struct, frozen=True):
    """It has not been done, and is not to be."""

    reason: str
    message: str


class Wait(Struct, frozen=True):
    """It cannot be told: look again."""

    until: datetime


Resumption = Act | AlreadyDone | Expire | Wait

_LIMITS = PodFaultParameters()
_TOO_OLD = Expire("TooOld", "it was reserved too long ago for its reasons to hold")
_NEEDLESS = {
    True: Expire("Relapsed", "the target fails again: nothing is taken back"),
    False: Expire("Healed", "the target is well by itself"),
}


def resume(
    spec: KiroRemediationSpec,
    status: KiroRemediationStatus,
    live: Live,
    *,
    reserved_at: datetime,
    now: datetime,
) -> Resumption:
    """What to do about an action found Reserved or Acting that nobody is carrying out.

    What may have been sent, and could be behind what is seen, counts as done: that errs towards
    one action too few.
    """
    sent = status.state is RemediationState.ACTING
    answer = _came(spec, live, sent=sent)
    if isinstance(answer, AlreadyDone | Expire):
        return answer
    late = abs(now - reserved_at) > RESUME_WITHIN
    timed = spec.method is Method.GIVE_BACK  # whatever is found by now
    if answer is None or (live.failing is None and not timed):
        # What was sent may yet turn out to be done, however long that takes to see.
        if late and not (sent and answer is None):
            return _TOO_OLD
        return Wait(now + LOOK_AGAIN)
    return _needless(spec, live) or (_TOO_OLD if late else answer)


def _needless(spec: KiroRemediationSpec, live: Live) -> Expire | None:
    """Why what has not been done is not called for any more; None where it is, or nobody can tell."""
    if live.failing is None or spec.method is Method.GIVE_BACK:
        return None
    return _NEEDLESS[live.failing] if live.failing is (spec.method is Method.SCALE_BACK) else None


def is_ill(intent: Intent, facts: Snapshot, now: datetime) -> bool:
    """Whether what an action is for is seen not to be well, whatever a check may find there besides."""
    found: Pod | Workload | None
    if intent.method is Method.EVICT:
        pods = facts.pods
        found = None if intent.pod is None or isinstance(pods, Unobserved) else pods.get(intent.pod.name)
    else:
        found = workload_of(intent.target, facts)
    return found is not None and not is_well(found, now)


def is_well(found: Pod | Workload | Unobserved | None, now: datetime) -> bool:
    """Whether a workload is all there, and a pod Ready and not merely between two crashes, or run through."""
    if isinstance(found, Pod):
        if found.settled or found.status.phase == "Succeeded":
            return True
        return is_ready(found) and fault_of(found, _LIMITS, now)[0] is None
    return isinstance(found, Workload) and found.settled


def refused(spec: KiroRemediationSpec, live: Live) -> Act | AlreadyDone | Expire:
    """What to make of an action whose fence was lost: Act says that it may be sent again.

    The network may have sent it twice, and an earlier attempt may have come late: what looks done counts as
    done, as after a crash. The gates are not asked again for it; that somebody protected the object meanwhile
    is seen from the object itself.
    """
    answer = _came(spec, live, sent=True) or Act()
    # An annotation of a Deployment counts as a change of it, as that of no other object does.
    if not isinstance(answer, AlreadyDone) and _is_protected(live):
        return Expire("Protected", f"{spec.target.kind} {spec.target.name} or its pod is protected by now")
    return (_needless(spec, live) or answer) if isinstance(answer, Act) else answer


def _is_protected(live: Live) -> bool:
    """Of a workload or a pod; what is written by whole objects is not sent again in another version."""
    found = (live.workload, live.pod)
    return any(
        isinstance(each, Workload | Pod) and is_protected(each.metadata.annotations.protected)
        for each in found
    )


def _came(spec: KiroRemediationSpec, live: Live, *, sent: bool) -> Act | AlreadyDone | Expire | None:
    """What came of an action that may have been sent; None when it cannot be seen."""
    if spec.action in PROPOSALS:
        return _amended(spec, live, sent=sent)
    if spec.method in WRITES:
        return _written(spec, live, sent=sent)
    if spec.method is Method.EVICT:
        return _evicted(spec, live, sent=sent)
    if spec.method is Method.EXEC:
        return _executed(spec, live, sent=sent)
    return _changed(spec, live, sent=sent)


def _evicted(spec: KiroRemediationSpec, live: Live, *, sent: bool) -> Act | AlreadyDone | Expire | None:
    pod = live.pod
    if isinstance(pod, Unobserved):
        return None
    if pod is not None and pod.metadata.uid == spec.fence.uid and pod.metadata.deletion_timestamp is None:
        return Act()
    if sent:
        return AlreadyDone("the pod is gone or on its way out")
    return Expire("PodGone", "the pod went away by itself")


def _executed(spec: KiroRemediationSpec, live: Live, *, sent: bool) -> Act | AlreadyDone | Expire | None:
    """A command leaves nothing behind that would tell whether it was run: sent, it counts as run."""
    if sent:
        return AlreadyDone("the command may have been run, and is not run twice")
    pod = live.pod
    if isinstance(pod, Unobserved):
        return None
    if pod is None or pod.metadata.uid != spec.fence.uid or pod.metadata.deletion_timestamp is not None:
        return Expire("PodGone", "the pod went away before the command was run in it")
    return Act()


def _changed(spec: KiroRemediationSpec, live: Live, *, sent: bool) -> Act | AlreadyDone | Expire | None:
    workload, what = live.workload, f"{spec.target.kind} {spec.target.name}"
    if isinstance(workload, Unobserved):
        return None
    if workload is None or workload.metadata.uid != spec.fence.uid:
        return Expire("TargetGone", f"{what} is gone")
    changes = workload.metadata.generation - spec.fence.generation
    if not changes:
        return Act()
    target = Ref(spec.target.kind, spec.target.name, spec.target.uid)
    mark = workload.spec.template.metadata.annotations.restarted_by
    if mark == remediation_name(target, spec.episode, spec.step):
        return AlreadyDone(f"{what} carries the mark of this restart")
    scaled = spec.replicas is not None and workload.desired == spec.replicas.after
    if sent and (scaled or changes > 1):
        return AlreadyDone(f"{what} was changed since, and this may have been the change")
    return Expire("Changed", f"{what} was changed by somebody else meanwhile")


def _amended(spec: KiroRemediationSpec, live: Live, *, sent: bool) -> Act | AlreadyDone | Expire | None:
    if isinstance(live.written, Unobserved):
        return None
    if live.written is not None and holds(live.written, spec):
        what = f"{spec.target.kind} {spec.target.name}"
        if sent:
            return AlreadyDone(f"{what} holds what was approved")
        return Expire("Healed", f"{what} was changed so by somebody else")
    if live.written is not None and not is_looked_at(live.written, spec.target.kind):
        return None
    why = objection(live.written, spec)
    return Expire("Changed", why) if why else Act()


def _written(spec: KiroRemediationSpec, live: Live, *, sent: bool) -> Act | AlreadyDone | Expire | None:
    what = f"{spec.target.kind} {spec.target.name}"
    if isinstance(live.written, Unobserved):
        return None
    if live.written is None:
        return Act() if spec.method is Method.CREATE else Expire("TargetGone", f"{what} is gone")
    if holds(live.written, spec):
        return (
            AlreadyDone(f"{what} holds what was to be written")
            if sent
            else Expire("Healed", f"{what} is well")
        )
    metadata = live.written["metadata"]
    fence = (metadata["uid"], metadata["resourceVersion"])
    if spec.method is not Method.CREATE and fence == (spec.fence.uid, spec.fence.resource_version):
        return Act()
    return Expire("Changed", f"{what} was changed by somebody else meanwhile")
