"""Each performance check passes, fails and passes again, on what a real Prometheus and API server say."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from devcluster import ControlPlane
from devcluster.wait import until
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.credentials import Credentials
from kiro_operator.adapters.kubernetes.inventory import Inventories
from kiro_operator.adapters.prometheus import series as adapter
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckStatus
from kiro_operator.core.checks import registry
from kiro_operator.core.conditions import Outcome, Permission, summarize
from kiro_operator.core.evidence.inventory import INVENTORY, Inventory
from kiro_operator.core.evidence.series import SERIES
from kiro_operator.core.objects import Deployment, HorizontalPodAutoscaler, Pod, ReplicaSet
from kiro_operator.core.snapshot import Collection, Sample, Snapshot
from kiro_operator.core.verdict import Status, Verdict
from kiro_operator.ports import Ask
from kiro_operator.reconcile.judge import judge
from kiro_operator.reconcile.observe import not_configured
from kiro_operator.reconcile.target import Target
from tests.adapters.helpers import facts, poll, service_account
from tests.harness.prometheus import Prometheus, Samples, course
from tests.harness.world import World

NAMESPACE = "kiro-system"
NOW = datetime.now(UTC).replace(microsecond=0)
START = NOW - timedelta(days=9)
HOUR = timedelta(hours=1)

BEFORE, OVER, BETWEEN, WORSE, AFTER = (NOW - hours * HOUR for hours in (5, 3.5, 2.5, 1.5, 0.5))
"""All is well; the threshold is passed; well again; far from what is usual; well again."""

HERE = {"namespace": NAMESPACE}
NODE = {"instance": "10.0.0.1:9100", "nodename": "node-a"}
SERVICE = HERE | {"service": "kiro"}


def story(usual: float, over: float, worse: float) -> Callable[[datetime], float]:
    """A day like any other, with two bad hours in it. Gaps are in the check of the adapter."""

    def value(at: datetime) -> float:
        if NOW - 4 * HOUR <= at < NOW - 3 * HOUR:
            return over
        if NOW - 2 * HOUR <= at < NOW - 1 * HOUR:
            return worse
        # The days differ a little, and each has its peak.
        return usual * (1 + 0.04 * math.sin(at.toordinal()) + 0.1 * math.sin(at.hour / 24 * math.tau))

    return value


STORIES = {
    # id: metric, labels, usual, over, worse, reason when over
    "cpu-usage": ("node_cpu_utilization", NODE, 0.3, 0.95, 0.6, "CpuHigh"),
    "memory-usage": (
        "kiro_container_memory_utilization",
        HERE | {"pod": "kiro-1", "container": "kiro"},
        0.4, 0.97, 0.8, "MemoryHigh",
    ),
    "storage-usage": (
        "kiro_node_filesystem_utilization", NODE | {"mountpoint": "/var"}, 0.4, 0.9, 0.8, "StorageHigh"
    ),
    "network-bandwidth": (
        "kiro_node_network_utilization", NODE | {"device": "eth0"}, 0.2, 0.95, 0.5, "BandwidthHigh"
    ),
    "network-latency": (
        "kiro_network_latency_seconds", {"instance": "http://mcp"}, 0.03, 0.5, 0.1, "LatencyHigh"
    ),
    "database-performance": (
        "kiro_database_query_seconds", HERE | {"datname": "kiro"}, 0.02, 0.4, 0.1, "DatabaseSlow"
    ),
    "response-time": ("kiro_response_seconds", SERVICE, 0.2, 3.0, 0.6, "ResponseSlow"),
    "throughput": ("kiro_requests_per_second", SERVICE, 10.0, 0.5, 4.0, "ThroughputLow"),
    "error-rate": ("kiro_error_ratio", SERVICE, 0.005, 0.3, 0.03, "ErrorRateHigh"),
    "cache-effectiveness": ("kiro_cache_hit_ratio", SERVICE, 0.9, 0.1, 0.4, "CacheIneffective"),
}  # fmt: skip
PARAMETERS = {
    "throughput": {"threshold": 120},
    "cache-effectiveness": {"threshold": 30},
}


def filling(at: datetime) -> float:
    """A volume that fills up for two hours, until somebody stops it."""
    hours = (at - (NOW - 4 * HOUR)) / HOUR
    return 0.5 + 0.1 * min(max(hours, 0.0), 2.0)


def restless(at: datetime) -> float:
    """An autoscaler that changes its mind every two minutes for an hour."""
    return 2.0 + (at.minute // 2 % 2) * (NOW - 4 * HOUR <= at < NOW - 3 * HOUR)


def history() -> Iterator[Samples]:
    for name, labels, usual, over, worse, _ in STORIES.values():
        yield Samples(name, labels, course(START, NOW, story(usual, over, worse), minutes=4))
    recent = NOW - 8 * HOUR
    yield Samples(
        "kiro_volume_utilization", HERE | {"persistentvolumeclaim": "data"}, course(recent, NOW, filling)
    )
    throttled = HERE | {"pod": "kiro-1", "container": "kiro"}
    yield Samples("kiro_cpu_throttling_ratio", throttled, course(recent, NOW, story(0.01, 0.6, 0.01)))
    yield from hours()
    changes = HERE | {"horizontalpodautoscaler": "kiro"}
    name = "kube_horizontalpodautoscaler_status_desired_replicas"
    yield Samples(name, changes, course(recent, NOW, restless))
    yield from shortages()


MOMENT = NOW.replace(minute=40, second=0) - 3 * HOUR
"""Of an hour of the clock that is over, as the next one is."""
NODES = 620
"""More than are read."""


def days(value: Callable[[datetime], float]) -> list[tuple[float, float]]:
    """A course of the hour of MOMENT and of the one after it, on each day of a week and today."""
    found: list[tuple[float, float]] = []
    for day in range(8):
        begin = MOMENT.replace(minute=0) - timedelta(days=day)
        found += course(begin, begin + 2 * HOUR, value, minutes=4)
    return sorted(found)


def peaked(at: datetime) -> float:
    """Busy at this very moment of each day, and at no other; today a little busier all the time."""
    if at > NOW - 12 * HOUR:
        return 0.6
    apart = abs((at - MOMENT + 12 * HOUR) % timedelta(days=1) - 12 * HOUR)
    return 0.9 if apart <= timedelta(minutes=8) else 0.3


def node(number: int) -> Callable[[datetime], float]:
    """Of many nodes a third is always busy; one is nearly full for an hour, one busier than usual."""

    def value(at: datetime) -> float:
        if number % 3 == 0 and number != 9:
            return 0.7
        if at < MOMENT.replace(minute=0):
            return 0.3
        return {7: 0.6, 9: 0.95 if at < MOMENT.replace(minute=0) + HOUR else 0.3}.get(number, 0.3)

    return value


def hours() -> Iterator[Samples]:
    yield Samples("peaked", NODE, days(peaked))
    for number in range(NODES):
        labels = {"instance": f"10.0.1.{number}:9100", "nodename": f"node-{number:04}"}
        yield Samples("of_many", labels, days(node(number)))
    busy, idle = ({"namespace": "nan", "service": name} for name in ("busy", "idle"))
    yield Samples("kiro_error_ratio", busy, days(lambda _: 0.001))
    yield Samples("kiro_error_ratio", idle, days(lambda _: math.nan))


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("prometheus"), history()) as server:
        yield server


Look = Callable[..., Any]


@pytest_asyncio.fixture
async def look(prometheus: Prometheus) -> AsyncIterator[Look]:
    """Samples the real server for a check at a time, and judges."""
    fetcher = prometheus.fetcher(NAMESPACE)
    observer = adapter.Prometheus(fetcher)

    async def judge(check_id: str, at: datetime, given: dict[str, Any] | None = None, **more: Any) -> Verdict:
        check = registry()[check_id].check
        parameters = check.parameters.model_validate(given or {})
        snapshot = msgspec.structs.replace(facts(NAMESPACE), **more)
        sample = await observer.observe(poll(snapshot, parameters, spec=prometheus.spec, now=at))
        samples = {**snapshot.samples, SERIES.name: Sample(1, at, sample)}
        seen = msgspec.structs.replace(snapshot, samples=samples)
        verdict: Verdict = check.judge(seen, parameters, at)
        return verdict

    yield judge
    await fetcher.close()


@pytest.mark.parametrize("check_id", STORIES)
@pytest.mark.flips(
    "cpu-usage",
    "memory-usage",
    "storage-usage",
    "network-bandwidth",
    "network-latency",
    "database-performance",
    "response-time",
    "throughput",
    "error-rate",
    "cache-effectiveness",
)
async def test_a_metric_passes_fails_degrades_and_passes_again(check_id: str, look: Look) -> None:
    reason = STORIES[check_id][-1]
    seen = [
        await look(check_id, at, PARAMETERS.get(check_id)) for at in (BEFORE, OVER, BETWEEN, WORSE, AFTER)
    ]
    assert [(item.status.value, item.reason) for item in seen] == [
        ("Pass", "AsExpected"),
        ("Fail", reason),
        ("Pass", "AsExpected"),
        ("Fail", "Degraded"),
        ("Pass", "AsExpected"),
    ], [item.message for item in seen]
    assert not any(finding.remedies for item in seen for finding in item.findings)


async def test_without_history_there_is_no_baseline(look: Look) -> None:
    verdict = await look("cpu-usage", START + 2 * timedelta(days=1))
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "NoBaseline")
    verdict = await look("cpu-usage", START - HOUR)
    assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "NoData")


async def test_a_query_of_the_user_s_own(look: Look) -> None:
    own = {"query": "100 * node_cpu_utilization", "threshold": 99}
    assert (await look("cpu-usage", BEFORE, own)).status is Status.FAIL
    own = {"query": "node_cpu_utilization[5m"}
    assert (await look("cpu-usage", BEFORE, own)).reason == "QueryInvalid"


async def test_usual_is_what_the_hour_was_like_and_not_one_moment_of_it(look: Look) -> None:
    given = {"query": "peaked"}
    seen = [await look("cpu-usage", MOMENT + at, given) for at in (0 * HOUR, HOUR / 4, -HOUR / 2)]
    assert [(item.status, item.reason) for item in seen] == [(Status.FAIL, "Degraded")] * 3
    assert "usual, about 30%, the median of this hour of the clock on 7 earlier days" in seen[0].message
    assert (seen[0].observed, seen[0].threshold) == ("about 60%", "50% above what is usual, about 30%")
    # Within the hour the words stay what they are.
    assert len({(item.message, item.observed, item.threshold) for item in seen}) == 1


async def test_the_days_that_the_usual_value_rests_on_are_told(look: Look) -> None:
    verdict = await look("cpu-usage", MOMENT, {"query": "peaked", "baselineDays": 4})
    assert "on 4 earlier days" in verdict.message
    first = MOMENT - timedelta(days=4)
    early = await look("cpu-usage", first, {"query": "peaked", "threshold": 95})
    assert early.reason == "Degraded"
    assert "on 3 earlier days" in early.message


async def test_the_worst_of_more_nodes_than_are_read(look: Look) -> None:
    given = {"query": "of_many"}
    full = await look("cpu-usage", MOMENT, given)
    assert (full.status, full.reason) == (Status.FAIL, "CpuHigh")
    assert [finding.object.name for finding in full.findings] == ["node-0009", "node-0007"]
    assert [finding.reason for finding in full.findings] == ["CpuHigh", "Degraded"]
    # The same upside down: a third is always low, and these two have fallen.
    fallen = await look("throughput", MOMENT, {"query": "100 * (1 - of_many)", "degradationPercent": 30})
    assert [finding.object.name for finding in fallen.findings] == ["node-0007", "node-0009"]
    # What was left out is no reason for a warning.
    others = {"query": 'of_many{nodename!="node-0007"}'}
    assert (await look("cpu-usage", MOMENT + HOUR, others)).status is Status.PASS
    assert (await look("cpu-usage", MOMENT, others | {"degradationPercent": 0})).reason == "CpuHigh"
    assert (await look("cpu-usage", MOMENT + HOUR, others | {"degradationPercent": 0})).status is Status.PASS


async def test_what_is_no_number_beside_what_is_well(look: Look) -> None:
    given = {"query": 'kiro_error_ratio{namespace="nan"}'}
    for more in ({}, {"degradationPercent": 0}):
        verdict = await look("error-rate", MOMENT, given | more)
        assert (verdict.status, verdict.reason) == (Status.WARN, "NotANumber")
        assert [finding.object.name for finding in verdict.findings] == ["idle"]
    only = {"query": 'kiro_error_ratio{namespace="nan",service="idle"}'}
    assert (await look("error-rate", MOMENT, only)).reason == "NotANumber"


@pytest.mark.flips("capacity-forecast")
async def test_a_volume_that_fills_up(look: Look) -> None:
    given = {"query": 'kiro_volume_utilization{namespace="$namespace"}', "past": "1h", "days": 1}
    growing = NOW - 2.5 * HOUR
    assert (await look("capacity-forecast", BEFORE, given)).status is Status.PASS
    verdict = await look("capacity-forecast", growing, given)
    assert (verdict.status, verdict.reason, verdict.observed) == (Status.FAIL, "FullSoon", "roughly 0.1 days")
    assert "PersistentVolumeClaim data" in verdict.message
    assert (await look("capacity-forecast", AFTER, given)).status is Status.PASS
    # The default, over a day, knows too little of this one.
    assert (await look("capacity-forecast", growing, given | {"past": "24h"})).reason == "TooFewSamples"


async def test_throttling(look: Look) -> None:
    nothing: Collection[Deployment] = Collection.of([])
    empty = {INVENTORY.name: Sample(1, NOW, Inventory())}
    seen = [
        await look("limits-and-quotas", at, deployments=nothing, samples=empty)
        for at in (BEFORE, OVER, BETWEEN)
    ]
    assert [(item.status.value, item.reason) for item in seen] == [
        ("Pass", "AsExpected"),
        ("Fail", "CpuThrottled"),
        ("Pass", "AsExpected"),
    ]


@pytest.mark.flips("autoscaling-behavior")
async def test_an_autoscaler_that_never_rests(look: Look) -> None:
    body = {
        "metadata": {"name": "kiro", "creationTimestamp": START.isoformat()},
        "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "kiro"}, "maxReplicas": 4},
        "status": {"currentReplicas": 2, "desiredReplicas": 2},
    }
    scalers = Collection.of([msgspec.convert(body, HorizontalPodAutoscaler)])
    seen = [
        await look("autoscaling-behavior", at, autoscalers=scalers)
        for at in (BEFORE, NOW - 3.1 * HOUR, AFTER)
    ]
    assert [(item.status.value, item.reason) for item in seen] == [
        ("Pass", "AsExpected"),
        ("Fail", "Thrashing"),
        ("Pass", "AsExpected"),
    ]


# --- what came first ----------------------------------------------------------------------------------

SHORT = NOW - 6 * HOUR
MINUTE = timedelta(minutes=1)
SHORTAGES: dict[str, tuple[int | None, int | None, int | None]] = {
    # namespace: from which minute on the volume is full, the CPU is throttled and answers are slow
    "storage-first": (0, None, 9),
    "throttled-first": (None, 0, 1),
    "slow-first": (8, 15, 0),
}
COURSES: dict[str, tuple[dict[str, str], float, float]] = {
    # metric: its labels, all well, and short
    "kiro_volume_utilization": ({"persistentvolumeclaim": "data"}, 0.5, 0.95),
    "kiro_cpu_throttling_ratio": ({"pod": "kiro-1", "container": "kiro"}, 0.01, 0.6),
    "kiro_response_seconds": ({"service": "kiro"}, 0.2, 3.0),
}
COMPARED: dict[str, dict[str, Any]] = {
    "storage-usage": {"query": 'kiro_volume_utilization{namespace="$namespace"}', "degradationPercent": 0},
    "limits-and-quotas": {},
    "response-time": {"degradationPercent": 0},
}


def shortages() -> Iterator[Samples]:
    for namespace, begins in SHORTAGES.items():
        for (name, (labels, well, short)), begin in zip(COURSES.items(), begins, strict=True):
            points = course(SHORT - HOUR, SHORT + HOUR, turning(well, short, begin))
            yield Samples(name, {"namespace": namespace, **labels}, points)


def turning(well: float, short: float, begin: int | None) -> Callable[[datetime], float]:
    since = NOW if begin is None else SHORT + begin * MINUTE
    return lambda at: short if at >= since else well


async def performance(prometheus: Prometheus, namespace: str, lasting: timedelta) -> str:
    """What the condition says after a time in which each check was sampled at its own interval."""
    target = Target((namespace, "kiro"))
    checks = [{"id": name, "parameters": given} for name, given in COMPARED.items()]
    off = [{"id": name, "enabled": False} for name in registry() if name not in COMPARED]
    spec = prometheus.spec.model_dump(mode="json", by_alias=True, include={"prometheus"})
    metadata = {"uid": "u", "resourceVersion": "1", "generation": 1, "creationTimestamp": str(START)}
    target.take({"metadata": metadata, "spec": spec | {"interval": "1m", "checks": [*off, *checks]}})
    nothing: Collection[Deployment] = Collection.of([])
    snapshot = msgspec.structs.replace(facts(namespace), deployments=nothing)
    fetcher = prometheus.fetcher(namespace)
    observer = adapter.Prometheus(fetcher)
    # So that a check of every five minutes looks four minutes after what begins with the hour.
    begin = SHORT - HOUR + 4 * MINUTE
    for minute in range(int((SHORT + lasting - begin) / MINUTE)):
        at = begin + minute * MINUTE
        for seconds in target.intervals:
            if minute * 60 % seconds:
                continue
            asks = tuple(
                Ask(name, item.check, item.parameters)
                for name, item in target.checks.items()
                if item.seconds == seconds
            )
            request = msgspec.structs.replace(
                poll(snapshot, spec=prometheus.spec, now=at, interval=timedelta(seconds=seconds)), asks=asks
            )
            values = {SERIES: await observer.observe(request), INVENTORY: Inventory()}
            for source in target.sources(seconds, ()):
                target.samples[source.name, seconds] = Sample(minute + 1, at, values[source])
                target.dirty.add(source.name)
        judgement = judge(target, snapshot, at)
    await fetcher.close()
    outcome = Outcome(
        generation=1,
        namespace=namespace,
        now=at,
        judged=judgement.judged,
        permission=Permission(allowed=True, reason="None", message="none"),
    )
    status = summarize(outcome, KiroHealthCheckStatus())
    return next(item.message for item in status.conditions if item.type == "PerformanceAdequate")


async def test_the_bottleneck_is_what_was_short_first(prometheus: Prometheus) -> None:
    told = await performance(prometheus, "storage-first", 30 * MINUTE)
    assert told.startswith(
        f"bottleneck: storage, since {SHORT:%Y-%m-%dT%H:%M:%SZ}, which explains response-time: "
        "PersistentVolumeClaim data: its storage use is above 85%"
    )


async def test_what_is_looked_at_seldom_is_not_held_to_have_come_late(prometheus: Prometheus) -> None:
    told = await performance(prometheus, "throttled-first", 30 * MINUTE)
    seen = SHORT + 4 * MINUTE
    assert told.startswith(
        f"bottleneck: limits and quotas, since {seen:%Y-%m-%dT%H:%M:%SZ}, which explains response-time: "
        "Container kiro: it is throttled"
    )


async def test_what_is_short_later_is_not_the_bottleneck(prometheus: Prometheus) -> None:
    told = await performance(prometheus, "slow-first", 40 * MINUTE)
    assert "bottleneck" not in told
    assert all(name in told for name in COMPARED)


# --- a whole operator ---------------------------------------------------------------------------------


def test_an_operator_asks_and_tells(
    control_plane: ControlPlane, namespace: str, prometheus: Prometheus, tmp_path: Path
) -> None:
    busy, error = (
        {"instance": "10.0.0.2:9100", "nodename": "node-b"},
        {"namespace": namespace, "service": "kiro"},
    )
    settings = {"interval": "5s", "failureThreshold": 1, "successThreshold": 1}
    only_now = {"parameters": {"query": 'node_cpu_utilization{nodename="node-b"}', "degradationPercent": 0}}
    wanted = [
        {"id": "cpu-usage", **settings, **only_now},
        {"id": "error-rate", **settings, "parameters": {"degradationPercent": 0}},
    ]
    off = [
        {"id": item.id, "enabled": False}
        for item in registry().values()
        if item.id not in {"cpu-usage", "error-rate"}
    ]
    prometheus.exporter.set("node_cpu_utilization", 0.2, **busy)
    prometheus.exporter.set("kiro_error_ratio", 0.01, **error)
    prometheus.wait(
        f'node_cpu_utilization{{nodename="node-b"}} and on () kiro_error_ratio{{namespace="{namespace}"}}'
    )
    world = World(control_plane, namespace, tmp_path)
    try:
        world.operator("--resolve", f"prometheus.{namespace}:9090=127.0.0.1:{prometheus.port}")
        service = {"service": {"name": "prometheus", "port": 9090}}
        world.health_check(prometheus=service, interval="5s", checks=[*off, *wanted])
        world.wait_condition("PerformanceAdequate", "True", timeout=60.0)
        prometheus.exporter.set("node_cpu_utilization", 0.97, **busy)
        told = world.wait_condition("PerformanceAdequate", "False", reason="ChecksFailing")
        assert "Node node-b: its CPU use is above 85%" in told["message"]
        assert world.check("cpu-usage")["objects"] == [{"kind": "Node", "name": "node-b"}]
        assert world.check("error-rate")["status"] == "Pass"
        prometheus.exporter.set("kiro_error_ratio", 0.5, **error)
        world.wait_check("error-rate", "Fail")
        told = world.condition("PerformanceAdequate")
        began = world.check("cpu-usage")["began"]
        assert told["message"].startswith(f"bottleneck: CPU, since {began}, which explains error-rate: ")
        prometheus.exporter.set("kiro_error_ratio", 0.01, **error)
        prometheus.exporter.set("node_cpu_utilization", 0.3, **busy)
        world.wait_condition("PerformanceAdequate", "True")
    finally:
        world.close()


# --- what the API server tells ----------------------------------------------------------------------

APPS, HPA = "/apis/apps/v1/namespaces", "/apis/autoscaling/v2/namespaces"


def live(plane: ControlPlane, namespace: str) -> Snapshot:
    """What is watched and listed, as it is now; Prometheus is not configured."""

    def of(api: str, plural: str, type_: Any) -> Collection[Any]:
        return Collection.of(
            [_read(item, type_) for item in plane.rest.get(f"{api}/{namespace}/{plural}")["items"]]
        )

    return msgspec.structs.replace(
        facts(namespace),
        pods=of("/api/v1/namespaces", "pods", Pod),
        deployments=of(APPS, "deployments", Deployment),
        replica_sets=of(APPS, "replicasets", ReplicaSet),
        autoscalers=of(HPA, "horizontalpodautoscalers", HorizontalPodAutoscaler),
        samples={
            SERIES.name: not_configured(SERIES),
            INVENTORY.name: Sample(1, datetime.now(UTC), asyncio.run(listed(plane, namespace))),
        },
    )


@cache
def account(plane: ControlPlane, namespace: str) -> Credentials:
    return service_account(plane, namespace, Inventories.rules)


async def listed(plane: ControlPlane, namespace: str) -> Inventory:
    """The inventory, as an operator sees it that may do what the adapter declares."""
    client = Client(account(plane, namespace))
    try:
        return await Inventories(client).observe(poll(facts(namespace)))
    finally:
        await client.close()


def _read(item: dict[str, Any], type_: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(item), type=type_)


def quota(plane: ControlPlane, namespace: str, pods: int) -> None:
    """Let the namespace have so many pods, and wait until the API server knows."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    names = [item["metadata"]["name"] for item in plane.rest.get(path)["items"]]
    body = {"metadata": {"name": "compute"}, "spec": {"hard": {"pods": str(pods)}}}
    if names:
        plane.rest.patch(f"{path}/compute", {"spec": body["spec"]})
    else:
        plane.rest.post(path, body)
    until(
        lambda: plane.rest.get(f"{path}/compute").get("status", {}).get("hard", {}).get("pods") == str(pods),
        "the quota to be in force",
        20.0,
    )


