"""Burst: of 200 KiroHealthChecks, each over a Deployment of its own, 60 fail in the same second."""

import asyncio
from collections.abc import Sequence

from bench import manifests, operator, wire
from bench.figures import Figure, milliseconds
from bench.manifests import Object
from bench.wire import Watch, Wire
from bench.world import Workload, World, world

GROUP = "burst"
TIMEOUT = 60.0
BUDGET_WINDOW = 62.0
"""Seconds after which the actions of one round no longer count against the policy's budget."""
BOUNDS = {"condition": 500.0, "evicted": 1000.0}


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Once with the targets in twenty namespaces, once with all in one."""
    targets, failing = (40, 12) if quick else (200, 60)
    figures: list[Figure] = []
    for spaces in (20, 1):
        names = [f"team-{number}" for number in range(spaces)]
        workloads = [(names[number % spaces], f"app-{number}") for number in range(targets)]
        figures += _layout(names, workloads, failing)
    return figures


def _layout(names: Sequence[str], workloads: Sequence[Workload], failing: int) -> list[Figure]:
    peers = [("apart", f"peer-{number}") for number in range(failing)]
    with world(GROUP, pods=2 * len(workloads) + failing) as made:
        made.namespaces([*names, "apart"])
        made.policies(names)
        made.deploy(workloads, replicas=2)
        made.deploy(peers, replicas=1)
        made.health_checks(workloads, policy="bench")
        with operator.running(made.plane.server, made.account):
            made.settle(names, len(workloads), 300)
            found = asyncio.run(_measure(made, names, workloads, failing))
    where = f"{len(workloads)} targets in {len(names)} namespace{'s' if len(names) > 1 else ''}"
    return [_figure(f"{where}: {what}", key, series) for (what, key), series in found.items()]


def _figure(name: str, key: str, series: list[float]) -> Figure:
    told = milliseconds(GROUP, name, series)
    if told.spread is None:
        raise ValueError("nothing was measured")
    return Figure(
        group=GROUP,
        name=name,
        unit="ms",
        value=told.spread.max,
        bound=BOUNDS.get(key),
        spread=told.spread,
        note="measured is the last of all, from the first failure on or, within a second, from its own",
    )


async def _measure(
    made: World, names: Sequence[str], workloads: Sequence[Workload], failing: int
) -> dict[tuple[str, str], list[float]]:
    client = Wire(made.plane.admin)
    pods = {name: made.pods(name, hold=True) for name in [*names, "apart"]}
    peers = [items[0] for items in pods["apart"].values()]
    watches = {
        "condition": await client.watch("/apis/kiro.dev/v1alpha1/kirohealthchecks"),
        "pods": await client.watch("/api/v1/pods"),
        "verifying": await client.watch("/apis/kiro.dev/v1alpha1/kiroremediations"),
    }
    found: dict[tuple[str, str], list[float]] = {}
    try:
        found["floor: as many raw PATCHes at once → watch event", "floor"] = await _floor(
            client, watches["pods"], peers
        )
        for turn, (how, gap) in enumerate((("at once", 0.0), ("within a second", 0.9 / failing))):
            await asyncio.sleep(BUDGET_WINDOW if turn else 2.0)
            chosen = workloads[turn * failing : (turn + 1) * failing]
            victims = [(each, pods[each[0]][each[1]][0]) for each in chosen]
            for key, series in (await _round(client, watches, victims, gap)).items():
                found[f"{failing} fail {how} → {_TEXT[key]}", key if not gap else f"{key}, spread"] = series
    finally:
        await client.close()
    return found


_TEXT = {
    "condition": "condition Healthy=False",
    "evicted": "eviction",
    "verifying": "KiroRemediation in Verifying",
}


async def _floor(client: Wire, watch: Watch, peers: Sequence[Object]) -> list[float]:
    for body in (manifests.mended, manifests.crashed):
        seen = [watch.expect(wire.named(peer["metadata"]["name"])) for peer in peers]
        sent = await asyncio.gather(
            *(client.patch(manifests.path_of(peer) + "/status", body(peer)) for peer in peers)
        )
        if body is manifests.mended:
            for future in seen:
                future.cancel()
            await asyncio.sleep(1.0)
            continue
        changes = await asyncio.wait_for(asyncio.gather(*seen), TIMEOUT)
        return [change.at - min(sent) for change in changes]
    return []


async def _round(
    client: Wire, watches: dict[str, Watch], victims: Sequence[tuple[Workload, Object]], gap: float
) -> dict[str, list[float]]:
    """With a gap, each latency counts from its own failure; without, from the first of all."""
    wanted = {
        "condition": [watches["condition"].expect(wire.unhealthy(space, app)) for (space, app), _ in victims],
        "evicted": [watches["pods"].expect(wire.leaving(pod["metadata"]["name"])) for _, pod in victims],
        "verifying": [watches["verifying"].expect(wire.verifying(space, app)) for (space, app), _ in victims],
    }

    async def fail(number: int, pod: Object) -> float:
        await asyncio.sleep(number * gap)
        return await client.patch(manifests.path_of(pod) + "/status", manifests.crashed(pod))

    sent = await asyncio.gather(*(fail(number, pod) for number, (_, pod) in enumerate(victims)))
    starts = sent if gap else [min(sent)] * len(sent)
    found: dict[str, list[float]] = {}
    for key, futures in wanted.items():
        changes = await asyncio.wait_for(asyncio.gather(*futures), TIMEOUT)
        found[key] = [change.at - start for change, start in zip(changes, starts, strict=True)]
    return found
