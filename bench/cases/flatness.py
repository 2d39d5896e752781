"""Flatness: what one failure costs among 50, 200 and 1,000 KiroHealthChecks, ten a namespace."""

import asyncio
import time

from bench import manifests, operator, wire
from bench.figures import Figure, milliseconds
from bench.operator import Operator
from bench.wire import Wire
from bench.world import World, world

GROUP = "flatness"
A_NAMESPACE = 10
IDLE_SECONDS = 5.0
WARM_UP = 3
PAUSE = 0.05
TIMEOUT = 30.0


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Grow one control plane, and start the operator anew at each size."""
    sizes, count = ((20, 40), 5) if quick else ((50, 200, 1000), 30)
    figures: list[Figure] = []
    with world(GROUP, pods=sizes[-1]) as made:
        before = 0
        for size in sizes:
            new = [f"team-{number}" for number in range(before // A_NAMESPACE, size // A_NAMESPACE)]
            before = size
            workloads = [(name, f"app-{number}") for name in new for number in range(A_NAMESPACE)]
            made.namespaces(new)
            made.deploy(workloads, replicas=1)
            made.health_checks(workloads)
            spaces = [f"team-{number}" for number in range(size // A_NAMESPACE)]
            with operator.running(made.plane.server, made.account) as process:
                made.settle(spaces, size, 300)
                latencies, cpu = asyncio.run(_measure(made, process, spaces, count))
            name = f"{size} targets: failure → condition"
            figures += [
                milliseconds(GROUP, name, latencies),
                Figure(
                    group=GROUP,
                    name=f"{size} targets: CPU of one failure and its recovery",
                    unit="ms",
                    value=1000 * cpu,
                    note="the operator's own CPU time, less what it uses at rest",
                ),
            ]
    return figures


async def _measure(
    made: World, process: Operator, spaces: list[str], count: int
) -> tuple[list[float], float]:
    client = Wire(made.plane.admin)
    step = max(1, len(spaces) // 5)
    chosen = spaces[::step]
    pods = {name: made.pods(name, hold=True) for name in chosen}
    checks = await client.watch("/apis/kiro.dev/v1alpha1/kirohealthchecks")
    latencies: list[float] = []
    try:
        await asyncio.sleep(2.0)
        started = time.perf_counter()
        rest = process.cpu()
        await asyncio.sleep(IDLE_SECONDS)
        idle = (process.cpu() - rest) / (time.perf_counter() - started)
        for turn in range(WARM_UP + count):
            if turn == WARM_UP:
                started, used = time.perf_counter(), process.cpu()
            space = chosen[turn % len(chosen)]
            app = f"app-{turn // len(chosen) % A_NAMESPACE}"
            pod = pods[space][app][0]
            latency = await fail_and_mend(client, checks, space, app, pod)
            if turn >= WARM_UP:
                latencies.append(latency)
            await asyncio.sleep(PAUSE)
        await asyncio.sleep(0.5)
        cpu = process.cpu() - used - idle * (time.perf_counter() - started)
    finally:
        await client.close()
    return latencies, cpu / count


async def fail_and_mend(
    client: Wire, checks: wire.Watch, space: str, app: str, pod: manifests.Object
) -> float:
    """Fail a pod, wait for the condition, mend it, wait again; returns the seconds to the condition."""
    told = checks.expect(wire.unhealthy(space, app))
    sent = await client.patch(manifests.path_of(pod) + "/status", manifests.crashed(pod))
    at = (await asyncio.wait_for(told, TIMEOUT)).at
    well = checks.expect(wire.healthy(space, app))
    await client.patch(manifests.path_of(pod) + "/status", manifests.mended(pod))
    await asyncio.wait_for(well, TIMEOUT)
    return at - sent
