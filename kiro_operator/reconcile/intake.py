"""Intake: what comes in from kopf and from the watches, and whom it wakes."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.watches import APPROVALS, REMEDIATIONS, Watches
from kiro_operator.adapters.metrics import Metrics
from kiro_operator.core.objects import Record, selectable_labels
from kiro_operator.core.policy.types import NEVER_ACTED
from kiro_operator.core.snapshot import Source
from kiro_operator.reconcile.policies import Policies
from kiro_operator.reconcile.queue import Urgency, WorkQueue
from kiro_operator.reconcile.records import Records
from kiro_operator.reconcile.scheduler import Alarms
from kiro_operator.reconcile.target import Key, Target

GATHER = 0.15
"""Seconds without a new namespace after which the watches follow; a start brings many at once."""
GATHER_AT_MOST = 1.5
TOGETHER = 2.0
"""Seconds that a sample waits at most for the others of its round: each alone would have all checks judged
and the status put together and written anew, a dozen times a round."""

SELECTED = frozenset(
    {
        Source.PODS,
        Source.DEPLOYMENTS,
        Source.STATEFUL_SETS,
        Source.DAEMON_SETS,
        Source.REPLICA_SETS,
        Source.SERVICES,
    }
)
"""Kinds whose objects tell the labels of the pods they are about; the others concern everybody."""

Work = tuple[str, Key]
"""What kind of object, and which."""
HEALTH_CHECK, POLICY = "KiroHealthCheck", "KiroSafetyPolicy"


class Intake:
    """Knows the KiroHealthChecks, and queues the keys that something concerns. Implements handlers.Intake."""

    def __init__(
        self,
        *,
        watches: Watches,
        policies: Policies,
        records: Records,
        metrics: Metrics,
        clock: ports.Clock,
        on_removed: Callable[[Target], None],
    ) -> None:
        self._watches = watches
        self._policies = policies
        self._records = records
        self._metrics = metrics
        self._clock = clock
        self._on_removed = on_removed
        self._targets: dict[Key, Target] = {}
        self._by_namespace: dict[str, set[Key]] = {}
        self._gathering: tuple[asyncio.TimerHandle, float] | None = None
        self.queue: WorkQueue[Work] = WorkQueue()
        self._rounds: Alarms[Key] = Alarms(lambda key: self.queue.add((HEALTH_CHECK, key), Urgency.RESYNC))

    def get(self, key: Key) -> Target | None:
        """The KiroHealthCheck of that key."""
        return self._targets.get(key)

    def targets(self) -> list[Target]:
        """All KiroHealthChecks."""
        return list(self._targets.values())

    def follows(self, namespace: str) -> bool:
        """Whether there is a KiroHealthCheck in a namespace."""
        return namespace in self._by_namespace

    def health_check(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A KiroHealthCheck came, changed or went."""
        key = (str(body["metadata"]["namespace"]), str(body["metadata"]["name"]))
        # A finalizer may keep it: whoever has deleted it wants nothing done for it any more.
        if deleted or body["metadata"].get("deletionTimestamp"):
            known = self._targets.get(key)
            if known is not None and known.uid == body["metadata"]["uid"]:
                self.remove(key)
            return
        target = self._targets.get(key)
        if target is None:
            target = self._targets[key] = Target(key)
            self._by_namespace.setdefault(key[0], set()).add(key)
            for policy in self._policies.of(key[0]):
                self.queue.add((POLICY, policy.key))
            self._metrics.health_checks.set(len(self._targets))
            self._follow_soon()
        if target.take(body):
            self.queue.add((HEALTH_CHECK, key))

    def policy(self, body: Mapping[str, Any], *, deleted: bool) -> None:
        """A KiroSafetyPolicy came, changed or went."""
        key = (str(body["metadata"]["namespace"]), str(body["metadata"]["name"]))
        if deleted:
            self.remove_policy(key)
            return
        self._policies.take(body)
        self.tell_news(key[0])

    def tell_news(self, namespace: str) -> None:
        """Wake those whose policies have changed, whoever was the first to hear of it."""
        for policy in self._policies.of(namespace):
            if policy.news:
                policy.news = False
                self.queue.add((POLICY, policy.key))
                self._policies_changed(namespace)

    def remove_policy(self, key: Key) -> None:
        """Forget a KiroSafetyPolicy that is gone."""
        self._policies.remove(key)
        self.queue.forget((POLICY, key))
        self._policies_changed(key[0])

    def _policies_changed(self, namespace: str) -> None:
        for key in self._by_namespace.get(namespace, ()):
            self._targets[key].dirty.add(Source.POLICIES)
        self.wake(namespace)

    def changed(self, kind: str, namespace: str, old: Any, new: Any) -> None:
        """A watched object came, changed or went."""
        keys = self._by_namespace.get(namespace)
        if not keys:
            return
        if kind == REMEDIATIONS:
            self._recorded(namespace, keys, old, new)
            return
        if kind == APPROVALS:
            self.wake(namespace)
            return
        source = Source(kind)
        if source is Source.PODS and _uninteresting(old, new):
            return
        fails = new is not None and not new.settled and (old is None or old.settled)
        urgency = Urgency.FAILURE if fails else Urgency.CHANGE
        labels = [selectable_labels(item) for item in (old, new) if item is not None]
        for key in keys:
            target = self._targets[key]
            if source in SELECTED and not any(target.selector.matches(found) for found in labels):
                if target.held_back:
                    self.queue.add((HEALTH_CHECK, key), Urgency.RESYNC)
                continue
            target.dirty.add(source)
            self.queue.add((HEALTH_CHECK, key), urgency)

    def _recorded(self, namespace: str, keys: set[Key], old: Record | None, new: Record | None) -> None:
        """A KiroRemediation changed: it concerns who asked for it, and who waits for something to end."""
        if new is None and old is not None:
            self._records.forget(old.metadata.uid)
        if new is not None and new.status.get("state") in NEVER_ACTED:
            # What it had reserved may be given back, and the policy's status is to say so.
            for policy in self._policies.of(namespace):
                self.queue.add((POLICY, policy.key), Urgency.RESYNC)
        record = new or old
        asker = record.spec.get("healthCheck", {}).get("name", "") if record else ""
        for key in keys:
            self._targets[key].dirty.add(Source.REMEDIATIONS)
            if key == (namespace, asker) or self._targets[key].held_back:
                self.queue.add((HEALTH_CHECK, key))

    def synced(self, kind: str, namespaces: frozenset[str]) -> None:
        """A kind has been listed, or it is known that it cannot be."""
        for namespace in namespaces:
            for key in self._by_namespace.get(namespace, ()):
                self._targets[key].dirty.add(kind)
            self.wake(namespace)

    def sampled(self, target: Target, *, more: bool) -> None:
        """A source has been sampled; what others are still under way for the target are judged with it."""
        if not more:
            self._rounds.set(target.key, 0.0)
        elif not self._rounds.waiting(target.key):
            self._rounds.set(target.key, TOGETHER)

    def wake(self, namespace: str) -> None:
        """Queue every KiroHealthCheck of a namespace."""
        for key in self._by_namespace.get(namespace, ()):
            self.queue.add((HEALTH_CHECK, key))

    def wake_all(self) -> None:
        """Queue every KiroHealthCheck."""
        for namespace in self._by_namespace:
            self.wake(namespace)

    def remove(self, key: Key) -> None:
        """Forget a KiroHealthCheck that is gone."""
        target = self._targets.pop(key)
        self._by_namespace[key[0]].discard(key)
        if not self._by_namespace[key[0]]:
            del self._by_namespace[key[0]]
        self.queue.forget((HEALTH_CHECK, key))
        self._rounds.cancel(key)
        self._metrics.forget(*key)
        self._metrics.health_checks.set(len(self._targets))
        self._on_removed(target)
        self._follow_soon()

    def _follow_soon(self) -> None:
        """Let the watches follow the namespaces once no more come in."""
        now = self._clock.monotonic()
        first = self._gathering[1] if self._gathering else now
        if self._gathering:
            self._gathering[0].cancel()
        wait = max(0.0, min(GATHER, first + GATHER_AT_MOST - now))
        self._gathering = (asyncio.get_running_loop().call_later(wait, self._follow), first)

    def _follow(self) -> None:
        self._gathering = None
        self._watches.follow(frozenset(self._by_namespace))


def _uninteresting(old: Any, new: Any) -> bool:
    """A ready pod that stays ready, with the labels it had, changes no verdict."""
    return (
        old is not None
        and new is not None
        and old.settled
        and new.settled
        and old.metadata.labels == new.metadata.labels
    )
