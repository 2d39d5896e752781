"""The loop: what comes in wakes a key, and a key is worked from the world as it is.

Level-triggered throughout: a reconciliation reads everything it needs anew, so that killing the
process at any moment loses nothing but time.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from msgspec.structs import replace

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.elector import Elector, NotLeading
from kiro_operator.adapters.kubernetes.watches import REMEDIATIONS, Watches
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckStatus
from kiro_operator.api.v1alpha1.remediation import WRITES, Method
from kiro_operator.core.conditions import Outcome, Permission, broken_off, next_transition, summarize
from kiro_operator.core.decide import Inputs, Plan, Policy, decide
from kiro_operator.core.findings import earliest
from kiro_operator.core.permissions import advice_from
from kiro_operator.core.policy.permission import paused, permission
from kiro_operator.core.policy.reservations import next_release
from kiro_operator.core.policy.storms import casualties, ends
from kiro_operator.core.snapshot import Ref, Sample, Snapshot
from kiro_operator.reconcile import plans
from kiro_operator.reconcile.act import Act
from kiro_operator.reconcile.approvals import Approvals
from kiro_operator.reconcile.intake import HEALTH_CHECK, POLICY, Intake, Work
from kiro_operator.reconcile.judge import judge
from kiro_operator.reconcile.observe import Observation
from kiro_operator.reconcile.policies import Policies
from kiro_operator.reconcile.queue import Urgency
from kiro_operator.reconcile.records import Records, Remediation, ledger_of, proposals_of
from kiro_operator.reconcile.report import Reporter
from kiro_operator.reconcile.scheduler import Alarms
from kiro_operator.reconcile.sweep import Sweep
from kiro_operator.reconcile.target import Key, Target
from kiro_operator.reconcile.verify import Look, Verify

LONGEST = 120.0
"""Seconds after which an alarm rings in any case: clocks jump, and staleness is a matter of time."""
REFUSED_FOR = 30.0
"""Seconds until an action is tried again after a permission was found missing."""
LASTING = 3
"""Reconciliations in a row that break off before the status says so."""
PATIENCE = 10.0
"""Seconds a first listing may take before the status says what is being waited for: in a large cluster
saying it too early doubles the writes of a start."""

logger = logging.getLogger(__name__)


class Loop:
    """Works the queue: one reconciliation after the other, each key by one worker at a time."""

    def __init__(
        self,
        *,
        watches: Watches,
        observation: Observation,
        policies: Policies,
        approvals: Approvals,
        act: Act,
        verify: Verify,
        commands: Mapping[ActionName, tuple[str, ...]],
        reporter: Reporter,
        sweep: Sweep,
        elector: Elector,
        metrics: Metrics,
        clock: ports.Clock,
        sharded: bool,
        sweep_interval: float,
    ) -> None:
        self._watches = watches
        self._observation = observation
        self._policies = policies
        self._approvals = approvals
        self._act = act
        self._verify = verify
        self._commands = commands
        self._reporter = reporter
        self._sweep = sweep
        self._elector = elector
        self._metrics = metrics
        self._clock = clock
        self._sharded = sharded
        self._sweep_interval = sweep_interval
        self._records = Records()
        self.intake = Intake(
            watches=watches,
            policies=policies,
            records=self._records,
            metrics=metrics,
            clock=clock,
            on_removed=self._removed,
        )
        self.queue = self.intake.queue
        self._alarms: Alarms[Work] = Alarms(lambda work: self.queue.add(work, Urgency.RESYNC))
        self._waiting_since: dict[Key, float] = {}

    async def work(self, workers: int) -> None:
        """Work the queue, until cancelled."""
        for target in self.intake.targets():
            self.queue.add((HEALTH_CHECK, target.key), Urgency.RESYNC)
        for policy in self._policies:
            self.queue.add((POLICY, policy.key), Urgency.RESYNC)
        # Before the first plan, or each start would tell for a moment that no approval counts.
        await self._approvals.look()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._sweeping())
                group.create_task(self._approvals.keep_looking(self.intake.wake_all))
                for _ in range(workers):
                    group.create_task(self._worker())
        finally:
            await self._observation.stop()

    async def _sweeping(self) -> None:
        while True:
            try:
                await self._sweep_once()
            except (ports.ApiError, ports.Unreachable) as error:
                logger.warning("sweep: %s; again in %.0f s", error, self._sweep_interval)
            except Exception:
                # Tidying is not worth the process; what it could not do is in the log.
                logger.exception("sweep broke; again in %.0f s", self._sweep_interval)
            await asyncio.sleep(self._sweep_interval)

    async def _sweep_once(self) -> None:
        targets = await self._sweep.deleted(
            "kirohealthchecks", lambda: {target.key: target.uid for target in self.intake.targets()}
        )
        for key in targets:
            logger.info("KiroHealthCheck %s/%s was deleted unseen", *key)
            self.intake.remove(key)
        policies = await self._sweep.deleted(
            "kirosafetypolicies", lambda: {policy.key: policy.uid for policy in self._policies}
        )
        for key in policies:
            logger.info("KiroSafetyPolicy %s/%s was deleted unseen", *key)
            self.intake.remove_policy(key)
        await self._sweep.records()

    async def _worker(self) -> None:
        while True:
            work = await self.queue.get()
            self._metrics.queue_depth.set(len(self.queue))
            started = self._clock.monotonic()
            try:
                await self._work(work)
            except NotLeading:
                logger.info("not leading any more: %s is left to another process", work[1])
            except (ports.ApiError, ports.Unreachable) as error:
                asked = error.retry_after if isinstance(error, ports.ApiError) else None
                wait = self.queue.retry(work, asked or 0.0)
                level = logging.DEBUG if isinstance(error, ports.Conflict) else logging.WARNING
                logger.log(level, "%s %s: %s; again in %.1f s", work[0], "/".join(work[1]), error, wait)
                self._metrics.reconciliations.labels("retried").inc()
            except Exception as error:
                # A fault in one object's reconciliation must not end the work on all others.
                wait = self.queue.retry(work)
                logger.exception("%s %s broke; again in %.1f s", work[0], "/".join(work[1]), wait)
                self._metrics.reconciliations.labels("broke").inc()
                if work[0] == HEALTH_CHECK and self.queue.failures(work) >= LASTING:
                    await self._tell_broken(work[1], error)
            else:
                self.queue.succeeded(work)
                self._metrics.reconciliations.labels("done").inc()
            finally:
                self.queue.done(work)
                self._metrics.duration.observe(self._clock.monotonic() - started)

    async def _work(self, work: Work) -> None:
        self._elector.check()
        kind, key = work
        if kind == POLICY:
            await self._refresh_policy(key)
        elif target := self.intake.get(key):
            await self._reconcile(target)
            if target.broke is not None:
                target.broke = None
                self.queue.add(work)  # to say so

    async def _tell_broken(self, key: Key, error: Exception) -> None:
        """Say in a status that it is not kept up any more, or it would tell of a health long gone."""
        target = self.intake.get(key)
        if target is None or target.broke is not None or not self._elector.leading:
            return
        problem = Permission(
            allowed=False,
            reason="InternalError",
            # Its type alone: its words may be anybody's.
            message=f"a fault of the operator, {type(error).__name__}, breaks off the work on this object, "
            "which is tried again and again; its log has the trace, and this status may be out of date",
        )
        status = broken_off(target.status, problem, target.generation, self._clock.now())
        try:
            await self._reporter.write(target, status)
        except ports.Conflict:
            self.queue.add((HEALTH_CHECK, key))  # an edit that mends it may have been read with it
        except (ports.ApiError, ports.Unreachable) as failed:
            logger.warning("KiroHealthCheck %s/%s: not told that work on it breaks off: %s", *key, failed)
        else:
            target.broke = problem

    async def _refresh_policy(self, key: Key) -> None:
        policy = self._policies.get(*key)
        if policy is None or (self._sharded and not self.intake.follows(key[0])):
            return
        remediations = self._remediations(key[0])
        await self._policies.refresh(policy, ledger_of(remediations).entries)
        if policy.spec and (due := next_release(policy.status.reservations, policy.spec, self._clock.now())):
            self._alarms.set((POLICY, key), (due - self._clock.now()).total_seconds() + 1.0)

    async def _reconcile(self, target: Target) -> None:
        now = self._clock.now()
        if target.spec.suspend and target.problem is None:
            self._observation.forget(target.key)
            target.let_go()
            suspended = permission(None, suspended=True)
            outcome = Outcome(
                generation=target.generation, namespace=target.namespace, now=now, suspended=True,
                permission=suspended,
                remediations=plans.summaries(target, self._remediations(target.namespace)),
                requested_at=target.requested_at,
            )  # fmt: skip
            await self._reporter.write(target, summarize(outcome, target.status))
            await self._verify.suspend(target, self._remediations(target.namespace))
            return
        waiting_for = self._waiting_for(target)
        if waiting_for is not None:
            await self._wait(target, waiting_for, now)
            return
        self._waiting_since.pop(target.key, None)
        if target.begin_request() or target.look_anew:
            target.look_anew = False
            self._observation.sample_now(target)
        else:
            self._observation.schedule(target)
        look = await self._attend(target)
        plan = self._plan(look)
        allowed = [decision for decision in plan.decisions if decision.decision == "Allowed"]
        storms = any(policy.storm for policy in self._policies.of(target.namespace))
        target.held_back = len(allowed) < len(plan.decisions) or bool(plan.held) or storms
        status = self._status(look, plan)
        named = self._named_policy(target)
        if allowed and named is not None:
            # Only now, when nothing can come between: what has begun is given back by what carries it out.
            self._act.begin(target, allowed, look.facts)
            # The condition and the action do not wait for each other.
            results = await asyncio.gather(
                self._reporter.write(target, status),
                self._act.carry_out(target, allowed, named, look.under),
                return_exceptions=True,
            )
            # A reservation that was lost to an edit has read it before any watch told of it.
            self.intake.tell_news(target.namespace)
            for result in results:
                if isinstance(result, ports.Forbidden) and result is results[1]:
                    self._refuse(target, result)
                if isinstance(result, BaseException):
                    raise result
            if any(decision.intent.method in {*WRITES, Method.EXEC} for decision in allowed):
                # Nothing is watched there that would tell whether it helped.
                self._observation.sample_now(target)
        else:
            await self._reporter.write(target, status)
        # Whatever becomes of proposals, all else is looked at again in time.
        self._set_alarm(look, plan)
        # Behind all that is done by itself: nobody waits for these but a person.
        await self._act.withdraw(target.namespace, plan.withdrawn)
        if plan.proposals and named is not None:
            await self._act.propose(target, plan.proposals, named)

    def _look(self, target: Target) -> Look:
        """Judge a target, and put together all that a plan for it rests on."""
        now, started = self._clock.now(), self._clock.monotonic()
        judgement = judge(target, self._observation.snapshot(target, {}), now)
        self._metrics.judge_duration.observe(self._clock.monotonic() - started)
        self._metrics.last_judgement.set(now.timestamp())
        facts = self._whole(target)
        self._watch_for_storms(target, facts, now)
        remediations = self._remediations(target.namespace)
        ledger = ledger_of(remediations)
        for entry in self._act.pending(target.namespace):
            if all(known.name != entry.name for known in ledger.entries):
                ledger = ledger.plus(entry)
        return Look(
            target=target,
            judgement=judgement,
            policies=self._in_force(target),
            under=self._act.permits.under(target),
            remediations=remediations,
            ledger=ledger,
            facts=facts,
            approvals=self._approvals.of(target.namespace),
            now=now,
        )

    def _watch_for_storms(self, target: Target, facts: Snapshot, now: datetime) -> None:
        """Have each policy hold the namespace's pods against what it agrees to.

        What it remembers holds from here on; that its status says so as well is work of its own.
        """
        if target.spec.safety_policy_ref is None:
            return
        for key in self._policies.weather(target.namespace, casualties(facts, now)):
            self.queue.add((POLICY, key))

    async def _attend(self, target: Target) -> Look:
        """Follow the running actions; a missing permission must not keep the verdicts from being told."""
        if target.refused and self._clock.monotonic() >= target.refused_until:
            target.refused = ""
        looking = partial(self._look, target)
        if target.refused:
            return looking()
        try:
            return await self._verify.attend(looking)
        except ports.Forbidden as refusal:
            self._refuse(target, refusal)
            return looking()

    def _refuse(self, target: Target, refusal: ports.Forbidden) -> None:
        logger.warning("KiroHealthCheck %s/%s cannot act: %s", *target.key, refusal)
        target.refused = advice_from(refusal.message)
        target.refused_until = self._clock.monotonic() + REFUSED_FOR

    def _plan(self, look: Look) -> Plan:
        target, judgement = look.target, look.judgement
        verdicts = {
            item.registered.id: (item.verdict, item.registered.id in judgement.actionable)
            for item in judgement.judged
        }
        plan = decide(
            Inputs(
                verdicts=verdicts,
                blind=judgement.blind,
                spec=target.spec,
                policies=look.policies,
                ledger=look.ledger,
                snapshot=look.facts,
                now=look.now,
                memory=target.memory,
                commands=self._commands,
                approvals=look.approvals,
                own=Ref("KiroHealthCheck", target.name, target.uid),
                proposals=proposals_of(target, look.remediations),
                untold=self._act.untold,
                unfit={key: change for key, (change, until) in target.unfit.items() if until > look.now},
            )
        )
        target.memory, target.planned = plan.memory, True
        return plan

    def _status(self, look: Look, plan: Plan) -> KiroHealthCheckStatus:
        target = look.target
        allowed = permission(look.policies)
        if allowed.allowed and not any(decision.decision == "Denied" for decision in plan.decisions):
            # What is wanted and held back says more than that nothing would be let through.
            allowed = paused(look.policies) or allowed
        outcome = Outcome(
            generation=target.generation,
            namespace=target.namespace,
            now=look.now,
            stalled=target.problem or target.broke or plans.policy_problem(target, self._policies),
            judged=look.judgement.judged,
            spec=target.spec,
            permission=allowed,
            decisions=plans.decisions(plan, look.ledger),
            asked=plans.asked(plan),
            escalations=plans.escalations(plan),
            remediations=plans.summaries(target, look.remediations),
            requested_at=target.handled_request(),
        )
        return summarize(outcome, target.status)

    def _set_alarm(self, look: Look, plan: Plan) -> None:
        target, judgement, now = look.target, look.judgement, look.now
        due = earliest(
            judgement.next_check,
            plan.next,
            next_transition(judgement.judged, now),
            self._verify.next_look(look.remediations),
            *(
                ends(policy.storm, policy.spec)
                for policy in self._policies.of(target.namespace)
                if policy.spec
            ),
        )
        if target.refused:
            # What is left of the wait: each look would put it off otherwise.
            left = max(0.0, target.refused_until - self._clock.monotonic())
            due = earliest(due, now + timedelta(seconds=left))
        wait = LONGEST if due is None else min(LONGEST, max(0.0, (due - now).total_seconds()) + 0.001)
        self._alarms.set((HEALTH_CHECK, target.key), wait)

    def _removed(self, target: Target) -> None:
        """Let go of a KiroHealthCheck, and end what it had asked for."""
        self._observation.forget(target.key)
        self._alarms.cancel((HEALTH_CHECK, target.key))
        self._waiting_since.pop(target.key, None)
        if self._elector.leading:
            remediations = self._remediations(target.namespace)
            mine = [item for item in remediations if item.spec.health_check.uid == target.uid]
            self._verify.abandon(target.namespace, mine)

    def _named_policy(self, target: Target) -> Any:
        reference = target.spec.safety_policy_ref
        return self._policies.get(target.namespace, reference.name) if reference else None

    def _remediations(self, namespace: str) -> list[Remediation]:
        return self._records.read(self._watches.records(namespace))[0]

    def _whole(self, target: Target) -> Snapshot:
        """The watched facts of the whole namespace, and what was sampled last."""
        latest: dict[str, Sample[Any]] = {}
        for (name, _), sample in target.samples.items():
            if name not in latest or latest[name].time < sample.time:
                latest[name] = sample
        return replace(self._observation.whole(target), samples=latest)

    def _in_force(self, target: Target) -> tuple[Policy, ...]:
        unreadable = self._records.read(self._watches.records(target.namespace))[1]
        unseen = self._watches.unobserved(REMEDIATIONS, target.namespace)
        return plans.in_force(target, self._policies, unreadable, unseen)

    def _waiting_for(self, target: Target) -> str | None:
        """Which kinds have not been listed yet; None when all were, or cannot be."""
        names = [
            name
            for name in self._watches.kinds
            if (missing := self._watches.unobserved(name, target.namespace)) and missing.reason == "NotSynced"
        ]
        return ", ".join(names) if names else None

    async def _wait(self, target: Target, waiting_for: str, now: datetime) -> None:
        """Say what is waited for, once it has taken long enough to be worth saying."""
        since = self._waiting_since.setdefault(target.key, self._clock.monotonic())
        left = since + PATIENCE - self._clock.monotonic()
        if left > 0:
            self._alarms.set((HEALTH_CHECK, target.key), left)
            return
        if target.status.observed_generation != target.generation:
            outcome = Outcome(
                generation=target.generation,
                namespace=target.namespace,
                now=now,
                waiting_for=waiting_for,
                permission=permission(None),
            )
            await self._reporter.write(target, summarize(outcome, target.status))
