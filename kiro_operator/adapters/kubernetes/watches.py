"""What is watched, where: one store a kind, filled by one watch a namespace or one for the cluster.

Only namespaces that hold a KiroHealthCheck are watched. A few are watched one by one; beyond that
one cluster-wide watch a kind costs the API server and this process less than many small ones.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.informer import Informer, Kind
from kiro_operator.adapters.kubernetes.store import Store
from kiro_operator.core import objects
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.snapshot import Source, Unobserved

T = TypeVar("T", bound=objects.Projection)

REMEDIATIONS = Source.REMEDIATIONS
"""The operator's own records are watched like everything else."""
APPROVALS = "kiroapprovals"
"""What people decide. No check reads it, so that it is no Source."""

_CORE, _APPS, _KIRO = "/api/v1", "/apis/apps/v1", "/apis/kiro.dev/v1alpha1"

KINDS: Mapping[str, Kind[Any]] = {
    Source.PODS: Kind(_CORE, "pods", objects.Pod),
    Source.DEPLOYMENTS: Kind(_APPS, "deployments", objects.Deployment),
    Source.STATEFUL_SETS: Kind(_APPS, "statefulsets", objects.StatefulSet),
    Source.DAEMON_SETS: Kind(_APPS, "daemonsets", objects.DaemonSet),
    Source.REPLICA_SETS: Kind(_APPS, "replicasets", objects.ReplicaSet),
    Source.SERVICES: Kind(_CORE, "services", objects.Service),
    Source.ENDPOINT_SLICES: Kind("/apis/discovery.k8s.io/v1", "endpointslices", objects.EndpointSlice),
    Source.AUTOSCALERS: Kind(
        "/apis/autoscaling/v2", "horizontalpodautoscalers", objects.HorizontalPodAutoscaler
    ),
    REMEDIATIONS: Kind(_KIRO, "kiroremediations", objects.Record),
    APPROVALS: Kind(_KIRO, APPROVALS, objects.Approval),
}

_WHY: Mapping[str, str] = {
    Source.PODS: "pods-ready judges them",
    Source.DEPLOYMENTS: "workloads-available judges them",
    Source.STATEFUL_SETS: "workloads-available judges them",
    Source.DAEMON_SETS: "workloads-available judges them",
    Source.REPLICA_SETS: "they link a pod to its Deployment",
    Source.SERVICES: "network-connectivity judges them",
    Source.ENDPOINT_SLICES: "network-connectivity judges them",
    Source.AUTOSCALERS: "a workload that an autoscaler owns is never scaled",
    REMEDIATIONS: "they are the record of what was done, and the lock on each target",
    APPROVALS: "a Manual action waits for one",
}

RULES = {
    name: Rule(
        kind.prefix.split("/")[2] if kind.prefix != _CORE else "",
        (kind.plural,),
        ("list", "watch"),
        _WHY[name],
        Scope.CLUSTER,
    )
    for name, kind in KINDS.items()
}

REFUSED = 600.0
"""Seconds after which a kind that may not be watched in the whole cluster is tried there again."""

logger = logging.getLogger(__name__)


class _Watch(Generic[T]):
    """One running informer and the namespaces it covers."""

    def __init__(self, namespaces: frozenset[str], namespace: str | None) -> None:
        self.namespaces = namespaces
        self.namespace = namespace
        self.informer: Informer[T]
        self.task: asyncio.Task[None]
        self.synced = False
        self.trouble: Exception | None = None


