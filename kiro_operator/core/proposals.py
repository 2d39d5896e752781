"""What a person decides on: made once, kept while it holds, withdrawn when it does not.

A proposal is a KiroRemediation that waits. It stands in nobody's way: gates do not count it before it is
carried out. There is one for each target and action; another one takes its place only when it would set
something that differs in substance, or when the target is not what was decided on any more.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import Backoff, Mode
from kiro_operator.core.findings import earliest
from kiro_operator.core.patches import in_order, is_keyed, is_strategic, merged, much_the_same
from kiro_operator.core.policy.approvals import change, difference, revision
from kiro_operator.core.policy.gates.backoff import RETRY, wait
from kiro_operator.core.policy.plan import Decision, Inputs, New, Past, Withdrawn
from kiro_operator.core.policy.rollouts import is_rolled_out
from kiro_operator.core.policy.ruling import rule
from kiro_operator.core.policy.situation import Census, autoscaler_of, census, situate
from kiro_operator.core.policy.subjects import subject
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.policy.types import (
    NEVER_ACTED,
    WORKLOADS,
    Change,
    Fence,
    Intent,
    Ledger,
    reserved,
)
from kiro_operator.core.remedies import proposers
from kiro_operator.core.remedies.change_boundary import is_narrower
from kiro_operator.core.remedies.types import Draft, Refusal, Wanted
from kiro_operator.core.remedies.wanted import is_observed
from kiro_operator.core.revisions import by_deployment, is_revision, number
from kiro_operator.core.snapshot import CERTAIN, Collection, Ref, Snapshot, Unobserved, workload
from kiro_operator.core.verdict import Amendment, Finding, Status

LIFETIME = timedelta(days=7)
"""How long a proposal waits for a person."""
HOLD = timedelta(days=1)
"""How long much the same is not proposed again after it was carried out, or came to nothing."""
AGAIN = RETRY.initial
"""How long it is not after something held it up: that may have passed."""
_FICKLE = Backoff(initial=AGAIN, maximum=HOLD)
"""The wait for another one, after the second within HOLD that something else was found instead of."""
MOST = 16
"""Proposals that wait in a namespace at a time."""
TIMEOUT = timedelta(minutes=10)
"""How long a change that was approved has to take hold."""
UNFIT = "the API server takes no record of it, and the operator's log says why: make the change by hand"
"""What is told of what is unfit for a record: the server's own words may quote what was sent."""

_BEFORE = frozenset({"mode", "allowed-actions", "policy"})
"""Gates before anything is proposed: what the policy does not list stays advice."""
_ANEW = frozenset({"Superseded", "Changed"})
"""Reasons after which much the same is no more held back than something else."""
DENIED = "ApprovalDenied"
"""Reason of one that a person denied."""
_NOT_ALLOWED = "NotAllowed"
"""Reason of one that the policy does not list any more."""
_MOOT = "Healed"
"""Reason of a refusal that needs no words: it is as it would be already."""
_HELD_UP = frozenset({_NOT_ALLOWED, "Contended", "NotDeclared", "ScaledByAutoscaler", "TargetGone", "TooOld"})
"""The same, and of one that was not carried out in time, or found its target too busy, away, or without what
was to be changed: that may have passed, and what was read may have been behind."""

_MINIMUM = "minReplicas"
"""What only those ask for who would have scaled: a check of autoscalers wants higher maxima."""

Key: TypeAlias = tuple[ActionName, str, str]
"""An action, and kind and name of its target: whether it is the very object is looked at by itself."""


class Asked(Struct, frozen=True):
    """A finding that could be mended so, and whether it is fresh enough to act on."""

    check: str
    finding: Finding
    actionable: bool


