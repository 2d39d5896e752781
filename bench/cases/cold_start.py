"""Cold start: 1,000 KiroHealthChecks in 100 namespaces with 5,000 pods, fresh and again."""

import asyncio
import time
from collections.abc import Sequence

from bench import audit, manifests, operator, procfs
from bench.figures import Figure
from bench.wire import Wanted, Watch, Wire
from bench.world import Workload, World, world
from devcluster.rest import on_each

GROUP = "cold-start"
REPLICAS = 5
TIMEOUT = 180.0
REST_SECONDS = 15.0
Told = dict[str, float]


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Start on KiroHealthChecks without a status, then on those that have one."""
    targets, spaces = (40, 4) if quick else (1000, 100)
    names = [f"team-{number}" for number in range(spaces)]
    workloads = [(names[number % spaces], f"app-{number}") for number in range(targets)]
    with world(GROUP, pods=REPLICAS * targets) as made:
        made.namespaces(names)
        made.deploy(workloads, replicas=REPLICAS)
        made.health_checks(workloads)
        fresh = asyncio.run(_fresh(made, targets))
        failing = [workloads[number] for number in range(0, targets, max(1, targets // 20))]
        _break(made, failing)
        since = made.plane.audit_offset()
        again = asyncio.run(_again(made, failing))
        writes = audit.requests(made, since)["patch kirohealthchecks/status"]
    where = f"{targets:,} targets, {REPLICAS * targets:,} pods"
    return [
        _figure(f"{where}, fresh: start → first verdict written", "s", fresh["first"], 3.0),
        _figure(f"{where}, fresh: start → last verdict written", "s", fresh["last"]),
        _figure(f"{where}, fresh: resident memory", "MiB", fresh["rss"], 150.0),
        _figure(f"{where}, fresh: most memory ever resident", "MiB", fresh["peak"]),
        _figure(f"{where}, fresh: CPU of the start", "s", fresh["cpu"]),
        _figure(
            f"{where}, restart: start → first of {len(failing)} new failures told", "s", again["first"], 3.0
        ),
        _figure(f"{where}, restart: start → last of {len(failing)} new failures told", "s", again["last"]),
        _figure(f"{where}, restart: resident memory", "MiB", again["rss"], 150.0),
        _figure(f"{where}, restart: status writes", "", float(writes), float(2 * len(failing))),
    ]


def _figure(name: str, unit: str, value: float, bound: float | None = None) -> Figure:
    return Figure(group=GROUP, name=name, unit=unit, value=value, bound=bound)


async def _fresh(made: World, targets: int) -> Told:
    """Until every KiroHealthCheck has a verdict."""
    return await _start(made, targets, lambda change: change.object.condition("Healthy") in {"True", "False"})


async def _again(made: World, failing: Sequence[Workload]) -> Told:
    """Until every failure that happened while no operator ran is told."""
    return await _start(made, len(failing), lambda change: change.object.condition("Healthy") == "False")


async def _start(made: World, wanted: int, counts: Wanted) -> Told:
    client = Wire(made.plane.admin)
    try:
        checks = await client.watch("/apis/kiro.dev/v1alpha1/kirohealthchecks")
        with operator.running(made.plane.server, made.account) as process:
            times = await _all(checks, wanted, counts)
            cpu = process.cpu()
            await asyncio.sleep(REST_SECONDS)
            return {
                "first": min(times) - process.started,
                "last": max(times) - process.started,
                "cpu": cpu,
                "rss": procfs.resident_mib(process.pid),
                "peak": procfs.peak_mib(process.pid),
            }
    finally:
        await client.close()


async def _all(checks: Watch, wanted: int, counts: Wanted) -> list[float]:
    """When each KiroHealthCheck was first seen as wanted."""
    deadline = time.perf_counter() + TIMEOUT
    first: dict[tuple[str, str], float] = {}
    looked = 0
    while len(first) < wanted:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{len(first)} of {wanted} after {TIMEOUT:.0f} s, of {looked} changes")
        await asyncio.sleep(0.1)
        for change in checks.changes[looked:]:
            looked += 1
            if counts(change):
                metadata = change.object.metadata
                first.setdefault((metadata.namespace, metadata.name), change.at)
    return list(first.values())


def _break(made: World, failing: Sequence[Workload]) -> None:
    for space in {space for space, _ in failing}:
        pods = made.pods(space, hold=True)
        broken = [pods[app][0] for where, app in failing if where == space]
        on_each(
            lambda pod: made.plane.rest.patch(manifests.path_of(pod) + "/status", manifests.crashed(pod)),
            broken,
        )
