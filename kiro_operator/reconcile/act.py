"""Act: carry out what the plan allows, once.

(1) the gates have been asked; (2) a KiroRemediation is created, whose name is the lock on its
target; (3) the budget is reserved by compare-and-swap; (4) the own Lease is looked at; (5) the
change is sent under its fence; (6) the outcome is recorded; (7) verification follows with the next
observations. A crash anywhere leaves a KiroRemediation behind that says how far it came, and
``resume`` goes on from what the live objects tell.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.actuator import Actuator
from kiro_operator.adapters.kubernetes.client import REQUEST_TIMEOUT, Client, Lane
from kiro_operator.adapters.kubernetes.elector import Elector
from kiro_operator.adapters.kubernetes.events import EventRecorder
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName
from kiro_operator.api.v1alpha1.remediation import (
    FINAL_STATES,
    KiroRemediationSpec,
    KiroRemediationStatus,
    Method,
    RemediationState,
)
from kiro_operator.api.v1alpha1.safetypolicy import Reservation
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP
from kiro_operator.core import verify
from kiro_operator.core.amended import exact, objection
from kiro_operator.core.conditions import shorten
from kiro_operator.core.decide import Decision
from kiro_operator.core.objects import Pod, Record, Workload
from kiro_operator.core.permissions import Rule
from kiro_operator.core.policy.approvals import revision
from kiro_operator.core.policy.plan import New, Withdrawn
from kiro_operator.core.policy.types import Entry, Intent, reserved
from kiro_operator.core.remedies.types import Refusal
from kiro_operator.core.report import EventReason, Occurrence
from kiro_operator.core.snapshot import Ref, Snapshot
from kiro_operator.core.templates import returning
from kiro_operator.core.told import words
from kiro_operator.core.writes import Must, Operation, Write
from kiro_operator.reconcile.commands import Commands
from kiro_operator.reconcile.outcomes import BEGUN, Outcome, advice, done, proposal
from kiro_operator.reconcile.permits import Permits, Under
from kiro_operator.reconcile.policies import Policies, Policy
from kiro_operator.reconcile.records import (
    Remediation,
    approved_by,
    intent_of,
    ledger_of,
    manifest,
    passed,
)
from kiro_operator.reconcile.target import Target

RULES = (
    Rule(GROUP, ("kiroremediations",), ("create",), "an action is recorded before it is done"),
    Rule(GROUP, ("kiroremediations/status",), ("patch",), "how far an action went is recorded"),
)
ADMITTED = (
    Write(
        by="records",
        api_version=API_VERSION,
        resources=("kiroremediations",),
        operations=(Operation.CREATE,),
        musts=(
            Must(
                "!has(object.metadata.finalizers) && !has(object.metadata.ownerReferences)\n"
                "&& !has(object.metadata.annotations)\n"
                "&& object.metadata.?labels[?'app.kubernetes.io/managed-by'].orValue('') == 'kiro-operator'",
                "a KiroRemediation is labelled as the operator's own and bound to nothing",
            ),
        ),
    ),
)
"""Specs and final states never change, by the schema of the kind."""
ATTEMPTS = 5
"""How often a fence that was lost to unrelated changes is tried again."""

UNFIT_FOR = timedelta(hours=1)
"""How long a record that the API server does not take is not tried again: what refuses it may be changed."""

REMEMBERED = 1024
"""Deployments whose rollbacks are remembered not to be fit for a record."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class _Records(msgspec.Struct):
    items: list[Record]


