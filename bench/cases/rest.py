"""At rest, with 2,000 pods and one KiroHealthCheck: memory, requests, and what pod events cost."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable

import msgspec

from bench import audit, manifests, operator, procfs
from bench.cases.flatness import fail_and_mend
from bench.figures import Figure, milliseconds
from bench.manifests import Object
from bench.operator import Operator
from bench.wire import Wire
from bench.world import KHC, World, world

GROUP = "rest"
SPACE = "platform"
SETTLE_SECONDS = 15.0
AT_ONCE = 24
READER_SECONDS = 4.0
OBSERVED_SECONDS = 90.0
"""After which the condition Observed has said what is out of sight; it waits a while."""
SAMPLES = 4
"""Samples after which every check has its verdict."""
"""In which the peer has taken in the listing that its watch begins with."""


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """Memory first, then requests, then events; then requests again with the polled checks."""
    apps, replicas, span, events, cycles = (4, 10, 15.0, 200, 5) if quick else (40, 50, 60.0, 6_000, 60)
    workloads = [(SPACE, f"app-{number}") for number in range(apps)]
    with world(GROUP, pods=apps * replicas, metrics=True) as made:
        made.namespaces([SPACE])
        made.deploy(workloads, replicas=replicas)
        made.watch_all([SPACE])
        with operator.running(made.plane.server, made.account) as process:
            made.settle([SPACE], 1)
            time.sleep(SETTLE_SECONDS)
            figures = _memory(process, apps * replicas)
            figures += _requests(made, span, "watched checks only")
            pods = [pod for items in made.pods(SPACE, hold=True).values() for pod in items]
            figures += asyncio.run(_events(made, process, pods, events, cycles))
            figures += _memory(
                process, apps * replicas, f" after {events + 2 * cycles:,} events", bound=False
            )
            made.plane.wait_for_metrics()
            made.plane.rest.patch(f"{KHC.format(SPACE)}/all", manifests.health_check("all", polled=True))
            # A first verdict takes samples, and a check may sample rarely: before that nothing rests.
            for turn in range(SAMPLES):
                made.run_now(f"{KHC.format(SPACE)}/all", f"run-{turn}")
            time.sleep(OBSERVED_SECONDS)
            figures += _requests(made, span, "all checks")
            figures += _memory(process, apps * replicas, ", all checks", bound=False)
    return figures


def _memory(process: Operator, pods: int, what: str = "", *, bound: bool = True) -> list[Figure]:
    return [
        Figure(
            group=GROUP,
            name=f"resident memory with {pods:,} pods{what}",
            unit="MiB",
            value=procfs.resident_mib(process.pid),
            bound=120.0 if bound else None,
            note=f"at most {procfs.peak_mib(process.pid):.0f} MiB so far",
        )
    ]


def _requests(made: World, span: float, which: str) -> list[Figure]:
    """Requests a minute, from the audit log."""
    since = made.plane.audit_offset()
    time.sleep(span)
    found = audit.requests(made, since)
    watches = sum(count for what, count in found.items() if what.startswith("watch "))
    leases = sum(count for what, count in found.items() if what.endswith(" leases"))
    writes = sum(
        count for what, count in found.items() if what.startswith(("patch ", "update ")) and "/status" in what
    )
    others = Counter({what: n for what, n in found.items() if not what.startswith("watch ")})
    told = ", ".join(f"{what} {60 * n / span:.1f}" for what, n in others.most_common())
    return [
        _a_minute(
            which, "requests but watches and leases", sum(found.values()) - watches - leases, span, told
        ),
        _a_minute(which, "renewals of the Lease", leases, span),
        _a_minute(which, "watches taken up anew", watches, span),
        _a_minute(which, "status writes", writes, span, bound=0.0),
    ]


def _a_minute(
    which: str, what: str, count: int, span: float, note: str = "", *, bound: float | None = None
) -> Figure:
    return Figure(
        group=GROUP,
        name=f"at rest, {which}: {what}",
        unit="/min",
        value=60 * count / span,
        bound=bound,
        note=note,
    )


async def _events(
    made: World, process: Operator, pods: list[Object], events: int, cycles: int
) -> list[Figure]:
    client = Wire(made.plane.admin)
    try:
        idle = await _cpu_while(process, asyncio.sleep(10.0))
        rate = idle[0] / idle[1]
        with operator.reading(made.plane.server, made.account) as peer:
            await asyncio.sleep(READER_SECONDS)
            before = peer.cpu()
            cpu, took = await _cpu_while(process, _heartbeats(client, pods, events))
            reader = 1e6 * (peer.cpu() - before) / events
        calm = 1e6 * (cpu - rate * took) / events
        checks = await client.watch(KHC.format(SPACE))
        latencies: list[float] = []

        async def matter() -> None:
            for turn in range(cycles):
                pod = pods[turn * 7 % len(pods)]
                latencies.append(await fail_and_mend(client, checks, SPACE, "all", pod))
                await asyncio.sleep(0.02)

        cpu, took = await _cpu_while(process, matter())
    finally:
        await client.close()
    size = len(msgspec.json.encode(pods[0])) / 1000
    return [
        Figure(
            group=GROUP,
            name="CPU of a pod event that changes nothing, end to end",
            unit="µs",
            value=calm,
            bound=35.0,
            note=f"{events:,} annotation patches, {events / took:.0f}/s, pods of about {size:.1f} KB",
        ),
        Figure(
            group=GROUP,
            name="CPU of the same event for a raw client that decodes nothing",
            unit="µs",
            value=reader,
            note="another process on the same watch in the same seconds: TLS, HTTP and the event loop alone",
        ),
        Figure(group=GROUP, name="CPU at rest", unit="ms/s", value=1000 * rate),
        Figure(
            group=GROUP,
            name=f"CPU of one failure and its recovery, of {len(pods):,} pods",
            unit="ms",
            value=1000 * (cpu - rate * took) / cycles,
            note="two pod events, two status writes, two Events and what the controllers do about it",
        ),
        milliseconds(GROUP, f"failure → condition, of {len(pods):,} pods", latencies),
    ]


async def _cpu_while(process: Operator, work: Awaitable[None]) -> tuple[float, float]:
    """CPU seconds of the operator while something is done, with half a second to come to rest."""
    before, started = process.cpu(), time.perf_counter()
    await work
    await asyncio.sleep(0.5)
    return process.cpu() - before, time.perf_counter() - started


async def _heartbeats(client: Wire, pods: list[Object], events: int) -> None:
    """Patches that change a pod's resource version and an annotation that no check reads."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def beat(number: int) -> None:
        async with gate:
            body = {"metadata": {"annotations": {"bench.example/heartbeat": str(number)}}}
            await client.patch(manifests.path_of(pods[number % len(pods)]), body)

    await asyncio.gather(*(beat(number) for number in range(events)))
