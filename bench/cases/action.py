"""Failure → action: the eviction as the API server shows it, and its record's state Verifying."""

import asyncio

from bench import manifests, operator, wire
from bench.figures import Figure, milliseconds
from bench.wire import Change, Watch, Wire
from bench.world import World, world

GROUP = "action"
WARM_UP = 6
REPLICAS = 2
PAUSE = 0.05
TIMEOUT = 30.0
NAMESPACES = 6
"""Each has a policy of its own, so that no budget runs out; few enough to be watched one by one."""


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Fail one pod of each workload in turn, each workload once."""
    rounds = 4 if quick else 22
    spaces = [f"team-{number}" for number in range(NAMESPACES)]
    workloads = [(space, f"app-{number}") for number in range(rounds) for space in spaces]
    with world(GROUP, pods=REPLICAS * len(workloads)) as made:
        made.namespaces([*spaces, "apart"])
        made.policies(spaces)
        made.deploy([*workloads, ("apart", "web")], replicas=REPLICAS)
        made.watch_all(spaces, policy="bench")
        with operator.running(made.plane.server, made.account):
            made.settle(spaces, len(spaces))
            times = asyncio.run(_measure(made, workloads))
    floor = milliseconds(GROUP, "floor: status PATCH → watch event, raw client", times["floor"])
    shown = {
        "condition": "failure → condition Healthy=False, while acting",
        "evicted": "failure → eviction (deletionTimestamp seen)",
        "recorded": "failure → KiroRemediation in Verifying",
    }
    figures = [milliseconds(GROUP, text, times[key]) for key, text in shown.items()]
    first = figures[1].value / floor.value
    return [
        floor,
        *figures,
        Figure(group=GROUP, name="failure → eviction, p50", unit="floors", value=first),
    ]


async def _measure(made: World, workloads: list[tuple[str, str]]) -> dict[str, list[float]]:
    client = Wire(made.plane.admin)
    spaces = sorted({space for space, _ in workloads})
    pods = {space: made.pods(space, hold=True) for space in [*spaces, "apart"]}
    peers = pods["apart"]["web"]
    checks = await client.watch("/apis/kiro.dev/v1alpha1/kirohealthchecks")
    records = await client.watch("/apis/kiro.dev/v1alpha1/kiroremediations")
    living = await client.watch("/api/v1/pods")
    times: dict[str, list[float]] = {"floor": [], "condition": [], "evicted": [], "recorded": []}
    try:
        for turn, (space, app) in enumerate(workloads):
            peer, pod = peers[turn % len(peers)], pods[space][app][0]
            seen = living.expect(wire.named(peer["metadata"]["name"]))
            sent = await client.patch(manifests.path_of(peer) + "/status", manifests.crashed(peer))
            floor = (await asyncio.wait_for(seen, TIMEOUT)).at - sent
            await client.patch(manifests.path_of(peer) + "/status", manifests.mended(peer))
            await asyncio.sleep(PAUSE)
            wanted = {
                "condition": checks.expect(wire.unhealthy(space)),
                "evicted": living.expect(wire.leaving(pod["metadata"]["name"])),
                "recorded": records.expect(wire.verifying(space, app)),
            }
            well = _recovery(checks, space)
            failed = await client.patch(manifests.path_of(pod) + "/status", manifests.crashed(pod))
            for key, future in wanted.items():
                at = (await asyncio.wait_for(future, TIMEOUT)).at
                if turn >= WARM_UP:
                    times[key].append(at - failed)
            if turn >= WARM_UP:
                times["floor"].append(floor)
            await asyncio.wait_for(well, TIMEOUT)
            await asyncio.sleep(PAUSE)
    finally:
        await client.close()
    return times


def _recovery(checks: Watch, space: str) -> "asyncio.Future[Change]":
    """The first time that a KiroHealthCheck is well again after it was not."""
    ill = False

    def wanted(change: Change) -> bool:
        nonlocal ill
        if change.object.metadata.namespace != space:
            return False
        healthy = change.object.condition("Healthy")
        ill = ill or healthy == "False"
        return ill and healthy == "True"

    return checks.expect(wanted)
