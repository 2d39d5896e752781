"""Observe: put the watched facts together, and sample what cannot be watched."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.watches import Watches
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.core.objects import Selector
from kiro_operator.core.snapshot import Sample, Snapshot, Source, Unobserved
from kiro_operator.core.verdict import Status
from kiro_operator.reconcile.scheduler import Alarms, until_turn
from kiro_operator.reconcile.target import Enabled, Key, Target

TIMEOUT = 15.0
"""Seconds a sample may take at most; a shorter interval is a shorter limit."""
CONCURRENT = 16

_FIELD = {
    Source.POD_METRICS: "pod_metrics",
    Source.POD_LOGS: "pod_logs",
    Source.CONNECTIONS: "connections",
    Source.CONFIG_CHANGES: "config_changes",
}

logger = logging.getLogger(__name__)


class Observation:
    """The step observe, for all targets."""

    def __init__(
        self,
        watches: Watches,
        observers: Mapping[Source, ports.Observer],
        clock: ports.Clock,
        metrics: Metrics,
        *,
        sampled: Callable[[Target], None],
    ) -> None:
        self._watches = watches
        self._observers = observers
        self._clock = clock
        self._metrics = metrics
        self._sampled = sampled
        self._alarms: Alarms[tuple[Key, str]] = Alarms(self._due)
        self._targets: dict[tuple[Key, str], Target] = {}
        self._running: dict[tuple[Key, str], asyncio.Task[None]] = {}
        self._free = asyncio.Semaphore(CONCURRENT)

    def whole(self, target: Target) -> Snapshot:
        """The watched facts of the whole namespace, whatever the target selects."""
        return self._facts(target.namespace, Selector(), {})

    def snapshot(self, target: Target, began_failing: Mapping[str, datetime]) -> Snapshot:
        """The watched facts that the target selects."""
        return self._facts(target.namespace, target.selector, began_failing)

    def _facts(self, namespace: str, selector: Selector, began_failing: Mapping[str, datetime]) -> Snapshot:
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
            began_failing=began_failing,
        )

    def schedule(self, target: Target) -> None:
        """Have each polled check of a target sampled at its interval."""
        for check_id, enabled in target.checks.items():
            if enabled.check.polled:
                self._targets[target.key, check_id] = target
                if (target.key, check_id) not in self._running and not self._alarms.waiting(
                    (target.key, check_id)
                ):
                    self._set(target, check_id, enabled)

    def sample_now(self, target: Target) -> None:
        """Sample all polled checks of a target at once."""
        for check_id, enabled in target.checks.items():
            if enabled.check.polled:
                self._targets[target.key, check_id] = target
                self._alarms.set((target.key, check_id), 0.0)

    def forget(self, key: Key) -> None:
        """Stop sampling for a target that is gone, or for checks that it no longer has."""
        for pair in [pair for pair in self._targets if pair[0] == key]:
            self._alarms.cancel(pair)
            del self._targets[pair]
            if task := self._running.pop(pair, None):
                task.cancel()

    async def stop(self) -> None:
        """End all sampling."""
        for key in {pair[0] for pair in self._targets}:
            self.forget(key)

    def _set(self, target: Target, check_id: str, enabled: Enabled) -> None:
        interval = enabled.interval.total_seconds()
        name = f"{target.namespace}/{target.name}/{check_id}"
        wait = until_turn(name, interval, self._clock.monotonic())
        if check_id not in target.samples and check_id not in target.tracks:
            wait = 0.0  # never judged: whoever has just applied it is waiting
        self._alarms.set((target.key, check_id), wait)

    def _due(self, pair: tuple[Key, str]) -> None:
        target = self._targets.get(pair)
        enabled = target.checks.get(pair[1]) if target else None
        if target is None or enabled is None or pair in self._running:
            return
        task = asyncio.create_task(self._sample(target, pair[1], enabled), name=f"sample {pair}")
        self._running[pair] = task
        task.add_done_callback(lambda _: self._ended(pair, task))

    def _ended(self, pair: tuple[Key, str], task: asyncio.Task[None]) -> None:
        if self._running.get(pair) is task:
            del self._running[pair]
        if not task.cancelled() and (error := task.exception()):
            logger.error("sampling %s broke", pair, exc_info=error)
        target = self._targets.get(pair)
        enabled = target.checks.get(pair[1]) if target else None
        if target is not None and enabled is not None:
            self._set(target, pair[1], enabled)

    async def _sample(self, target: Target, check_id: str, enabled: Enabled) -> None:
        failing = began_failing(target, but=check_id)
        if enabled.check.only_while_failing and not failing:
            return
        before = target.samples.get(check_id)
        async with self._free:
            value = await self._ask(target, enabled, before, failing)
        if isinstance(value, Unobserved):
            self._metrics.sample_failures.labels(enabled.check.polled[0], value.reason).inc()
        number = before.number + 1 if before else 1
        target.samples[check_id] = Sample(number, self._clock.now(), value)
        target.dirty.update(enabled.check.polled)
        self._sampled(target)

    async def _ask(
        self,
        target: Target,
        enabled: Enabled,
        before: Sample[Any] | None,
        failing: Mapping[str, datetime],
    ) -> Any | Unobserved:
        request = ports.PollRequest(
            namespace=target.namespace,
            selector=target.selector,
            parameters=enabled.parameters,
            snapshot=self.snapshot(target, failing),
            now=self._clock.now(),
            since=before.time if before else None,
            interval=enabled.interval,
        )
        observer = self._observers[enabled.check.polled[0]]
        limit = min(TIMEOUT, enabled.interval.total_seconds())
        try:
            async with asyncio.timeout(limit):
                return await observer.observe(request)
        except TimeoutError:
            return Unobserved("Timeout", f"no answer from {observer.source} within {limit:g} s")


def with_sample(facts: Snapshot, target: Target, check_id: str) -> Snapshot:
    """The same facts with what was sampled for one check."""
    enabled, sample = target.checks[check_id], target.samples.get(check_id)
    if sample is None or not enabled.check.polled:
        return facts
    return replace(facts, **{_FIELD[enabled.check.polled[0]]: sample})


def began_failing(target: Target, *, but: str) -> dict[str, datetime]:
    """Since when each other check fails."""
    return {
        check_id: track.since
        for check_id, track in target.tracks.items()
        if check_id != but and track.since and track.shown and track.shown[0] is Status.FAIL
    }
