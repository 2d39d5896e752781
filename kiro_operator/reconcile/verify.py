"""Verify: follow each action to its end, and take up what a crash has left half done."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator import ports
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS
from kiro_operator.api.v1alpha1.remediation import FINAL_STATES, WRITES, Method, RemediationState
from kiro_operator.core import decide, switches
from kiro_operator.core import verify as judgement_of
from kiro_operator.core.evidence.safety_config import SAFETY_CONFIG
from kiro_operator.core.objects import Approval, Workload
from kiro_operator.core.policy.situation import census, situate
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.remedies import remedies
from kiro_operator.core.snapshot import Collection, Ref, Snapshot, Unobserved
from kiro_operator.core.verdict import Finding, Status, Verdict
from kiro_operator.reconcile.act import Act
from kiro_operator.reconcile.judge import Judgement, sampled_at
from kiro_operator.reconcile.outcomes import Outcome, proposal
from kiro_operator.reconcile.permits import Under
from kiro_operator.reconcile.records import Remediation, intent_of
from kiro_operator.reconcile.target import Target

logger = logging.getLogger(__name__)


class Look(Struct, frozen=True, kw_only=True):
    """What is to be seen of a target at one moment."""

    target: Target
    judgement: Judgement
    policies: tuple[decide.Policy, ...]
    under: Under
    remediations: Sequence[Remediation]
    """Of the whole namespace."""
    ledger: Ledger
    """With what was begun and is not to be seen yet."""
    facts: Snapshot
    """Of the whole namespace."""
    approvals: tuple[Approval, ...] | Unobserved
    now: datetime


class Verify:
    """The step verify."""

    def __init__(self, act: Act) -> None:
        self._act = act
        self._looks: dict[str, datetime] = {}
        """When to look at each running action again, by its UID."""
        self._sampled: dict[str, datetime] = {}
        """For which of these times a sample was asked for, by UID."""
        self._abandoning: set[asyncio.Task[None]] = set()

    async def attend(self, looking: Callable[[], Look]) -> Look:
        """Move on every running action that this KiroHealthCheck asked for; returns what is to be seen then.

        Whatever had to be waited for, ``looking`` is asked once more before anything rests on what was seen:
        meanwhile a policy may have been paused, a pod may have healed, another KiroHealthCheck have acted.
        """
        look = looking()
        target = look.target
        for item in look.remediations:
            mine = item.spec.health_check.uid == target.uid
            busy = (target.namespace, item.name) in self._act.in_flight
            if not mine or busy or item.status.state in FINAL_STATES:
                continue
            if item.open:
                waited = await self._propose(target.namespace, item)
            elif item.status.state is RemediationState.VERIFYING:
                waited = await self._watch(look, item)
            else:
                await self._resume(target.namespace, looking, item)
                waited = True
            if waited:
                look = looking()
        return look

    async def _propose(self, namespace: str, item: Remediation) -> bool:
        """Say of a proposal what a crash kept from being said; nothing else is to be done about it here."""
        if item.status.state is RemediationState.PROPOSED:
            return False
        await self._act.record(namespace, item, proposal(intent_of(item), namespace))
        return True

    def next_look(self, remediations: Sequence[Remediation]) -> datetime | None:
        """When to look again at what is running."""
        times = [
            self._looks[item.record.metadata.uid]
            for item in remediations
            if item.record.metadata.uid in self._looks
        ]
        return min(times, default=None)

    async def suspend(self, target: Target, remediations: Sequence[Remediation]) -> None:
        """End the running actions of a KiroHealthCheck that is suspended: nobody judges them meanwhile.

        Their targets are free for others again. What waits for a person is in nobody's way, and stays.
        """
        for item in remediations:
            mine = item.spec.health_check.uid == target.uid
            if mine and not item.open and item.status.state not in FINAL_STATES:
                why = f"KiroHealthCheck {target.name} is suspended: nobody judges it meanwhile"
                await self._end(target.namespace, item, "Suspended", why)

    def abandon(self, namespace: str, remediations: Sequence[Remediation]) -> None:
        """End the running actions of a KiroHealthCheck that was deleted: nobody will judge them."""
        for item in remediations:
            if item.status.state not in FINAL_STATES:
                task = asyncio.create_task(self.end_orphan(namespace, item))
                self._abandoning.add(task)
                task.add_done_callback(self._abandoning.discard)

    async def end_orphan(self, namespace: str, item: Remediation) -> None:
        """Record that nobody follows this action any more; what may have been done still counts."""
        gone = (
            "HealthCheckDeleted",
            f"KiroHealthCheck {item.spec.health_check.name} is gone: nobody judges it any more",
        )
        try:
            await self._end(namespace, item, *gone)
        except ports.Conflict:
            # Its last look was being written just then.
            try:
                await self._end(namespace, await self._act.read(namespace, item.name), *gone)
            except (ports.ApiError, ports.Unreachable) as error:
                logger.warning("KiroRemediation %s/%s not ended: %s", namespace, item.name, error)
        except (ports.ApiError, ports.Unreachable) as error:
            logger.warning("KiroRemediation %s/%s not ended: %s", namespace, item.name, error)

    async def _end(self, namespace: str, item: Remediation, reason: str, why: str) -> None:
        if item.status.state in FINAL_STATES:
            return
        status = item.status.model_copy(update={"acted_at": item.status.acted_at or item.status.acting_at})
        written = await self._act.write(namespace, item, status)
        await self._act.record(namespace, written, Outcome(RemediationState.EXPIRED, reason, why))
        self._forget(item.record.metadata.uid)

    async def _watch(self, look: Look, item: Remediation) -> bool:
        """Judge whether an action helped; returns whether that had to be waited for."""
        namespace = look.target.namespace
        proposed = item.spec.action in PROPOSALS
        if proposed:
            live = await self._act.live(namespace, item.spec)
            found = _workload(item, look.facts)
            result = judgement_of.in_force(item.spec, item.status, live.written, found, look.now)
        else:
            result = _verification(look, item)
        uid = item.record.metadata.uid
        if result.state in FINAL_STATES:
            self._forget(uid)
            await self._act.record(namespace, item, Outcome(result.state, result.reason, result.message))
            return True
        self._look_again(look, uid, result.next)
        status = item.status
        # Times that lie ahead come from a clock that was set back since: held against them, no wait
        # would be over before the clock has caught up.
        if status.acted_at is not None and status.acted_at > look.now:
            status = status.model_copy(update={"acted_at": look.now})
        if result.healthy_since != status.healthy_since:
            update = {
                "healthy_since": result.healthy_since,
                "reason": result.reason,
                "message": result.message,
            }
            status = status.model_copy(update=update)
        return await self._act.write(namespace, item, status) is not item or proposed

    def _look_again(self, look: Look, uid: str, time: datetime | None) -> None:
        """Have an action looked at when its time has come, and then by a sample that is not older.

        That one is asked for once: when it is there, it is looked at anyway.
        """
        self._looks.pop(uid, None)
        if time is None or (time <= look.now and self._sampled.get(uid) == time):
            return
        if time <= look.now:
            # The next round may be minutes away.
            look.target.look_anew, self._sampled[uid] = True, time
        self._looks[uid] = time

    def _forget(self, uid: str) -> None:
        self._looks.pop(uid, None)
        self._sampled.pop(uid, None)

    async def _resume(self, namespace: str, looking: Callable[[], Look], item: Remediation) -> None:
        """Go on with an action that another process, or this one before an error, left half done."""
        live, uid = await self._act.live(namespace, item.spec), item.record.metadata.uid
        # Whether it is still called for, and allowed, is asked when nothing has to be waited for any more.
        look = looking()
        findings = _findings(look, item)
        if not isinstance(findings, Unobserved):
            live = replace(live, failing=bool(findings))
        if live.failing and item.spec.method is not Method.SCALE_BACK and not _is_fresh(look.judgement, item):
            # What merely goes on to be told until more is seen asks for nothing.
            live = replace(live, failing=None)
        self._looks.pop(uid, None)
        match judgement_of.resume(
            item.spec, item.status, live, reserved_at=item.entry.reserved_at, now=look.now
        ):
            case judgement_of.AlreadyDone(message):
                await self._act.record(
                    namespace, item, Outcome(RemediationState.VERIFYING, "TakenUp", message)
                )
                return
            case judgement_of.Expire(reason, message):
                unsure = item.status.state is RemediationState.ACTING and item.spec.method in WRITES
                if unsure and reason in {"Changed", "TargetGone"}:
                    # It may have been done before that, which the content does not tell: it counts.
                    acted = {"acted_at": item.status.acting_at}
                    item = Remediation(item.record)
                    item.status = item.status.model_copy(update=acted)
                await self._act.record(namespace, item, Outcome(RemediationState.EXPIRED, reason, message))
                return
            case judgement_of.Wait(until):
                self._looks[uid] = until
                return
        intent = intent_of(item)
        others = look.ledger.without(item.name)
        situation = situate(intent, look.facts, others, census(look.facts), look.approvals)
        ruling = decide.rule(intent, look.policies, situation, others, look.now)
        if ruling.decision != "Allowed":
            denied = Outcome(RemediationState.DENIED, ruling.reason, ruling.message)
            await self._act.record(namespace, item, denied)
            return
        await self._act.take_up(namespace, item, look.under, look.facts)


def _verification(look: Look, item: Remediation) -> judgement_of.Verification:
    spec, status = item.spec, item.status
    if spec.change is not None and remedies()[spec.action].holds:
        ref = Ref(spec.target.kind, spec.target.name, spec.target.uid)
        held = switches.held(ref, spec.change.patch, spec.fence.resource_version, look.facts)
        seen_at = look.facts.sampled_at(SAFETY_CONFIG, look.now)
        return judgement_of.verify_held(spec, status, held, seen_at, look.now)
    return judgement_of.verify(
        spec,
        status,
        _findings(look, item),
        _workload(item, look.facts),
        look.now,
        seen_at=sampled_at(look.target, spec.check, look.now),
    )


def _findings(look: Look, item: Remediation) -> tuple[Finding, ...] | Unobserved:
    """What is found against the target of an action now."""
    found: list[Finding] = []
    asked = False
    for judged in look.judgement.judged:
        of, verdict = judged.registered.id, judged.verdict
        if of == item.spec.check:
            asked = True
            raw = look.target.raw.get(of, verdict)
            # What goes on to be told until more is seen is no look. Skipped is no health: a process that has
            # just started may not know yet what there is to judge.
            for told in (raw, verdict):
                if told.status in {Status.UNKNOWN, Status.SKIPPED}:
                    return Unobserved(told.reason, told.message)
            if verdict.status is Status.FAIL and not verdict.findings:
                return Unobserved("NotSampled", f"{item.spec.check} fails as an earlier process saw it")
            # One bad sample is no failure yet, and ends what would be health without a break.
            sampled = [finding for finding in raw.findings if not finding.at_once]
            if verdict.status is not Status.FAIL and look.target.checks[of].polled:
                found.extend(_against(item, of, replace(raw, findings=tuple(sampled))))
        found.extend(_against(item, of, verdict))
        # A warning is open as well while what it is about is being moved: that is no recovery.
        proposed = verdict.status is Status.FAIL and item.spec.action in PROPOSALS
        if not proposed and any(judgement_of.is_open(f, of, item.spec) for f in verdict.findings):
            return Unobserved("EvidenceMissing", f"{of} finds something, and cannot say for now where to act")
    if not asked:
        return Unobserved("NotJudged", f"the check {item.spec.check} is not enabled any more")
    return tuple(found)


def _against(item: Remediation, check: str, verdict: Verdict) -> list[Finding]:
    """What a failing check finds against the target of an action."""
    if verdict.status is not Status.FAIL:
        return []
    if item.spec.action in PROPOSALS:
        return [finding for finding in verdict.findings if _asks_for(finding, item)]
    return [f for f in verdict.findings if judgement_of.concerns(f, check, item.spec)]


def _is_fresh(judgement: Judgement, item: Remediation) -> bool:
    """Whether any of what is found against the target of an action may be acted on."""
    return any(
        _against(item, judged.registered.id, judged.verdict)
        for judged in judgement.judged
        if judged.registered.id in judgement.actionable
    )


def _asks_for(finding: Finding, item: Remediation) -> bool:
    """Whether a finding is what a proposal was made against; one that cannot see its target may well be."""
    amendment, target, asker = finding.amendment, item.spec.target, item.spec.health_check
    if amendment is None or amendment.action is not item.spec.action:
        return False
    aim = amendment.of(Ref("KiroHealthCheck", asker.name, asker.uid)).target
    return (aim.kind, aim.name) == (target.kind, target.name) and aim.uid in {"", target.uid}


def _workload(item: Remediation, facts: Snapshot) -> Workload | Unobserved | None:
    sources = {
        "Deployment": facts.deployments,
        "StatefulSet": facts.stateful_sets,
        "DaemonSet": facts.daemon_sets,
    }
    source = sources.get(item.spec.target.kind)
    return source.get(item.spec.target.name) if isinstance(source, Collection) else source
