"""Failover: two operators; the leader is told to go, is killed, or stops moving and comes back."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Iterator

from bench import audit, manifests, operator, wire
from bench.figures import Figure, spread
from bench.operator import Operator
from bench.wire import Change, Watch, Wire
from bench.world import OWN_NAMESPACE, World, world

GROUP = "failover"
SPACE = "platform"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{OWN_NAMESPACE}/leases"
TIMEOUT = 45.0
WARM_SECONDS = 6.0
BOUNDS = {signal.SIGTERM: 3.0, signal.SIGKILL: 17.0, signal.SIGSTOP: None}
HOW = {
    signal.SIGTERM: "leader ends (SIGTERM)",
    signal.SIGKILL: "leader is killed (SIGKILL)",
    signal.SIGSTOP: "leader freezes (SIGSTOP)",
}


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """At each blow a pod fails, so that there is something to act on, once."""
    blows = [signal.SIGTERM] * (1 if quick else 4)
    blows += [signal.SIGKILL] * (1 if quick else 2)
    blows += [signal.SIGSTOP] * (0 if quick else 1)
    workloads = [(SPACE, f"app-{number}") for number in range(len(blows))]
    with world(GROUP, pods=40) as made:
        made.namespaces([SPACE])
        made.policies([SPACE])
        made.deploy(workloads, replicas=2)
        made.watch_all([SPACE], policy="bench")
        since = made.plane.audit_offset()
        times = asyncio.run(_measure(made, blows))
        created, evicted = audit.actions(made, since)
    figures = []
    for blow in dict.fromkeys(blows):
        for what in ("another process leads", "it evicts the pod that failed meanwhile"):
            series = times[blow, what]
            figures.append(_figure(f"{HOW[blow]} → {what}", series, BOUNDS[blow]))
    twice = sum(count - 1 for count in (*created.values(), *evicted.values()))
    figures.append(
        Figure(
            group=GROUP,
            name="actions done twice",
            unit="",
            value=float(twice),
            bound=0.0,
            note=f"{len(created)} records, {len(evicted)} evictions, {len(blows)} failures, by the audit log",
        )
    )
    return figures


def _figure(name: str, series: list[float], bound: float | None) -> Figure:
    told = spread(series)
    return Figure(
        group=GROUP,
        name=name,
        unit="s",
        value=told.max,
        bound=bound,
        spread=told,
        note="measured is the longest",
    )


class Pair:
    """A leader and its standby; who leaves is replaced."""

    def __init__(self, made: World, stack: contextlib.ExitStack) -> None:
        self._made = made
        self._stack = stack
        self._names: Iterator[str] = (f"operator-{number}" for number in itertools.count())
        self.running: dict[str, Operator] = {}

    def start(self) -> None:
        """One more operator."""
        name = next(self._names)
        process = operator.running(self._made.plane.server, self._made.account, name=name)
        self.running[name] = self._stack.enter_context(process)

    def holder(self) -> str:
        """Which of them holds the Lease; empty when none does."""
        lease = self._made.plane.rest.get(f"{LEASES}/kiro-operator")
        return str(lease["spec"].get("holderIdentity") or "").rsplit("_", 1)[0]


async def _measure(made: World, blows: list[signal.Signals]) -> dict[tuple[signal.Signals, str], list[float]]:
    client = Wire(made.plane.admin)
    pods = made.pods(SPACE, hold=True)
    times: dict[tuple[signal.Signals, str], list[float]] = {}
    with contextlib.ExitStack() as stack:
        pair = Pair(made, stack)
        try:
            pair.start()
            await asyncio.to_thread(made.settle, [SPACE], 1)
            leases, living = (
                await client.watch(LEASES),
                await client.watch(f"/api/v1/namespaces/{SPACE}/pods"),
            )
            for number, blow in enumerate(blows):
                pair.start()
                await asyncio.sleep(WARM_SECONDS)
                pod = pods[f"app-{number}"][0]
                led, acted = await _strike(pair, blow, client, (leases, living), pod)
                times.setdefault((blow, "another process leads"), []).append(led)
                times.setdefault((blow, "it evicts the pod that failed meanwhile"), []).append(acted)
        finally:
            await client.close()
    return times


async def _strike(
    pair: Pair, blow: signal.Signals, client: Wire, watches: tuple[Watch, Watch], pod: manifests.Object
) -> tuple[float, float]:
    leases, living = watches
    leader = await asyncio.to_thread(pair.holder)

    def taken(change: Change) -> bool:
        holder = change.object.spec.holder_identity or ""
        return bool(holder) and holder.rsplit("_", 1)[0] != leader

    led = leases.expect(taken)
    gone = living.expect(wire.leaving(pod["metadata"]["name"]))
    struck = pair.running[leader].send(blow)
    await client.patch(manifests.path_of(pod) + "/status", manifests.crashed(pod))
    times = [(await asyncio.wait_for(future, TIMEOUT)).at - struck for future in (led, gone)]
    if blow is signal.SIGSTOP:
        pair.running[leader].send(signal.SIGCONT)
        await asyncio.to_thread(pair.running[leader].wait, TIMEOUT)
    await asyncio.to_thread(pair.running.pop(leader).stop)
    return times[0], times[1]
