"""From verdicts to a plan: what is wanted, what the policy says of it, and who has to know."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter

from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import COMMANDS, ActionName, LadderStep
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.findings import earliest
from kiro_operator.core.objects import Workload
from kiro_operator.core.policy.approvals import sealed
from kiro_operator.core.policy.history import tried
from kiro_operator.core.policy.ladder import quiet_period, turn
from kiro_operator.core.policy.plan import Decision, Escalation, Held, Inputs, Plan, Policy
from kiro_operator.core.policy.ruling import narrowest_limits, rule
from kiro_operator.core.policy.selectors import selector_of
from kiro_operator.core.policy.situation import Census, autoscaler_of, census, situate
from kiro_operator.core.policy.text import clip, named
from kiro_operator.core.policy.types import WORKLOADS, Entry, Intent, Ledger, reserved
from kiro_operator.core.policy.wellness import (
    Memory,
    Need,
    Wellness,
    looked_again,
    remember,
    still_needed,
)
from kiro_operator.core.proposals import attend, instead_of_scaling
from kiro_operator.core.remedies import commands, contain, detailed_logging, remedies
from kiro_operator.core.remedies.scale import borrowed, give_back
from kiro_operator.core.remedies.types import Request, Wanted
from kiro_operator.core.remedies.wanted import Patient, ailing, fallbacks, is_observed, sort_out
from kiro_operator.core.snapshot import AWAITING, Ref, Unobserved, workload
from kiro_operator.core.switches import NOT_WATCHED, SWITCHES
from kiro_operator.core.verdict import Status

_SUBJECTS = frozenset({"ConfigMap", "ClusterRole", "ClusterRoleBinding"})
"""Kinds that remedies bring back to what is declared."""

_BRAKES = frozenset({"mode", "pause-requests", "policy"})
"""Gates at which a person stops everything: whoever does has to know of what is not given back."""

__all__ = ["Decision", "Escalation", "Held", "Inputs", "Plan", "Policy", "decide", "rule"]


def decide(inputs: Inputs) -> Plan:
    """Plan what to do about what is found, and what to take back where nothing is.

    Targets are taken by the age of their fault. What is allowed counts for the targets after it as
    if it were under way, so that the limits hold within one pass; in a dry run so does what would
    be allowed.
    """
    memory = _memory(inputs)
    if inputs.spec.suspend:
        return Plan(memory=memory)
    found = sort_out(inputs.verdicts, inputs.snapshot)
    proposals: list[Intent | Escalation | Held] = [
        _escalation(each.object, each.wanted, "NoRemedy", "no remedy helps against it")
        for each in found.hopeless
    ]
    proposals += [_unplaced(want) for want in found.unplaced]
    # Before anything else is set there: only what was set last is owed.
    proposals += _hand_back(inputs)
    proposals += _treat_all(found.patients, inputs, memory)
    given_back, due = _give_back(inputs, memory)
    proposals += given_back
    memory = _with_given_back(memory, given_back)
    return _with_proposals(_judge(proposals, inputs, memory, due), inputs)


def _with_proposals(plan: Plan, inputs: Inputs) -> Plan:
    """The plan, and behind it what a person decides on: those give way to all that is done by itself."""
    ledger = inputs.ledger
    for decision in plan.decisions:
        if decision.decision != "Denied":
            ledger = ledger.plus(reserved(decision.intent, inputs.now))
    besides = (instead_of_scaling(decision, inputs.snapshot) for decision in plan.decisions)
    outline = attend(inputs, ledger, [item for item in besides if item is not None])
    times = [plan.next, outline.next, *(decision.until for decision in outline.decisions)]
    return replace(
        plan,
        decisions=(*plan.decisions, *outline.decisions),
        proposals=outline.new,
        withdrawn=outline.withdrawn,
        next=earliest(*(time for time in times if time is not None and time > inputs.now)),
    )


def _judge(
    proposals: list[Intent | Escalation | Held], inputs: Inputs, memory: Memory, due: list[datetime]
) -> Plan:
    """Put each intent to the gates, in order, each with those before it in the ledger."""
    decisions: list[Decision] = []
    escalations = [proposal for proposal in proposals if isinstance(proposal, Escalation)]
    intents = [proposal for proposal in proposals if isinstance(proposal, Intent)]
    ledger = inputs.ledger
    counted: Census | None = None
    for intent in intents:
        counted = counted or census(inputs.snapshot)
        situation = situate(intent, inputs.snapshot, ledger, counted, inputs.approvals)
        decision = rule(intent, inputs.policies, situation, ledger, inputs.now)
        decisions.append(decision)
        if decision.decision != "Denied":
            ledger = ledger.plus(reserved(intent, inputs.now))
        if _keeps(decision):
            escalations.append(_kept(decision, inputs.snapshot.namespace))
        elif decision.needs_person and intent.method is not Method.SCALE_BACK:
            escalations.append(
                Escalation(intent.target, intent.check, decision.reason, intent.reason, decision.message)
            )
    times = [*due, *(decision.until for decision in decisions if decision.until is not None)]
    return Plan(
        decisions=tuple(decisions),
        escalations=tuple(sorted(escalations)),
        held=tuple(sorted(proposal for proposal in proposals if isinstance(proposal, Held))),
        next=min((time for time in times if time > inputs.now), default=None),
        memory=_with_asked(memory, decisions),
    )


def _with_asked(memory: Memory, decisions: Iterable[Decision]) -> Memory:
    """The same, with whose actions a person is asked about now: from here on these may be denied."""
    asked: dict[str, Wellness] = {}
    for intent in (decision.intent for decision in decisions if decision.asks):
        uid = intent.target.uid
        before = asked.get(uid) or memory.get(uid, Wellness())
        field = "back" if intent.method is Method.SCALE_BACK else "need"
        need: Need | None = getattr(before, field)
        if need is not None:
            asked[uid] = replace(before, **{field: replace(need, asked=True)})
    return {**memory, **asked}


def _with_given_back(memory: Memory, intents: Iterable[Intent]) -> Memory:
    """The same, with since when each of these is called for: to the next plan they are what they are now."""
    since = {
        intent.target.uid: Need(intent.since, intent.check, asked=intent.asked)
        for intent in intents
        if intent.since
    }
    return {**memory, **{uid: replace(memory[uid], back=need) for uid, need in since.items()}}


def _treat_all(patients: list[Patient], inputs: Inputs, memory: Memory) -> list[Intent | Escalation | Held]:
    """What is next for each target; where nothing is left for one, for what stands behind it."""
    proposals: list[Intent | Escalation | Held] = []
    known = {patient.target for patient in patients}
    for patient in patients:
        proposal = _treat(patient, inputs, memory)
        behind = fallbacks(patient) if _is_exhausted(proposal) else []
        left = [other for other in behind if other.target not in known]
        known.update(other.target for other in left)
        others = [_treat(other, inputs, memory) for other in left]
        proposals += [other for other in others if not _is_not_on_ladder(other)] or [proposal]
    return proposals


def _is_exhausted(proposal: Intent | Escalation | Held) -> bool:
    return isinstance(proposal, Escalation) and proposal.reason == "LadderExhausted"


def _is_not_on_ladder(proposal: Intent | Escalation | Held) -> bool:
    return isinstance(proposal, Escalation) and proposal.reason == "NotOnLadder"


def _treat(patient: Patient, inputs: Inputs, memory: Memory) -> Intent | Escalation | Held:
    """What is next for a target that fails."""
    target, first = patient.target, patient.wanted[0]
    mildest = first.finding.remedies[0]
    if target.kind == "Pod":
        return _escalation(target, patient.wanted, "BarePod", "nothing would bring this pod back")
    unseen = inputs.snapshot.replica_sets
    if target.kind == "ReplicaSet" and isinstance(unseen, Unobserved):
        return Held(target, first.check, mildest, "EvidenceMissing", clip(f"replicasets: {unseen.message}"))
    if target.kind in _SUBJECTS:
        return _climb(patient, None, _own_ladder(patient, inputs.ledger), inputs, memory)
    if target.kind not in WORKLOADS:
        return _escalation(
            target, patient.wanted, "NotSupported", f"a {target.kind} is left to its own controller"
        )
    found = workload(target, inputs.snapshot)
    if found is None:
        message = f"{named(target)} is not to be seen, or is another object by now"
        return Held(target, first.check, mildest, "EvidenceMissing", message)
    return _climb(patient, found, inputs.spec.remediation.ladder, inputs, memory)


def _own_ladder(patient: Patient, ledger: Ledger) -> list[LadderStep]:
    """What was tried before, then what the checks name: the ladder of the spec is for workloads.

    So each is tried once in an episode, and what was tried stands in no other's way. What contains harm
    comes before what mends it.
    """
    entries = ledger.of(patient.target)
    before = [entry.action for entry in tried(entries, max((entry.episode for entry in entries), default=1))]
    asked = [action for want in patient.wanted for action in want.finding.remedies]
    asked.sort(key=lambda action: action is not ActionName.CONTAIN)
    return [LadderStep(action=action) for action in dict.fromkeys((*before, *asked))]


def _climb(
    patient: Patient,
    found: Workload | None,
    ladder: Sequence[LadderStep],
    inputs: Inputs,
    memory: Memory,
) -> Intent | Escalation | Held:
    """The first rung of the ladder, from where the target stands, that can be done."""
    remediation, target = inputs.spec.remediation, patient.target
    known, since = memory.get(target.uid, Wellness()), patient.wanted[0].finding.since
    at = turn(
        inputs.ledger.remedies.of(target),
        ladder,
        # A container that crashes in turns dates its fault anew each time; the need goes on.
        since=min(since, known.need.since) if known.need else since,
        recovered_at=known.recovered_at,
        quiet=quiet_period(remediation),
    )
    # What was to be run is no matter against what no command helps, nor once it is taken off the ladder.
    graver = any(map(_is_graver, patient.wanted))
    listed = {rung.action for rung in ladder}
    done = (entry for entry in tried(inputs.ledger.of(target), at.episode) if entry.action in listed)
    refusal = None if graver else commands.not_found(done)
    unset = refusal is not None
    for number, rung in enumerate(ladder[at.rung :], at.rung):
        if unset and rung.action not in COMMANDS:
            # That the milder step is not set up, or not there, is no reason for a graver one.
            break
        asking = tuple(want for want in patient.wanted if rung.action in want.finding.remedies)
        if not asking or (rung.action in COMMANDS and graver):
            continue
        proposal = remedies()[rung.action].propose(
            Request(
                target=target,
                workload=found,
                wanted=asking,
                snapshot=inputs.snapshot,
                episode=at.episode,
                step=at.step,
                timeout=rung.timeout,
                stabilization=remediation.stabilization,
                evicted=at.evicted if number == at.rung else 0,
                eviction_failed=at.eviction_failed and number == at.rung,
                limits=narrowest_limits(inputs.policies),
                contained=contain.standing(inputs.ledger.of(target)),
                command=inputs.commands.get(rung.action, ()),
            )
        )
        if isinstance(proposal, Intent):
            need = memory[target.uid].need or Need(inputs.now, asking[0].check)
            return replace(sealed(proposal, found, need.since), asked=need.asked)
        if not proposal.lasting:
            return Held(target, asking[0].check, rung.action, proposal.reason, clip(proposal.message))
        refusal, unset = refusal or proposal, unset or rung.action in COMMANDS
    if refusal is not None:
        return _escalation(target, patient.wanted, refusal.reason, refusal.message)
    if at.rung:
        return _escalation(target, patient.wanted, "LadderExhausted", "what the ladder holds did not help")
    return _escalation(target, patient.wanted, "NotOnLadder", "the ladder holds nothing that helps")


def _is_graver(want: Wanted) -> bool:
    """Whether no command helps against it: what does must not wait until a command has been verified."""
    return COMMANDS.isdisjoint(want.finding.remedies)


def _give_back(inputs: Inputs, memory: Memory) -> tuple[list[Intent], list[datetime]]:
    """Steps back for targets that stayed well, and when others will have."""
    remediation = inputs.spec.remediation
    intents: list[Intent] = []
    times: list[datetime] = []
    targets = {entry.target.uid: entry.target for entry in inputs.ledger.remedies.entries}
    for uid, target in sorted(targets.items()):
        entries = inputs.ledger.of(target)
        found, owed, wellness = workload(target, inputs.snapshot), borrowed(entries), memory[uid]
        if found is None or owed is None or wellness.well_since is None:
            continue
        if any(entry.running for entry in entries) or autoscaler_of(target, inputs.snapshot) != (None, True):
            continue
        episode = max(entry.episode for entry in entries)
        intent = give_back(
            target,
            found,
            owed,
            needed=_needed(target, inputs),
            limits=narrowest_limits(inputs.policies),
            episode=episode,
            step=max(entry.step for entry in entries if entry.episode == episode) + 1,
            timeout=_timeout(remediation.ladder),
            stabilization=remediation.stabilization,
        )
        # An earlier process may have seen it fail just now: the time begins at the first look of this one.
        well_from = max(owed.since, wellness.unwell_at or wellness.well_since)
        due = min(well_from, inputs.now) + remediation.scale_back_after
        if intent is not None and due <= inputs.now:
            back = wellness.back or Need(wellness.well_since.replace(microsecond=0), owed.check)
            intents.append(replace(sealed(intent, found, back.since), asked=back.asked))
        elif intent is not None:
            times.append(due)
    return intents, times


def _keeps(decision: Decision) -> bool:
    """Whether it takes a person to give back what was set for a while, or somebody's brake keeps it on.

    The brake holds. That the time is over all the same is for a person to know.
    """
    if decision.intent.method is not Method.GIVE_BACK or decision.decision == "Allowed":
        return False
    return decision.needs_person or decision.gate in _BRAKES


def _kept(decision: Decision, namespace: str) -> Escalation:
    intent = decision.intent
    how = contain.by_hand(intent.target.name, intent.change.patch if intent.change else "", namespace)
    message = clip(
        f"{intent.message} as soon as it may be; to give it back by hand: {how}; {decision.message}"
    )
    return Escalation(intent.target, intent.check, decision.reason, intent.reason, message)


def _hand_back(inputs: Inputs) -> list[Intent | Escalation | Held]:
    """What was set for a while, and whose time is over: whoever asked for it, and whatever is found now."""
    proposals: list[Intent | Escalation | Held] = []
    logging = (entry for entry in inputs.ledger.entries if entry.action is ActionName.DETAILED_LOGGING)
    targets = {entry.target.uid: entry.target for entry in logging}
    for _, target in sorted(targets.items()):
        entries = inputs.ledger.of(target)
        change = detailed_logging.owed(entries)
        if change is None or any(entry.running for entry in entries):
            continue
        seen = inputs.snapshot.value(SAFETY_CONFIG)
        if isinstance(seen, Unobserved):
            why = clip(f"what {change.name} set for a while cannot be seen: {seen.message}")
            reason = AWAITING.reason if seen.reason == AWAITING.reason else "EvidenceMissing"
            proposals.append(Held(target, change.check, change.action, reason, why))
            continue
        if target.name not in seen:
            proposals.append(_out_of_sight(change, inputs.snapshot.namespace))
            continue
        episode = max(entry.episode for entry in entries)
        intent = detailed_logging.give_back(
            change,
            inputs.snapshot,
            episode=episode,
            step=max(entry.step for entry in entries if entry.episode == episode) + 1,
            timeout=LadderStep(action=change.action).timeout,
            stabilization=inputs.spec.remediation.stabilization,
        )
        if intent is not None:
            proposals.append(intent)
    return proposals


def _out_of_sight(change: Entry, namespace: str) -> Escalation:
    """Nothing is written that no policy names any more, and nobody looks at it: a person has to."""
    how = contain.by_hand(change.target.name, change.change.undo if change.change else "", namespace)
    message = (
        f"{named(change.target)}: {change.name} has set it for a while, and no KiroSafetyPolicy names it any "
        f"more: name it again, or to give it back by hand: {how}, and delete KiroRemediation {change.name}"
    )
    return Escalation(change.target, change.check, NOT_WATCHED, NOT_WATCHED, clip(message))


def _timeout(ladder: list[LadderStep]) -> timedelta:
    """Time to see whether a step back does harm: as long as a step up may take."""
    steps = [step for step in ladder if step.action is ActionName.SCALE]
    return (steps or [LadderStep(action=ActionName.SCALE)])[0].timeout


def _needed(target: Ref, inputs: Inputs) -> int:
    """The fewest replicas that any check finds enough."""
    return max(
        (
            count
            for verdict, _ in inputs.verdicts.values()
            for ref, count in verdict.replicas_needed
            if ref.uid == target.uid
        ),
        default=0,
    )


def _memory(inputs: Inputs) -> Memory:
    """What is known of each target of the ledger after this look."""
    inputs = replace(
        inputs, memory={uid: looked_again(each, inputs.now) for uid, each in inputs.memory.items()}
    )
    ill = ailing(inputs.verdicts, inputs.snapshot)
    quiet = quiet_period(inputs.spec.remediation)
    last = {
        entry.target.uid: entry
        for entry in sorted(inputs.ledger.remedies.entries, key=lambda entry: (entry.episode, entry.step))
    }
    health = {
        uid: remember(
            inputs.memory.get(uid, Wellness(seen_at=inputs.now)),
            well=uid not in ill and _is_watched(entry, inputs),
            quiet=quiet,
            now=inputs.now,
        )
        for uid, entry in last.items()
    }
    # What shows for a moment is no illness, and ends nothing that was denied.
    if given := {uid for uid in health.keys() & ill if health[uid].back}:
        settled = {check: verdict for check, verdict in inputs.verdicts.items() if verdict[1]}
        for uid in given & ailing(settled, inputs.snapshot):
            health[uid] = replace(health[uid], back=None)
    return {**health, **_needs(inputs, health, quiet)}


def _needs(inputs: Inputs, health: Memory, quiet: timedelta) -> Memory:
    """Who wants an action, settled or not, or has wanted one just now; with what is known of its health."""
    asking = {
        ref.uid: check
        for check, (verdict, _) in sorted(inputs.verdicts.items(), key=itemgetter(0))
        if verdict.status is Status.FAIL
        for finding in verdict.findings
        if finding.remedies
        for ref in (finding.target, finding.fallback)
        if ref is not None
    }
    found: dict[str, Wellness] = {}
    for uid in {*asking, *(uid for uid, each in inputs.memory.items() if each.need)}:
        before = inputs.memory.get(uid, Wellness()).need
        # A check that is not run any more asks for nothing.
        seen = before is not None and (
            before.check not in inputs.verdicts or is_observed(before.check, inputs.verdicts, inputs.blind)
        )
        need = still_needed(before, asking.get(uid), seen=seen, quiet=quiet, now=inputs.now)
        if need is not None or uid in health:
            found[uid] = replace(health.get(uid, Wellness(seen_at=inputs.now)), need=need)
    return found


def _is_watched(entry: Entry, inputs: Inputs) -> bool:
    """Whether this KiroHealthCheck would see it if the target of an action failed.

    The ledger is that of the namespace: to a KiroHealthCheck that does not select the target, or
    does not run the check that asked, silence is no health.
    """
    found = workload(entry.target, inputs.snapshot)
    if found is None or not is_observed(entry.check, inputs.verdicts, inputs.blind):
        return False
    selector = selector_of(inputs.spec.selector)
    return selector.matches(found.spec.template.metadata.labels) or selector.matches(found.metadata.labels)


def _unplaced(want: Wanted) -> Held:
    action = want.finding.remedies[0]
    # What sets a key has no target only until its ConfigMap has been sampled.
    reason = AWAITING.reason if action in SWITCHES else "EvidenceMissing"
    message = f"which workload to act on cannot be seen for now: {want.message}"
    return Held(want.finding.object, want.check, action, reason, clip(message))


def _escalation(target: Ref, wanted: tuple[Wanted, ...], reason: str, why: str) -> Escalation:
    first, *others = wanted
    more = f" ({len(others)} more findings)" if others else ""
    # A refusal often begins with its target already.
    subject = "" if why.startswith(named(target)) else f"{named(target)}: "
    message = f"{subject}{why}: {first.message}{more}"
    return Escalation(target, first.check, reason, first.finding.reason, clip(message))
