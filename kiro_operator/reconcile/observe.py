"""Observe: put the watched facts together, and sample what cannot be watched.

The checks of a KiroHealthCheck that share an interval are sampled in one round, and a source is asked
once in a round for all of them. Each source answers for itself: one that hangs holds up no other.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.watches import Watches
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.adapters.places import Places
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.objects import Selector
from kiro_operator.core.showing import places
from kiro_operator.core.snapshot import (
    NOT_CONFIGURED,
    Marks,
    Own,
    Polled,
    Sample,
    Snapshot,
    Source,
    Unobserved,
)
from kiro_operator.core.verdict import Status
from kiro_operator.reconcile.scheduler import Alarms, until_turn
from kiro_operator.reconcile.target import Key, Target

QUICK = SLOW = 16
"""Samples of one source under way at once: those that were quick the last time, and those that were not."""

FIRST = 0.25
"""Seconds that the first round of a KiroHealthCheck is given: what one of everything takes of a core."""
CROWD = 5.0
"""Seconds of first rounds that begin at once; who comes after them takes its turn."""
FIRST_TURN = 60.0
"""Seconds over which a crowd's first rounds are spread, however long their interval."""

Round = tuple[Key, float]
"""A KiroHealthCheck and an interval in seconds."""

_NEVER = datetime.fromtimestamp(0, UTC)

logger = logging.getLogger(__name__)