class Act:
    """The step act."""

    def __init__(
        self,
        *,
        client: Client,
        actuator: Actuator,
        elector: Elector,
        policies: Policies,
        permits: Permits,
        store: Store[Record],
        events: EventRecorder,
        metrics: Metrics,
        clock: ports.Clock,
        commands: Mapping[ActionName, tuple[str, ...]],
    ) -> None:
        self._client = client
        self._actuator = actuator
        self._elector = elector
        self._policies = policies
        self.permits = permits
        self._store = store
        self._events = events
        self._metrics = metrics
        self._clock = clock
        self._commands = Commands(actuator, elector, commands)
        self._pending: dict[tuple[str, str], Entry] = {}
        """Actions begun here that the API server has not confirmed yet, by namespace and name."""
        self.in_flight: dict[tuple[str, str], bool] = {}
        """Actions that this process is carrying out now, by namespace and name; see ``verify.is_ill``."""
        self.untold: dict[str, tuple[str, str]] = {}
        """What was found not to be fit for a record; see ``Inputs.untold``."""

    def pending(self, namespace: str) -> list[Entry]:
        """Actions begun here that the watch has not shown yet; the ledger is not complete without them."""
        return [entry for (where, _), entry in self._pending.items() if where == namespace]

    def begin(self, target: Target, decisions: Sequence[Decision], facts: Snapshot) -> None:
        """Take the allowed actions into the ledger. To be called without a wait after deciding them."""
        now = self._clock.now()
        for decision in decisions:
            intent = decision.intent
            self._pending[target.namespace, intent.name] = reserved(intent, now)
            self.in_flight[target.namespace, intent.name] = verify.is_ill(intent, facts, now)

    async def carry_out(
        self, target: Target, decisions: Sequence[Decision], named: Policy, under: Under
    ) -> None:
        """Do what was begun. Ends when each action is done, refused or left for ``resume``."""
        names = [(target.namespace, decision.intent.name) for decision in decisions]
        try:
            created = await _all(self._create(target, d, named) for d in decisions)
            ready = [remediation for remediation in created if remediation is not None]
            await self._reserve_and_perform(target.namespace, ready, under)
        finally:
            for name in names:
                self._pending.pop(name, None)
                self.in_flight.pop(name, None)

    async def propose(self, target: Target, new: Sequence[New], named: Policy) -> None:
        """Put on record what a person is to decide on, as exact as the live objects allow.

        Raises:
            ports.ApiError, ports.Unreachable: one was not, and the others were tried. A missing right is only
                logged: what lacks it is looked at again when anything else is to be. So is a record that the
                API server does not take: see ``Inputs.unfit``.
        """
        failed: ports.ApiError | ports.Unreachable | None = None
        for item in new:
            what = f"{item.intent.action} of {item.intent.target.name} not proposed"
            try:
                await self._propose(target, item, named)
            except (ports.ApiError, ports.Unreachable) as error:
                logger.warning("%s: %s", what, error)
                if not isinstance(error, ports.Forbidden):
                    failed = error
        if failed is not None:
            raise failed

    async def _propose(self, target: Target, new: New, named: Policy) -> None:
        aim = new.intent.target
        found = await self._actuator.seen(target.namespace, aim.kind, aim.name)
        wanted: Intent | Refusal = new.intent
        if new.source is not None:
            earlier = await self._actuator.seen(target.namespace, new.source.kind, new.source.name)
            wanted = returning(new, found, earlier)
        if isinstance(wanted, Refusal):
            self._leave_to_words(new, wanted)
            return
        intent = exact(wanted, found, new.workload, self._clock.now())
        if intent is None:
            return
        decision = Decision(intent, "Denied", "approval", "ApprovalRequired", "", passed=new.passed)
        try:
            made = await self._create(target, decision, named)
        except ports.Invalid as error:
            # It may quote what was sent.
            logger.warning("%s of %s not proposed: %s", intent.action, aim.name, words(str(error)))
            self._leave_for_a_while(target, new.intent)
            return
        if made is not None:
            await self.record(target.namespace, made, proposal(intent, target.namespace))

    def _leave_to_words(self, new: New, refusal: Refusal) -> None:
        """Remember what may not go on record, so that it is not read anew at each look."""
        if refusal.lasting and new.intent.change is not None and new.workload is not None:
            logger.info("%s is left to words: %s", new.intent.action, refusal.message)
            self.untold[new.intent.target.uid] = revision(new.workload), new.intent.change.revision
            if len(self.untold) > REMEMBERED:
                del self.untold[next(iter(self.untold))]

    def _leave_for_a_while(self, target: Target, drafted: Intent) -> None:
        """Remember what the API server takes no record of, so that it is not sent anew at each look."""
        now = self._clock.now()
        unfit = {key: kept for key, kept in target.unfit.items() if kept[1] > now}
        if drafted.change is not None:
            unfit[drafted.action, drafted.target] = drafted.change, now + UNFIT_FOR
        target.unfit = unfit

    async def withdraw(self, namespace: str, withdrawn: Sequence[Withdrawn]) -> None:
        """End proposals that have become pointless."""
        for item in withdrawn:
            record = self._store.get(namespace, item.name)
            if record is not None:
                outcome = Outcome(item.state, item.reason, item.message)
                await self.record(namespace, Remediation(record), outcome)

    async def take_up(self, namespace: str, remediation: Remediation, under: Under, facts: Snapshot) -> None:
        """Go on with an action that was reserved, is known not to have been done, and is allowed anew.

        To be called without a wait after it was.
        """
        ill = verify.is_ill(intent_of(remediation), facts, self._clock.now())
        self.in_flight[namespace, remediation.name] = ill
        try:
            await self._reserve_and_perform(namespace, [remediation], under)
        finally:
            self.in_flight.pop((namespace, remediation.name), None)

    async def _reserve_and_perform(self, namespace: str, ready: list[Remediation], under: Under) -> None:
        if not ready:
            return
        # Acting says that it may have been sent. Said too early it does no harm, so that the two
        # writes need not wait for each other; said too late it could be sent twice.
        problem, withdrawn, acting = await asyncio.gather(
            self._reserve(namespace, ready),
            self.permits.withdrawn(namespace, ready, under),
            asyncio.gather(*(self.record(namespace, item, BEGUN) for item in ready)),
        )
        denied = Outcome(RemediationState.DENIED, "BudgetRefused", problem) if problem else None
        refused = {
            item.name: withdrawn.get(item.name)
            # Who lost the reservation to an edit has heard of it.
            or self.permits.heard(namespace, item.spec.digest, under)
            or denied
            for item in acting
        }
        await _all(self._end_or_perform(namespace, item, refused[item.name], under) for item in acting)

    async def _end_or_perform(
        self, namespace: str, remediation: Remediation, refused: Outcome | None, under: Under
    ) -> None:
        """Send one reserved action, unless it is refused, and record what came of it.

        No answer is no outcome: it stays Acting, and the live object will tell.

        Raises:
            NotLeading: another process may be acting by now.
            ports.Unreachable: it may have been done, or not.
        """
        outcome = refused or await self._send_fenced(namespace, remediation, under)
        await self.record(namespace, remediation, outcome)

    async def record(self, namespace: str, remediation: Remediation, outcome: Outcome) -> Remediation:
        """Write a state of a KiroRemediation, by compare-and-swap, and tell of it."""
        now = self._clock.now()
        status = remediation.status
        changes: dict[str, Any] = {
            "state": outcome.state,
            "reason": outcome.reason,
            "message": shorten(outcome.message, 1024),
        }
        if outcome.state is RemediationState.ACTING and status.acting_at is None:
            changes["acting_at"] = now
        if outcome.state is RemediationState.VERIFYING and status.acted_at is None:
            changes["acted_at"] = now
        if outcome.state in FINAL_STATES:
            changes["completed_at"] = now
        return await self.write(namespace, remediation, status.model_copy(update=changes))

    async def read(self, namespace: str, name: str) -> Remediation:
        """A KiroRemediation as it is now, by what may be done anyway: records are listed.

        Raises:
            ports.NotFound: it is gone.
        """
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/kiroremediations"
        body = await self._client.get(path, fieldSelector=f"metadata.name={name}")
        for record in msgspec.json.decode(body, type=_Records).items:
            return Remediation(record)
        raise ports.NotFound(404, "NotFound", f"KiroRemediation {name} is gone")

    async def live(self, namespace: str, spec: KiroRemediationSpec) -> verify.Live:
        """The object that an action changes, read anew."""
        if spec.action in PROPOSALS:
            written = await self._actuator.seen(namespace, spec.target.kind, spec.target.name)
            return verify.Live(workload=None, written=written)
        match spec.method:
            case Method.CREATE | Method.PATCH | Method.GIVE_BACK:
                written = await self._actuator.found(namespace, spec.target.kind, spec.target.name)
                return verify.Live(workload=None, written=written)
            case Method.EVICT:
                pod = await self._actuator.pod(namespace, spec.pod.name) if spec.pod else None
                return verify.Live(workload=None, pod=pod)
            case Method.EXEC:
                pod = await self._actuator.chosen(namespace, spec.pod.name) if spec.pod else None
                return verify.Live(workload=None, pod=pod)
        workload = await self._actuator.workload(namespace, spec.target.kind, spec.target.name)
        return verify.Live(workload=workload)

    async def write(
        self, namespace: str, remediation: Remediation, status: KiroRemediationStatus
    ) -> Remediation:
        """Write the status of a KiroRemediation if it is new, by compare-and-swap."""
        if status == remediation.status:
            return remediation
        metadata = remediation.record.metadata
        content = status.model_dump(mode="json", by_alias=True, exclude_none=False)
        answer = await self._client.merge_patch(
            f"/apis/{API_VERSION}/namespaces/{namespace}/kiroremediations/{metadata.name}/status",
            {"metadata": {"resourceVersion": metadata.resource_version}, "status": content},
            Lane.ACTION if status.state is RemediationState.ACTING else Lane.RECORD,
        )
        self._metrics.status_writes.labels("KiroRemediation").inc()
        written = Remediation(msgspec.json.decode(answer, type=Record))
        self._store.apply(written.record)
        if status.state != remediation.status.state:
            self._tell(namespace, written)
        return written

    def _approved(self, target: Target, decision: Decision) -> Remediation | None:
        """The record of a proposal that is to be carried out, with who approved it and what the gates saw."""
        record = self._store.get(target.namespace, decision.intent.name)
        if record is None:
            return None
        item = Remediation(record)
        update = {"approvals": approved_by(decision), "gates": passed(decision)}
        item.status = item.status.model_copy(update=update)
        return item

    async def _create(self, target: Target, decision: Decision, named: Policy) -> Remediation | None:
        self._elector.check()
        if decision.decision == "Allowed" and decision.intent.proposed:
            return self._approved(target, decision)
        path = f"/apis/{API_VERSION}/namespaces/{target.namespace}/kiroremediations"
        body = manifest(target, decision, named)
        try:
            answer = await self._client.create(path, body)
        except ports.AlreadyExists:
            logger.info("%s is taken: another process decided the same", decision.intent.name)
            return None
        remediation = Remediation(msgspec.json.decode(answer, type=Record))
        self._store.apply(remediation.record)
        self._pending.pop((target.namespace, decision.intent.name), None)
        return remediation

    async def _reserve(self, namespace: str, ready: list[Remediation]) -> str:
        """Reserve budget at every policy of the namespace; returns why not, or nothing when it is done."""
        entries = ledger_of(Remediation(record) for record in self._store.all(namespace)).entries
        now = self._clock.now().replace(microsecond=0)
        wanted = [
            Reservation(
                remediation=item.name,
                action=item.spec.action,
                # What a person decided on may have been proposed days ago.
                time=now if item.open else item.entry.reserved_at,
            )
            for item in ready
            if item.spec.method is not Method.GIVE_BACK
        ]
        for policy in self._policies.of(namespace):
            if problem := await self._policies.reserve(policy, wanted, entries):
                return f"KiroSafetyPolicy {policy.key[1]}: {problem}"
        return ""

    async def _send_fenced(self, namespace: str, remediation: Remediation, under: Under) -> Outcome:
        spec = remediation.spec
        if spec.method is Method.EXEC:
            heard = partial(self.permits.heard, namespace, spec.digest, under)
            return await self._commands.run(namespace, remediation, withdrawn=heard)
        version = spec.fence.resource_version
        for attempt in range(ATTEMPTS):
            if attempt:
                # Time has passed, and what was heard may be behind.
                withdrawn = await self.permits.withdrawn(namespace, [remediation], under)
                if remediation.name in withdrawn:
                    return withdrawn[remediation.name]
            try:
                async with asyncio.timeout(min(REQUEST_TIMEOUT, self._elector.remaining)):
                    refused = await self._send_allowed(namespace, remediation, version, under)
            except (ports.Conflict, ports.AlreadyExists, ports.NotFound):
                again = await self._after_refusal(namespace, remediation)
                if isinstance(again, Outcome):
                    return again
                version = again
                continue
            except TimeoutError as error:
                raise ports.Unreachable(
                    f"no answer to {spec.method} of {spec.target.name} in time"
                ) from error
            except ports.ApiError as error:
                return _refusal(namespace, spec, error)
            return refused or done(spec.method, spec.timeout)
        return Outcome(
            RemediationState.EXPIRED, "Contended", "the object changes too fast to act on it safely"
        )

    async def _send_allowed(
        self, namespace: str, remediation: Remediation, version: str, under: Under
    ) -> Outcome | None:
        """Send an action, unless it is known by then that it may not be: then how it ends."""
        spec = remediation.spec
        if spec.action in PROPOSALS:
            found = await self._unchanged(namespace, remediation)
            if isinstance(found, Outcome):
                return found
            version = found
        self._elector.check()
        if withdrawn := self.permits.heard(namespace, spec.digest, under):
            return withdrawn
        await self._send(namespace, remediation, version)
        return None

    async def _unchanged(self, namespace: str, remediation: Remediation) -> Outcome | str:
        """The version of what may have been decided on days ago, if all it rests on still stands."""
        target = remediation.spec.target
        found = await self._actuator.seen(namespace, target.kind, target.name)
        if found is None:
            return Outcome(RemediationState.EXPIRED, "TargetGone", "the object went away first")
        if why := objection(found, remediation.spec):
            return Outcome(RemediationState.EXPIRED, "Changed", why)
        return str(found["metadata"]["resourceVersion"])

    async def _send(self, namespace: str, remediation: Remediation, version: str) -> None:
        spec = remediation.spec
        match spec.method:
            case Method.EVICT:
                pod = spec.pod
                if pod is None:
                    raise ValueError(f"{remediation.name} evicts no pod")
                await self._actuator.evict(namespace, pod.name, uid=pod.uid, resource_version=version)
            case Method.ROLLOUT_RESTART:
                await self._actuator.restart(
                    namespace,
                    spec.target.kind,
                    spec.target.name,
                    uid=spec.fence.uid,
                    resource_version=version,
                    intent=remediation.name,
                )
            case Method.SCALE_UP | Method.SCALE_BACK:
                if spec.replicas is None:
                    raise ValueError(f"{remediation.name} scales to nothing")
                await self._actuator.scale(
                    namespace,
                    spec.target.kind,
                    spec.target.name,
                    uid=spec.fence.uid,
                    resource_version=version,
                    replicas=spec.replicas.after,
                )
            case Method.CREATE:
                await self._actuator.create(namespace, spec.target.kind, written(remediation))
            case Method.PATCH | Method.GIVE_BACK:
                await self._actuator.patch(
                    namespace,
                    spec.target.kind,
                    spec.target.name,
                    written(remediation),
                    uid=spec.fence.uid,
                    resource_version=version,
                )
            case Method.ADVISE:
                raise ValueError(f"{remediation.name} is for a person to do")
            case Method.EXEC:
                raise ValueError(f"{remediation.name} is run, not sent")

    async def _after_refusal(self, namespace: str, remediation: Remediation) -> Outcome | str:
        """Read again: an outcome, or the version at which the very same action may be tried again."""
        spec = remediation.spec
        live = await self.live(namespace, spec)
        found = live.workload if live.pod is None else live.pod
        # What was well when a check asked for more has not healed by being well.
        if self.in_flight.get((namespace, remediation.name)) and verify.is_well(found, self._clock.now()):
            live = replace(live, failing=False)
        match verify.refused(spec, live):
            case verify.AlreadyDone():
                return done(spec.method, spec.timeout)
            case verify.Expire(reason, message):
                return Outcome(RemediationState.EXPIRED, reason, message)
        if isinstance(found, Pod | Workload):
            return found.metadata.resource_version
        return spec.fence.resource_version

    def _tell(self, namespace: str, remediation: Remediation) -> None:
        spec, status = remediation.spec, remediation.status
        self._metrics.remediations.labels(namespace, spec.action, spec.method, status.state).inc()
        reason = _REASONS.get(status.state)
        if reason is None:
            return
        note = f"{spec.method} {spec.target.kind} {spec.target.name} for {spec.check}: {status.message}"
        for regarding, version in (
            (Ref("KiroHealthCheck", spec.health_check.name, spec.health_check.uid), API_VERSION),
            (Ref(spec.target.kind, spec.target.name, spec.target.uid), spec.target.api_version),
        ):
            self._events.record(
                Occurrence(
                    namespace=namespace,
                    regarding=regarding,
                    api_version=version,
                    reason=reason,
                    action=spec.action.value,
                    note=note,
                    warning=reason in {EventReason.REMEDIATION_FAILED, EventReason.REMEDIATION_DENIED},
                )
            )