class KindWatches(Generic[T]):
    """All watches of one kind."""

    def __init__(
        self,
        name: str,
        client: Client,
        store: Store[T],
        *,
        limit: int,
        on_synced: Callable[[frozenset[str]], None],
    ) -> None:
        self.name = name
        self.store = store
        self._client = client
        self._limit = limit
        self._on_synced = on_synced
        self._watches: list[_Watch[T]] = []
        self._wanted: frozenset[str] = frozenset()
        self._refusal: asyncio.TimerHandle | None = None
        """Until it runs out, no watch of the whole cluster is tried."""

    def follow(self, wanted: frozenset[str]) -> None:
        """Watch these namespaces and no others."""
        self._wanted = wanted
        covered = frozenset().union(*(watch.namespaces for watch in self._watches))
        for watch in list(self._watches):
            # What leaves is forgotten, so that it has to be listed when it comes back.
            watch.namespaces &= wanted
            if not watch.namespaces:
                self._end(watch)
        missing = wanted - covered
        single = [watch for watch in self._watches if watch.namespace is not None]
        many = len(single) + len(missing) > self._limit and self._refusal is None
        # Without anything missing there are too many only after a refusal; one attempt at a time will do.
        if many and (missing or all(watch.synced for watch in self._watches if watch.namespace is None)):
            self._start(wanted, None)
        else:
            for namespace in sorted(missing):
                self._start(frozenset({namespace}), namespace)
        for namespace in covered - wanted:
            self.store.drop(namespace)

    def unobserved(self, namespace: str, stale_after: float) -> Unobserved | None:
        """Why this kind cannot be seen in a namespace now; None when it can."""
        watch = next((w for w in self._watches if namespace in w.namespaces and w.synced), None)
        if watch is not None:
            silent = asyncio.get_running_loop().time() - (watch.informer.last_sign_of_life or 0.0)
            if silent <= stale_after:
                return None
            return Unobserved(
                "StaleWatch",
                f"the watch of {self.name} has been silent too long; "
                "what was last seen may no longer be so. See the operator's log for the cause",
            )
        trouble = next((w.trouble for w in self._watches if namespace in w.namespaces and w.trouble), None)
        if isinstance(trouble, ports.Forbidden):
            return Unobserved("Forbidden", RULES[self.name].advice(namespace))
        if trouble is not None:
            reason = "AnswerTooLarge" if isinstance(trouble, ports.AnswerTooLarge) else "Unreachable"
            return Unobserved(reason, f"cannot list {self.name}: {trouble}"[:500])
        return Unobserved("NotSynced", f"{self.name} have not been listed yet")

    def oldest_sign_of_life(self) -> float | None:
        """Loop time at which the quietest synced watch was last heard."""
        heard = [
            w.informer.last_sign_of_life for w in self._watches if w.synced and w.informer.last_sign_of_life
        ]
        return min(heard, default=None)

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel all watches; the caller awaits them."""
        tasks = [watch.task for watch in self._watches]
        for task in tasks:
            task.cancel()
        self._watches.clear()
        if self._refusal:
            self._refusal.cancel()
        return tasks

    def _start(self, namespaces: frozenset[str], namespace: str | None) -> None:
        watch: _Watch[T] = _Watch(namespaces, namespace)
        watch.informer = Informer(
            self._client,
            KINDS[self.name],
            self.store,
            namespace=namespace,
            covers=lambda: watch.namespaces,
            on_synced=lambda: self._synced(watch),
            on_trouble=lambda error: self._troubled(watch, error),
        )
        watch.task = asyncio.create_task(watch.informer.run(), name=f"watch {self.name} {namespace or '*'}")
        self._watches.append(watch)

    def _synced(self, watch: _Watch[T]) -> None:
        watch.synced, watch.trouble = True, None
        if watch.namespace is None:
            # It now covers what these did: they end before they could bring back what is gone. A namespace
            # that came later is not in it, and keeps its own.
            for other in [w for w in self._watches if w is not watch and w.namespaces <= watch.namespaces]:
                self._end(other)
        self._on_synced(watch.namespaces)

    def _troubled(self, watch: _Watch[T], error: Exception) -> None:
        first = watch.trouble is None
        watch.trouble = error
        if isinstance(error, ports.Forbidden) and error.status != 401 and watch.namespace is None:
            # 401 says nothing about rights: a token that has run out is the same for each namespace.
            logger.warning("may not watch %s in the whole cluster; watching each namespace", self.name)
            if self._refusal:
                self._refusal.cancel()
            self._refusal = asyncio.get_running_loop().call_later(REFUSED, self._try_cluster_again)
            self._end(watch)
            self.follow(self._wanted)
        elif first and not watch.synced:
            # Whoever waits for this kind is to learn that it will not come.
            self._on_synced(watch.namespaces)

    def _try_cluster_again(self) -> None:
        """See whether the right is there by now; what is watched one by one stays so until it is."""
        self._refusal = None
        self.follow(self._wanted)

    def _end(self, watch: _Watch[T]) -> None:
        self._watches.remove(watch)
        watch.task.cancel()


class Watches:
    """All watched kinds."""

    def __init__(
        self,
        client: Client,
        *,
        limit: int,
        stale_after: float,
        on_change: Callable[[str, str, Any, Any], None],
        on_synced: Callable[[str, frozenset[str]], None],
    ) -> None:
        self._stale_after = stale_after
        self.kinds: dict[str, KindWatches[Any]] = {}
        for name in KINDS:
            self.kinds[name] = self._kind(name, client, limit, on_change, on_synced)

    @staticmethod
    def _kind(
        name: str,
        client: Client,
        limit: int,
        on_change: Callable[[str, str, Any, Any], None],
        on_synced: Callable[[str, frozenset[str]], None],
    ) -> KindWatches[Any]:
        store: Store[Any] = Store(
            lambda namespace, old, new: on_change(name, namespace, old, new), objects.selectable_labels
        )
        return KindWatches(
            name, client, store, limit=limit, on_synced=lambda namespaces: on_synced(name, namespaces)
        )

    def follow(self, namespaces: frozenset[str]) -> None:
        """Watch these namespaces and no others."""
        for kind in self.kinds.values():
            kind.follow(namespaces)

    def unobserved(self, name: str, namespace: str) -> Unobserved | None:
        """Why a kind cannot be seen in a namespace now; None when it can."""
        return self.kinds[name].unobserved(namespace, self._stale_after)

    def records(self, namespace: str) -> Iterable[objects.Record]:
        """The KiroRemediations of a namespace."""
        return self.kinds[REMEDIATIONS].store.all(namespace)

    def oldest_sign_of_life(self) -> float | None:
        """Loop time at which the quietest watch was last heard; None while nothing is watched."""
        heard = [h for kind in self.kinds.values() if (h := kind.oldest_sign_of_life()) is not None]
        return min(heard, default=None)

    async def stop(self) -> None:
        """End all watches."""
        tasks = [task for kind in self.kinds.values() for task in kind.stop()]
        await asyncio.gather(*tasks, return_exceptions=True)