class Observation:
    """The step observe, for all targets."""

    def __init__(
        self,
        watches: Watches,
        observers: Iterable[ports.Observer],
        clock: ports.Clock,
        metrics: Metrics,
        *,
        policies: Callable[[str], Mapping[str, KiroSafetyPolicySpec]],
        marks: Callable[[str], Mapping[str, Marks]],
        sampled: Callable[[Target, bool], None],
    ) -> None:
        self._watches = watches
        self._observers = {observer.source.name: observer for observer in observers}
        self._clock = clock
        self._metrics = metrics
        self._policies = policies
        self._marks = marks
        self._sampled = sampled
        self._alarms: Alarms[Round] = Alarms(self._due)
        self._targets: dict[Round, Target] = {}
        self.turns: dict[Round, float] = {}
        """Monotonic time of each round's turn."""
        self._running: dict[tuple[Round, str], tuple[asyncio.Task[None], int]] = {}
        """What is being asked, and of which evidence of the target."""
        self._awaited: defaultdict[Key, set[tuple[Round, str]]] = defaultdict(set)
        """What has not answered yet, by whom it is sampled for."""
        self._places = {name: Places(QUICK, SLOW) for name in self._observers}
        self._firsts = 0.0
        """Monotonic time until which the first rounds that have begun take."""

    def whole(self, target: Target) -> Snapshot:
        """The watched facts of the whole namespace, whatever the target selects."""
        return self._facts(target.namespace, Selector(), {}, target.own)

    def snapshot(self, target: Target, began_failing: Mapping[str, datetime]) -> Snapshot:
        """The watched facts that the target selects."""
        return self._facts(target.namespace, target.selector, began_failing, target.own)

    def _facts(
        self, namespace: str, selector: Selector, began_failing: Mapping[str, datetime], own: Own
    ) -> Snapshot:
        kinds, everything = self._watches.kinds, Selector()

        def see(source: Source, *, selected: bool = False) -> Any:
            missing = self._watches.unobserved(source, namespace)
            if missing is not None:
                return missing
            return kinds[source].store.collection(namespace, selector if selected else everything)

        return Snapshot(
            namespace=namespace,
            pods=see(Source.PODS, selected=True),
            deployments=see(Source.DEPLOYMENTS, selected=True),
            stateful_sets=see(Source.STATEFUL_SETS, selected=True),
            daemon_sets=see(Source.DAEMON_SETS, selected=True),
            replica_sets=see(Source.REPLICA_SETS),
            services=see(Source.SERVICES, selected=True),
            endpoint_slices=see(Source.ENDPOINT_SLICES),
            autoscalers=see(Source.AUTOSCALERS),
            policies=self._policies(namespace),
            marks=self._marks(namespace),
            remediations=see(Source.REMEDIATIONS),
            began_failing=began_failing,
            own=own,
        )

    def schedule(self, target: Target) -> None:
        """Have each polled check of a target sampled at its interval."""
        for interval in target.intervals:
            round_ = (target.key, interval)
            self._targets[round_] = target
            if not self._alarms.waiting(round_):
                self._set(target, interval)

    def sample_now(self, target: Target) -> None:
        """Sample all polled checks of a target at once."""
        for interval in target.intervals:
            self._targets[target.key, interval] = target
            self._ring_in((target.key, interval), 0.0)

    def forget(self, key: Key) -> None:
        """Stop sampling for a target that is gone."""
        for round_ in [round_ for round_ in self._targets if round_[0] == key]:
            self._forget_round(round_)

    def _forget_round(self, round_: Round) -> None:
        self._alarms.cancel(round_)
        del self._targets[round_]
        self.turns.pop(round_, None)
        for pair in [pair for pair in self._running if pair[0] == round_]:
            self._running.pop(pair)[0].cancel()
            self._answered(pair)

    async def stop(self) -> None:
        """End all sampling."""
        for round_ in list(self._targets):
            self._forget_round(round_)

    def _set(self, target: Target, interval: float) -> None:
        name, now = f"{target.namespace}/{target.name}", self._clock.monotonic()
        if target.unsampled(interval):
            # Whoever has just applied it is waiting; but when a process begins, all are there at once.
            self._ring_in((target.key, interval), self._until_first(name, interval, now))
        else:
            self._ring_in((target.key, interval), until_turn(name, interval, now))

    def _until_first(self, name: str, interval: float, now: float) -> float:
        """Seconds until a first round: none, unless many have just begun."""
        crowd = max(self._firsts, now) + FIRST
        if crowd - now > CROWD:
            return until_turn(name, min(interval, FIRST_TURN), now)
        self._firsts = crowd
        return 0.0

    def _ring_in(self, round_: Round, wait: float) -> None:
        self.turns[round_] = self._clock.monotonic() + wait
        self._alarms.set(round_, wait)

    def _due(self, round_: Round) -> None:
        target = self._targets.get(round_)
        if target is None:
            return
        if round_[1] not in target.intervals:
            self._forget_round(round_)
            return
        failing = began_failing(target)
        target.rounds += 1
        for source in target.sources(round_[1], failing):
            task, evidence = self._running.get((round_, source.name), (None, target.evidence))
            if task is None or evidence != target.evidence:
                if task is not None:
                    task.cancel()
                self._start(round_, target, source)
        wait = until_turn(f"{target.namespace}/{target.name}", round_[1], self._clock.monotonic())
        self._ring_in(round_, wait)

    def _start(self, round_: Round, target: Target, source: Polled[Any]) -> None:
        task = asyncio.create_task(
            self._sample(
                target,
                round_[1],
                source,
                turn=self.turns[round_],
                number=target.rounds,
                evidence=target.evidence,
            ),
            name=f"sample {source.name} {round_}",
        )
        self._running[round_, source.name] = task, target.evidence
        self._awaited[round_[0]].add((round_, source.name))
        task.add_done_callback(lambda _: self._ended((round_, source.name), task))

    def _ended(self, pair: tuple[Round, str], task: asyncio.Task[None]) -> None:
        if pair in self._running and self._running[pair][0] is task:
            del self._running[pair]
            self._answered(pair)
        if not task.cancelled() and (error := task.exception()):
            logger.error("sampling %s broke", pair, exc_info=error)

    async def _sample(
        self,
        target: Target,
        interval: float,
        source: Polled[Any],
        *,
        turn: float,
        number: int,
        evidence: int,
    ) -> None:
        """Ask one source; by the time of its answer other sources may be rounds ahead."""
        before = target.samples.get((source.name, interval))
        async with self._places[source.name].place((target.key, interval)):
            started = self._clock.monotonic()
            self._metrics.sample_delay.labels(source.name).observe(max(0.0, started - turn))
            value = await self._ask(target, interval, source, before)
            self._metrics.sample_duration.labels(source.name).observe(self._clock.monotonic() - started)
        if isinstance(value, Unobserved) and value.reason != NOT_CONFIGURED:
            self._metrics.sample_failures.labels(source.name, value.reason).inc()
        if target.evidence != evidence:
            return  # it was asked for another spec
        target.samples[source.name, interval] = Sample(number, self._clock.now(), value)
        target.dirty.add(source.name)
        self._sampled(target, self._answered(((target.key, interval), source.name)))

    def _answered(self, pair: tuple[Round, str]) -> bool:
        """Whether others are still awaited for the same KiroHealthCheck."""
        key = pair[0][0]
        others = self._awaited[key]
        others.discard(pair)
        if not others:
            del self._awaited[key]
        return bool(others)

    async def _ask(
        self, target: Target, interval: float, source: Polled[Any], before: Sample[Any] | None
    ) -> Any | Unobserved:
        asks = tuple(
            ports.Ask(check_id, enabled.check, enabled.parameters)
            for check_id, enabled in target.checks.items()
            if enabled.seconds == interval and source in enabled.polled
        )
        if not asks:
            return Unobserved(NOT_CONFIGURED, f"no check reads {source.name} any more")
        request = ports.PollRequest(
            asker=f"{target.uid}/{source.name}/{interval:g}",
            namespace=target.namespace,
            name=target.name,
            uid=target.uid,
            selector=target.selector,
            spec=target.spec,
            asks=asks,
            snapshot=self.snapshot(target, began_failing(target)),
            now=self._clock.now(),
            since=before.time if before else None,
            interval=next(
                enabled.interval for enabled in target.checks.values() if enabled.seconds == interval
            ),
        )
        limit = min(source.timeout, interval)
        try:
            async with asyncio.timeout(limit):
                return await self._observers[source.name].observe(request)
        except TimeoutError:
            return Unobserved(
                "Timeout",
                f"no answer from {places(source, target.spec, target.namespace)} within {limit:g} s",
            )


def with_samples(facts: Snapshot, target: Target, check_id: str) -> Snapshot:
    """The same facts with what was sampled for one check."""
    enabled = target.checks[check_id]
    if not (enabled.check.polled or enabled.check.beside):
        return facts
    samples = {source.name: sample for source in enabled.check.beside if (sample := target.latest(source))}
    for source in enabled.check.polled:
        if source in enabled.borrowed:
            sample = target.latest(source)
        elif source in enabled.polled:
            sample = target.samples.get((source.name, enabled.seconds))
        else:
            sample = not_configured(source)
        if sample:
            samples[source.name] = sample
    return replace(facts, samples=samples)


def not_configured(source: Polled[Any]) -> Sample[Any]:
    """What stands for the sample of a source that the spec does not name."""
    message = f"spec.{source.section} is not set, so there is no {source.name} to ask"
    return Sample(0, _NEVER, Unobserved(NOT_CONFIGURED, message))


def began_failing(target: Target) -> dict[str, datetime]:
    """When what fails was first seen to, by check; less what does no more than relate the others."""
    return {
        check_id: began
        for check_id, enabled in target.checks.items()
        if not enabled.check.relates
        and (track := target.tracks.get(check_id))
        and track.shown
        and track.shown[0] is Status.FAIL
        and (began := track.began or track.since)
    }