def _refusal(namespace: str, spec: KiroRemediationSpec, error: ports.ApiError) -> Outcome:
    """How an action ends that the API server refuses.

    Raises:
        ports.TooManyRequests: nothing was decided: it stays Acting, and is taken up when the server says.
    """
    match error:
        case ports.EvictionRefused():
            reason, message = "DisruptionBudget", error.message
        case ports.TooManyRequests():
            raise error
        case ports.Forbidden():
            reason = "Forbidden"
            message = advice(spec.action, spec.method, namespace, error, name=spec.target.name)
        case _:
            reason, message = error.reason or "Refused", error.message
    return Outcome(RemediationState.DENIED, reason, message)


async def _all(each: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them give; the first error comes when all have ended, so that none goes on unseen."""
    found = await asyncio.gather(*each, return_exceptions=True)
    for result in found:
        if isinstance(result, BaseException):
            raise result
    return [result for result in found if not isinstance(result, BaseException)]


_REASONS = {
    RemediationState.PROPOSED: EventReason.REMEDIATION_PROPOSED,
    RemediationState.VERIFYING: EventReason.REMEDIATION_STARTED,
    RemediationState.SUCCEEDED: EventReason.REMEDIATION_SUCCEEDED,
    RemediationState.FAILED: EventReason.REMEDIATION_FAILED,
    RemediationState.DENIED: EventReason.REMEDIATION_DENIED,
}


def written(remediation: Remediation) -> dict[str, Any]:
    """What the methods Create and Patch write.

    Raises:
        ValueError: the record holds no change.
    """
    if remediation.spec.change is None:
        raise ValueError(f"{remediation.name} changes nothing")
    change: dict[str, Any] = msgspec.json.decode(remediation.spec.change.patch)
    return change