class Outline(Struct, frozen=True):
    """What becomes of proposals, old and new."""

    decisions: tuple[Decision, ...] = ()
    new: tuple[New, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()
    next: datetime | None = None


class _Gates(Struct, frozen=True):
    """All gates, as they stand at one point of a pass."""

    inputs: Inputs
    ledger: Ledger
    counted: Census

    def __call__(self, intent: Intent) -> Decision:
        inputs = self.inputs
        situation = situate(intent, inputs.snapshot, self.ledger, self.counted, inputs.approvals)
        return rule(intent, inputs.policies, situation, self.ledger, inputs.now)

    def after(self, intent: Intent) -> "_Gates":
        """The same with an action under way."""
        return _Gates(self.inputs, self.ledger.plus(reserved(intent, self.inputs.now)), self.counted)


def attend(inputs: Inputs, ledger: Ledger, besides: Iterable[Asked] = ()) -> Outline:
    """Decide on what waits, and draft what is not proposed yet.

    Args:
        inputs: what the plan is made from.
        ledger: past actions, with what else this pass does.
        besides: what is asked for beside what the findings say themselves.
    """
    mine = [past for past in inputs.proposals if past.open and past.mine]
    listed = _listed(inputs)
    if not listed and not mine:
        return Outline()  # as nearly always: nothing here is to cost an event of a pod anything
    asked = _asked(inputs, besides)
    asked = {key: item for key, item in asked.items() if key[0] in listed or key in map(_key, mine)}
    if not asked and not mine:
        return Outline()
    drafts = {key: _drafted(item, inputs.snapshot) for key, item in asked.items()}
    gates = _Gates(inputs, ledger, census(inputs.snapshot))
    decisions: list[Decision] = []
    withdrawn: list[Withdrawn] = []
    times: list[datetime] = []
    # Another one of the same follows when this one is off the record.
    standing = {_key(past) for past in inputs.proposals if past.open}
    for past in sorted(mine, key=attrgetter("made_at", "name")):
        key = _key(past)
        end = _end(past, asked.get(key), drafts.get(key), inputs)
        decision = None if end else _decided(past, asked.get(key), drafts.get(key), gates)
        end = end or _refused(past, decision)
        if end is not None:
            withdrawn.append(end)
        elif decision is not None:
            decisions.append(decision)
            times.append(past.made_at + LIFETIME)
            gates = gates.after(past.intent) if decision.decision == "Allowed" else gates
    times += [
        past.ended_at + AGAIN
        for past in inputs.proposals
        if _was_held_up(past) and past.ended_at and past.ended_at + AGAIN > inputs.now
    ]
    anew = (_anew_at(key, inputs) for key in asked if key not in standing)
    times += [moment for moment in anew if moment and moment > inputs.now]
    told, new = _fresh({key: item for key, item in asked.items() if key not in standing}, drafts, gates)
    return Outline((*decisions, *told), new, tuple(withdrawn), earliest(*times))


def _listed(inputs: Inputs) -> set[ActionName]:
    """What every policy in force lists of what can be proposed."""
    specs = [policy.spec for policy in inputs.policies]
    each = [{item.name for item in spec.actions} if spec is not None else set() for spec in specs]
    return set(PROPOSALS).intersection(*each) if each else set()


def _refused(past: Past, decision: Decision | None) -> Withdrawn | None:
    """The end of a proposal that somebody denied, or that the policy does not list any more."""
    if decision is None:
        return None
    if decision.reason == DENIED:
        return Withdrawn(past.name, RemediationState.DENIED, decision.reason, decision.message)
    if decision.gate in {"mode", "allowed-actions"}:
        return _expired(past, _NOT_ALLOWED, f"the policy does not have it proposed: {decision.message}")
    return None


def instead_of_scaling(decision: Decision, snapshot: Snapshot) -> Asked | None:
    """What to ask of the autoscaler that owns the replicas an action wanted to raise."""
    intent = decision.intent
    scaler, _ = autoscaler_of(intent.target, snapshot)
    if decision.gate != "autoscaler" or scaler is None or intent.replicas is None:
        return None
    if isinstance(snapshot.autoscalers, Unobserved) or (found := snapshot.autoscalers.get(scaler)) is None:
        return None
    target = Ref("HorizontalPodAutoscaler", scaler, found.metadata.uid)
    values = ((_MINIMUM, str(intent.replicas[1])),)
    amendment = Amendment(ActionName.CHANGE_AUTOSCALING, target, values)
    since = intent.since or datetime.fromtimestamp(0, UTC)
    finding = Finding(target, intent.reason, intent.message, since, amendment=amendment)
    return Asked(intent.check, finding, actionable=True)


def _asked(inputs: Inputs, besides: Iterable[Asked]) -> dict[Key, Asked]:
    """What could be mended by a proposal: for each target and action what its findings want together."""
    found: list[Asked] = [
        *besides,
        *_findings(inputs),
    ]
    found.sort(key=lambda item: (item.finding.since, item.check, item.finding.object))
    first: dict[Key, Asked] = {}
    for item in found:
        if amendment := item.finding.amendment:
            amendment = amendment.of(inputs.own)
            key = amendment.action, amendment.target.kind, amendment.target.name
            mine = replace(item, finding=replace(item.finding, amendment=amendment))
            first[key] = _with(first[key], amendment) if key in first else mine
    return first


def _with(item: Asked, more: Amendment) -> Asked:
    """The same, asking for what another finding wants of the target as well."""
    amendment = item.finding.amendment
    if amendment is None:
        raise ValueError(f"{item.check} asks for nothing")
    both = tuple(sorted({*amendment.values, *more.values}))
    return replace(item, finding=replace(item.finding, amendment=replace(amendment, values=both)))


def _findings(inputs: Inputs) -> Iterator[Asked]:
    return (
        Asked(check, finding, actionable)
        for check, (verdict, actionable) in inputs.verdicts.items()
        if verdict.status is Status.FAIL
        for finding in verdict.findings
        if finding.amendment is not None
    )


def _drafted(item: Asked, snapshot: Snapshot) -> Draft | Refusal:
    amendment = item.finding.amendment
    if amendment is None:
        raise ValueError(f"{item.check} asks for nothing")
    return proposers()[amendment.action].draft(amendment, snapshot)


def _key(past: Past) -> Key:
    return past.intent.action, past.intent.target.kind, past.intent.target.name


def _expired(past: Past, reason: str, message: str) -> Withdrawn:
    return Withdrawn(past.name, RemediationState.EXPIRED, reason, clip(message))


def _end(past: Past, asked: Asked | None, draft: Draft | Refusal | None, inputs: Inputs) -> Withdrawn | None:
    """Why a proposal does not stand any more."""
    what = named(past.intent.target)
    if _changed(past.intent, inputs.snapshot) or _is_another(past, asked):
        return _expired(past, "Changed", f"{what} is not what was decided on any more")
    if _lost(past.intent, inputs.snapshot):
        return _expired(past, "RevisionGone", f"the revision of {what} to go back to is not kept any more")
    if asked is None:
        if not is_observed(past.intent.check, inputs.verdicts, inputs.blind) or _still_fails(past, inputs):
            return None
        return _expired(past, _MOOT, f"{past.intent.check} finds nothing of {what} any more")
    if isinstance(draft, Refusal):
        return _expired(past, draft.reason, draft.message) if draft.lasting else None
    if draft is not None and not _alike(draft, past):
        other = difference(past.intent.action, draft.diff)
        return _expired(past, "Superseded", f"by now another change of {what} would do: {other}")
    if inputs.now - past.made_at >= LIFETIME:
        return _expired(past, "Lapsed", f"nobody decided on it for {LIFETIME.days} days")
    return None


def _lost(intent: Intent, snapshot: Snapshot) -> bool:
    """Whether the revision that a rollback is to is gone.

    One that is rolled out again has a new number before the Deployment has it.
    """
    if intent.action is not ActionName.ROLLBACK or intent.change is None:
        return False
    if isinstance(snapshot.replica_sets, Unobserved):
        return False
    revisions = by_deployment(snapshot.replica_sets).get(intent.target.uid, ())
    newest = max(revisions, key=number, default=None)
    return (newest is None or is_revision(newest, intent.fence.revision)) and not any(
        is_revision(item, intent.change.revision) for item in revisions
    )


def _still_fails(past: Past, inputs: Inputs) -> bool:
    """Whether what was to be mended has not come to an end, though nobody asks for this at this look.

    A rollout that is stuck moves whenever a pod of it becomes ready for a moment, for what was to be scaled
    another rung of its ladder may be up, and what crossed a boundary leaves the logs and may come again.
    """
    change_ = past.intent.change
    match past.intent.action:
        case ActionName.ROLLBACK:
            found = workload(past.intent.target, inputs.snapshot)
            return found is not None and not is_rolled_out(found)
        case ActionName.CHANGE_AUTOSCALING if change_ is not None:
            verdict, _ = inputs.verdicts[past.intent.check]
            return verdict.status is Status.FAIL and _MINIMUM in msgspec.json.decode(change_.patch)["spec"]
        case ActionName.CHANGE_BOUNDARY if change_ is not None:
            policy = inputs.snapshot.policies.get(past.intent.target.name)
            return policy is None or is_narrower(policy, change_.patch)
    return False


def _changed(intent: Intent, snapshot: Snapshot) -> bool:
    """Whether a target that is to be seen is another one by now, or has another pod template."""
    if intent.target.kind == "KiroSafetyPolicy":
        marks = snapshot.marks.get(intent.target.name)
        return marks is not None and marks.uid != intent.target.uid
    if intent.target.kind == "HorizontalPodAutoscaler":
        return not isinstance(snapshot.autoscalers, Unobserved) and subject(intent.target, snapshot) is None
    if intent.target.kind not in WORKLOADS or not _is_listed(intent.target, snapshot):
        return False
    found = workload(intent.target, snapshot)
    return found is None or revision(found) != intent.fence.revision


def _is_another(past: Past, asked: Asked | None) -> bool:
    """Whether what would be changed by now is another object of the same name."""
    amendment = asked.finding.amendment if asked else None
    return amendment is not None and amendment.target.uid not in {"", past.intent.target.uid}


def _is_listed(target: Ref, snapshot: Snapshot) -> bool:
    lists = {
        "Deployment": snapshot.deployments,
        "StatefulSet": snapshot.stateful_sets,
        "DaemonSet": snapshot.daemon_sets,
    }
    return isinstance(lists[target.kind], Collection)


def _alike(draft: Draft, past: Past) -> bool:
    if past.intent.change is None:
        return False
    if draft.source is not None:
        # What differs is not known before both are read; a revision of a Deployment does not change.
        return draft.revision == past.intent.change.revision
    wanted, before = msgspec.json.decode(draft.patch), msgspec.json.decode(past.intent.change.patch)
    kind = past.intent.target.kind
    if kind == "ConfigMap":
        # What it holds is text: a number beside another one may be a step the other way.
        return bool(wanted == before)
    if is_keyed(kind) and not is_strategic(kind):
        # On record are whole lists: much the same is what these have already.
        wanted = merged(before, wanted, strategic=True)
    return much_the_same(in_order(wanted, before), before)


def _decided(past: Past, asked: Asked | None, draft: Draft | Refusal | None, gates: _Gates) -> Decision:
    """What the gates say of a proposal that stands; only a fresh Fail is acted on."""
    decision = gates(past.intent)
    if decision.decision == "Allowed" and (asked is None or not asked.actionable):
        message = f"{past.intent.check} has not found it again yet"
        return replace(decision, decision="Denied", gate="approval", reason="NotFresh", message=message)
    if decision.decision == "Allowed" and isinstance(draft, Refusal):
        # It would not be proposed now, for want of something to be seen.
        message = clip(draft.message)
        return replace(decision, decision="Denied", gate="proposal", reason=draft.reason, message=message)
    return decision


def _fresh(
    asked: Mapping[Key, Asked], drafts: Mapping[Key, Draft | Refusal], gates: _Gates
) -> tuple[list[Decision], tuple[New, ...]]:
    """What is not proposed yet: in mode Enforce it is to be, in a dry run it is merely told."""
    inputs = gates.inputs
    room = MOST - sum(past.open for past in inputs.proposals)
    told: list[Decision] = []
    new: list[New] = []
    for key, item in asked.items():
        draft = drafts[key]
        if not item.actionable:
            continue
        if isinstance(draft, Refusal):
            told += _refusal(item, draft, gates)
            continue
        if _held(key, draft, inputs) or _is_untold(item, draft, inputs):
            continue
        intent = _intent(item, draft, inputs)
        decision = gates(intent)
        if decision.gate in _BEFORE:
            continue
        if any(policy.spec is None or policy.spec.mode is not Mode.ENFORCE for policy in inputs.policies):
            message = f"the policy is in mode DryRun: this would be proposed to a person: {change(intent)}"
            told.append(Decision(intent, "DryRun", "mode", "ModeDryRun", clip(message)))
        elif inputs.unfit.get((intent.action, intent.target)) == intent.change:
            told.append(Decision(intent, "Denied", "proposal", "Invalid", clip(f"{change(intent)}: {UNFIT}")))
        elif len(new) < room:
            new.append(New(intent, workload(intent.target, inputs.snapshot), decision.passed, draft.source))
    return told, tuple(new)


def _is_untold(item: Asked, draft: Draft, inputs: Inputs) -> bool:
    """Whether the very same was found not to be fit for a record: then the words of the check have to do."""
    amendment = item.finding.amendment
    found = workload(amendment.target, inputs.snapshot) if amendment and draft.source else None
    return found is not None and inputs.untold.get(found.metadata.uid) == (revision(found), draft.revision)


def _refusal(item: Asked, refusal: Refusal, gates: _Gates) -> list[Decision]:
    """Why nothing is proposed, where that does not pass by itself."""
    if refusal.reason == _MOOT or not (refusal.lasting or refusal.reason in CERTAIN):
        return []
    intent = _intent(item, None, gates.inputs)
    if gates(intent).gate in _BEFORE:
        return []
    return [Decision(intent, "Denied", "proposal", refusal.reason, clip(refusal.message))]


def _held(key: Key, draft: Draft, inputs: Inputs) -> bool:
    """Whether much the same was denied, or done, or came to nothing a short while ago."""
    settling = proposers()[key[0]].settling
    if (anew := _anew_at(key, inputs)) and anew > inputs.now:
        return True
    for past in inputs.proposals:
        if past.open or _key(past) != key or past.reason in _ANEW:
            continue
        if past.ended_at is None:
            return True
        ago = inputs.now - min(past.ended_at, inputs.now)
        if (past.acted or past.state not in NEVER_ACTED) and ago < settling:
            return True
        if not _alike(draft, past):
            continue
        if past.reason == DENIED or ago < (AGAIN if _was_held_up(past) else HOLD):
            return True
    return False


def _anew_at(key: Key, inputs: Inputs) -> datetime | None:
    """When another one may follow, where what is found has ended several within HOLD: each time later.

    Whoever writes what a check reads, such as logs, is not to make records without end.
    """
    now = inputs.now
    known = [past for past in inputs.proposals if _key(past) == key and _is_overtaken(past)]
    ends = [min(past.ended_at, now) for past in known if past.ended_at and now - past.ended_at < HOLD]
    return max(ends) + wait(_FICKLE, len(ends) - 1) if len(ends) > 1 else None


def _is_overtaken(past: Past) -> bool:
    """Whether its check found something else, or nothing, before anybody decided on it."""
    if past.acted or past.reason == "Changed" or _was_held_up(past):
        return False
    return past.state is RemediationState.EXPIRED


def _was_held_up(past: Past) -> bool:
    """Whether nothing came of it for what may have passed: a right, a pause, a crash, the policy."""
    if past.open or past.acted or past.reason == DENIED:
        return False
    return past.state is RemediationState.DENIED or past.reason in _HELD_UP


def _intent(item: Asked, draft: Draft | None, inputs: Inputs) -> Intent:
    """What is proposed; without a change where nothing is."""
    amendment = item.finding.amendment
    if amendment is None:
        raise ValueError(f"{item.check} asks for nothing")
    return Intent(
        action=amendment.action,
        method=Method.PATCH,
        target=amendment.target,
        api_version=draft.api_version if draft else "",
        fence=Fence(amendment.target.uid, ""),
        check=item.check,
        reason=item.finding.reason,
        message=Wanted(item.check, item.finding).message,
        # A proposal belongs to no illness.
        episode=1,
        step=1,
        timeout=TIMEOUT,
        stabilization=inputs.spec.remediation.stabilization,
        change=Change(draft.patch, draft.diff, draft.undo, draft.revision) if draft else None,
    )
