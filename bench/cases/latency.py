"""Failure → condition, one after the other, interleaved with the raw floor of the same server."""

import asyncio

from bench import manifests, operator
from bench.figures import Figure, milliseconds, ratio
from bench.manifests import Object
from bench.wire import Watch, Wire
from bench.world import World, world

GROUP = "latency"
WARM_UP = 10
PAUSE = 0.03
"""Seconds between iterations, in which the controllers come to rest."""
TIMEOUT = 20.0


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Measure with one KiroHealthCheck over ten pods."""
    count = 15 if quick else 300
    with world(GROUP, pods=50) as made:
        made.namespaces(["watched", "apart"])
        made.deploy([("watched", "web"), ("apart", "web")], replicas=10)
        made.health_checks([("watched", "web")])
        with operator.running(made.plane.server, made.account):
            made.settle(["watched"], 1)
            floor, verdict = asyncio.run(_measure(made, count))
    low = milliseconds(GROUP, "floor: status PATCH → watch event, raw client", floor)
    high = milliseconds(GROUP, "failure → condition Healthy=False", verdict)
    if low.spread is None or high.spread is None:
        raise ValueError("nothing was measured")
    return [
        low,
        high,
        ratio(GROUP, "failure → condition, p50", high.spread.p50 / low.spread.p50, 3.0),
        ratio(GROUP, "failure → condition, p99", high.spread.p99 / low.spread.p99, 5.0),
    ]


async def _measure(made: World, count: int) -> tuple[list[float], list[float]]:
    wire = Wire(made.plane.admin)
    broken = made.pods("watched", hold=True)["web"]
    raw = made.pods("apart", hold=True)["web"]
    checks = await wire.watch("/apis/kiro.dev/v1alpha1/namespaces/watched/kirohealthchecks")
    pods = await wire.watch("/api/v1/namespaces/apart/pods")
    floor: list[float] = []
    verdict: list[float] = []
    try:
        for turn in range(WARM_UP + count):
            peer, pod = raw[turn % len(raw)], broken[turn % len(broken)]
            name = peer["metadata"]["name"]
            seen = pods.expect(lambda change, name=name: change.object.metadata.name == name)  # type: ignore[misc]
            sent = await wire.patch(manifests.path_of(peer) + "/status", manifests.crashed(peer))
            arrived = (await asyncio.wait_for(seen, TIMEOUT)).at
            await wire.patch(manifests.path_of(peer) + "/status", manifests.mended(peer))
            await asyncio.sleep(PAUSE)
            told = checks.expect(lambda change: change.object.condition("Healthy") == "False")
            failed = await wire.patch(manifests.path_of(pod) + "/status", manifests.crashed(pod))
            answered = (await asyncio.wait_for(told, TIMEOUT)).at
            if turn >= WARM_UP:
                floor.append(arrived - sent)
                verdict.append(answered - failed)
            await _mend(wire, checks, pod)
    finally:
        await wire.close()
    return floor, verdict


async def _mend(wire: Wire, checks: Watch, pod: Object) -> None:
    well = checks.expect(lambda change: change.object.condition("Healthy") == "True")
    await wire.patch(manifests.path_of(pod) + "/status", manifests.mended(pod))
    await asyncio.wait_for(well, TIMEOUT)
    await asyncio.sleep(PAUSE)
