"""The budget of attention: everything on, in one namespace and in 200, with backends that hang."""

import json
import re
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path

from bench import audit, everything, operator, procfs
from bench.everything import Backends
from bench.figures import Figure
from bench.manifests import Object
from bench.operator import Operator
from bench.world import KHC, World, world
from devcluster import faults
from devcluster.rest import on_each
from devcluster.wait import until
from kiro_operator.core.checks import registry

GROUP = "attention"
SPACE = "platform"
PODS = 20
SETTLE_SECONDS = 20.0
LATE = 5.0
_BUCKET = re.compile(
    r'^kiro_sample_(?P<what>delay|duration)_seconds_bucket\{le="(?P<le>[^"]+)",source="(?P<source>[^"]+)"\} '
    r"(?P<count>[0-9.e+]+)$",
    re.MULTILINE,
)
Buckets = dict[str, dict[float, float]]
"""Cumulative counts by upper bound, by source."""


def run(quick: bool) -> list[Figure]:  # noqa: FBT001 - the one switch of all benchmarks
    """One namespace first, then many, then many with hung backends."""
    spaces, span, interval = (6, 20.0, "15s") if quick else (200, 150.0, "60s")
    names = [SPACE, *(f"team-{number}" for number in range(spaces - 1))]
    with (
        tempfile.TemporaryDirectory() as folder,
        everything.backends(Path(folder), names) as servers,
        world(GROUP, pods=PODS + 2 * spaces, metrics=True) as made,
    ):
        made.plane.apply(everything.ROOT / "deploy" / "cluster-facts" / "rbac.yaml")
        made.namespaces(names, everything.GRANTS)
        apps = [f"app-{number}" for number in range(4)]
        made.deploy([(SPACE, app) for app in apps], replicas=PODS // 4, components=everything.COMPONENTS)
        others = [(name, app) for name in names[1:] for app in apps[:2]]
        made.deploy(others, replicas=1, components=everything.COMPONENTS)
        _prepare(made, names)
        figures = _one(made, servers)
        figures += _many(made, servers, names, span, interval)
        figures += _hung(made, servers, spaces, span)
    return figures


def _prepare(made: World, names: list[str]) -> None:
    """Steering documents in every namespace, and logs of every container."""
    rest = made.plane.rest
    everything.furnish_cluster(rest, names)
    on_each(lambda name: everything.furnish(rest, name), names)
    lines = [f"INFO  request={number} status=200 duration=12ms" for number in range(50)]
    lines += [json.dumps(record) for record in everything.records()]
    for name in names[:1]:
        for pods in made.pods(name).values():
            for pod in pods:
                faults.logs(made.plane, name, pod["metadata"]["name"], lines)
    made.plane.wait_for_metrics()


def _one(made: World, servers: Backends) -> list[Figure]:
    """One full run on a namespace of 20 pods."""
    path = f"{KHC.format(SPACE)}/all"
    made.plane.rest.post(KHC.format(SPACE), everything.health_check("all", "1h", servers.workspace))
    with operator.running(
        made.plane.server, made.account, flags=servers.flags(), env=everything.AWS_KEYS
    ) as process:
        until(lambda: _sampled(process), "the first run", 90)
        time.sleep(SETTLE_SECONDS)
        since, before = made.plane.audit_offset(), _buckets(process, "duration")
        walls = [made.run_now(path, f"run-{turn}") for turn in range(5)]
        slowest = _slowest(before, _buckets(process, "duration"))
        found = audit.requests(made, since)
        runs = len(walls)
        figures = _requests(found, runs)
        memory = procfs.resident_mib(process.pid)
        skipped = _skipped(made.plane.rest.get(path))
    wall = sorted(walls)[len(walls) // 2]
    made.plane.rest.delete(path)
    return [
        *figures,
        Figure(
            group=GROUP,
            name=f"one full run of all checks on {PODS} pods: wall, p50 of {runs}",
            unit="s",
            value=wall,
            bound=2.0 + slowest,
            note=f"target: at most 2 s beyond the slowest source, which takes up to {slowest:g} s",
        ),
        Figure(group=GROUP, name="resident memory with everything on", unit="MiB", value=memory),
        Figure(
            group=GROUP,
            name="checks that found nothing to look at",
            unit="",
            value=len(skipped),
            bound=0.0,
            note=f"of {len(registry())}{': ' if skipped else ''}{', '.join(skipped)}",
        ),
    ]


def _skipped(body: Object) -> list[str]:
    """Ids of the checks that were not run: each would make everything look cheaper than it is."""
    return [
        f"{one['id']} ({one['reason']})" for one in body["status"]["checks"] if one["status"] == "Skipped"
    ]


def _requests(found: "Counter[str]", runs: int) -> list[Figure]:
    logs = sum(count for what, count in found.items() if what.endswith("pods/log"))
    aside = ("watch ", "get leases", "update leases", "patch leases", "create events")
    others = Counter(
        {what: n for what, n in found.items() if not what.startswith(aside) and not what.endswith("pods/log")}
    )
    more = max(0, logs - runs * PODS)
    told = ", ".join(f"{what} {count / runs:.1f}" for what, count in others.most_common(12))
    return [
        Figure(
            group=GROUP,
            name="API requests of one full run, besides one log request a container",
            unit="",
            value=(sum(others.values()) + more) / runs,
            bound=60.0,
            note=f"{told}, further log requests {more / runs:.1f}",
        ),
        Figure(
            group=GROUP,
            name=f"log requests of one full run on {PODS} pods",
            unit="",
            value=logs / runs,
        ),
    ]


def _many(made: World, servers: Backends, names: list[str], span: float, interval: str) -> list[Figure]:
    """Everything on in every namespace: how late samples begin."""
    body = everything.health_check("all", interval, servers.workspace)
    on_each(lambda name: made.plane.rest.post(KHC.format(name), body), names)
    with operator.running(
        made.plane.server, made.account, flags=servers.flags(), env=everything.AWS_KEYS
    ) as process:
        until(lambda: _sampled(process), "the first samples", 120)
        time.sleep(span / 2)  # the start, at which everything is sampled at once
        before, cpu, started = _buckets(process, "delay"), process.cpu(), time.perf_counter()
        time.sleep(span)
        after = _buckets(process, "delay")
        used = (process.cpu() - cpu) / (time.perf_counter() - started)
        memory = procfs.resident_mib(process.pid)
    late, total = _beyond(before, after, LATE)
    where = f"{len(names)} KiroHealthChecks with everything on at {interval}"
    return [
        Figure(
            group=GROUP,
            name=f"{where}: samples later than {LATE:g} s",
            unit="",
            value=late,
            bound=0.0,
            note=f"of {total:.0f}{_by_source(before, after)}; backends and API server on the same two cores",
        ),
        Figure(group=GROUP, name=f"{where}: CPU of the operator", unit="ms/s", value=1000 * used),
        Figure(group=GROUP, name=f"{where}: resident memory", unit="MiB", value=memory),
    ]


def _hung(made: World, servers: Backends, spaces: int, span: float) -> list[Figure]:
    """The same with MCP, Prometheus and AWS hanging: what of the others is late."""
    with operator.running(
        made.plane.server, made.account, flags=servers.flags(hung=True), env=everything.AWS_KEYS
    ) as process:
        until(lambda: _sampled(process), "the first samples", 120)
        time.sleep(span / 2)
        before = _buckets(process, "delay")
        time.sleep(span)
        after = _buckets(process, "delay")
    others = {source: bounds for source, bounds in after.items() if source not in everything.HUNG}
    late, total = _beyond(before, others, LATE)
    return [
        Figure(
            group=GROUP,
            name=f"{spaces} KiroHealthChecks, MCP, Prometheus and AWS hang: late samples of other sources",
            unit="",
            value=late,
            bound=0.0,
            note=f"of {total:.0f}{_by_source(before, others)}",
        )
    ]


def _sampled(process: Operator) -> bool:
    return bool(_buckets(process, "delay"))


def _slowest(before: Buckets, after: Buckets) -> float:
    """Upper bound of the bucket of the slowest sample between two readings, in seconds."""
    found = [0.0]
    for source, bounds in after.items():
        old = before.get(source, {})
        # Cumulative: the first bucket that holds all of them.
        new = {le: count - old.get(le, 0.0) for le, count in bounds.items()}
        if most := new[float("inf")]:
            found.append(min(le for le, count in new.items() if count >= most))
    return max(found)


def _beyond(before: Buckets, after: Buckets, seconds: float) -> tuple[float, float]:
    """How many samples began later than that between two readings, and how many there were."""
    late = total = 0.0
    for source, bounds in after.items():
        old = before.get(source, {})
        everything_ = bounds[float("inf")] - old.get(float("inf"), 0.0)
        total += everything_
        late += everything_ - (bounds[seconds] - old.get(seconds, 0.0))
    return late, total


def _by_source(before: Buckets, after: Buckets) -> str:
    """Which sources were late how often."""
    late = Counter(
        {source: int(_beyond(before, {source: bounds}, LATE)[0]) for source, bounds in after.items()}
    )
    told = ", ".join(f"{source} {count}" for source, count in late.most_common() if count)
    return f": {told}" if told else ""


def _buckets(process: Operator, what: str) -> Buckets:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{process.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    found: Buckets = {}
    for match in _BUCKET.finditer(text):
        if match["what"] == what:
            found.setdefault(match["source"], {})[float(match["le"])] = float(match["count"])
    return found