def deploy(plane: ControlPlane, namespace: str, replicas: int, memory: str = "64Mi") -> None:
    labels = {"app": "kiro"}
    container = {
        "name": "kiro",
        "image": "kiro:1",
        "resources": {"limits": {"cpu": "100m", "memory": memory}},
    }
    plane.rest.post(
        f"{APPS}/{namespace}/deployments",
        {
            "metadata": {"name": "kiro", "labels": labels},
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    )


def available(plane: ControlPlane, namespace: str, replicas: int) -> None:
    def there() -> bool:
        status = plane.rest.get(f"{APPS}/{namespace}/deployments/kiro").get("status", {})
        return bool(status.get("availableReplicas", 0) >= replicas)

    until(there, f"{replicas} replicas", 60.0)


def judged(check_id: str, plane: ControlPlane, namespace: str, ahead: timedelta = timedelta(0)) -> Verdict:
    check = registry()[check_id].check
    verdict: Verdict = check.judge(live(plane, namespace), check.parameters(), datetime.now(UTC) + ahead)
    return verdict


def wait_for(
    check_id: str, status: Status, reason: str, plane: ControlPlane, namespace: str, **options: Any
) -> Verdict:
    def reached() -> Verdict | None:
        verdict = judged(check_id, plane, namespace, **options)
        return verdict if (verdict.status, verdict.reason) == (status, reason) else None

    return until(reached, f"{check_id} to be {status} {reason}", 60.0)


@pytest.mark.flips("limits-and-quotas")
def test_a_quota_fills_up_and_refuses_pods(control_plane: ControlPlane, namespace: str) -> None:
    quota(control_plane, namespace, 5)
    deploy(control_plane, namespace, 2)
    available(control_plane, namespace, 2)
    wait_for("limits-and-quotas", Status.PASS, "AsExpected", control_plane, namespace)
    quota(control_plane, namespace, 2)
    verdict = wait_for("limits-and-quotas", Status.FAIL, "QuotaNearlyUsed", control_plane, namespace)
    assert verdict.message.startswith("ResourceQuota compute: more than 90% of pods is used")
    assert not verdict.findings[0].at_once
    control_plane.rest.patch(f"{APPS}/{namespace}/deployments/kiro", {"spec": {"replicas": 3}})
    verdict = wait_for("limits-and-quotas", Status.FAIL, "QuotaExceeded", control_plane, namespace)
    assert verdict.message.startswith("Deployment kiro: ResourceQuota compute does not let it create pods")
    assert verdict.findings[0].at_once
    quota(control_plane, namespace, 8)
    wait_for("limits-and-quotas", Status.PASS, "AsExpected", control_plane, namespace)


def test_a_limit_range_will_refuse_pods_and_does(control_plane: ControlPlane, namespace: str) -> None:
    deploy(control_plane, namespace, 1)
    available(control_plane, namespace, 1)
    wait_for("limits-and-quotas", Status.PASS, "AsExpected", control_plane, namespace)
    path = f"/api/v1/namespaces/{namespace}/limitranges"
    limits = [{"type": "Container", "max": {"memory": "32Mi"}}]
    control_plane.rest.post(path, {"metadata": {"name": "small"}, "spec": {"limits": limits}})
    verdict = wait_for("limits-and-quotas", Status.FAIL, "LimitRangeViolated", control_plane, namespace)
    assert "new ones will be refused" in verdict.message
    [pod] = control_plane.rest.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    control_plane.rest.delete(f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}")

    def refused() -> bool:
        verdict = judged("limits-and-quotas", control_plane, namespace)
        return "does not let it create pods" in verdict.message

    until(refused, "the new pod to be refused", 60.0)
    control_plane.rest.delete(f"{path}/small")
    wait_for("limits-and-quotas", Status.PASS, "AsExpected", control_plane, namespace)


def test_an_autoscaler_does_not_get_what_it_wants(control_plane: ControlPlane, namespace: str) -> None:
    later = timedelta(minutes=11)
    quota(control_plane, namespace, 1)
    deploy(control_plane, namespace, 1)
    assert judged("autoscaling-behavior", control_plane, namespace).status is Status.SKIPPED
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kiro"}
    control_plane.rest.post(
        f"{HPA}/{namespace}/horizontalpodautoscalers",
        {
            "metadata": {"name": "kiro"},
            "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 4, "metrics": [metric]},
        },
    )
    assert judged("autoscaling-behavior", control_plane, namespace).status is Status.PASS
    verdict = wait_for(
        "autoscaling-behavior", Status.FAIL, "BelowDesired", control_plane, namespace, ahead=later
    )
    assert "HorizontalPodAutoscaler kiro" in verdict.message
    # What it wants may be missing for a while.
    now = judged("autoscaling-behavior", control_plane, namespace)
    assert now.status is Status.PASS
    assert now.next_check is not None
    quota(control_plane, namespace, 5)

    available(control_plane, namespace, 3)
    assert judged("autoscaling-behavior", control_plane, namespace).status is Status.PASS
