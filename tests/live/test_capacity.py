"""Capacity and cost: each check passes, fails and passes again on a real cluster and a real Prometheus."""

from __future__ import annotations

import asyncio
import http.client
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from devcluster import ControlPlane, faults
from devcluster import nodes as kwok
from devcluster.errors import ApiError
from devcluster.wait import until
from kiro_operator import ports
from kiro_operator.adapters.kubernetes import inventory as inventory_adapter
from kiro_operator.adapters.kubernetes import nodes as nodes_adapter
from kiro_operator.adapters.kubernetes import watches
from kiro_operator.adapters.kubernetes.inventory import Inventories
from kiro_operator.adapters.kubernetes.nodes import ClusterNodes
from kiro_operator.adapters.prices import PriceList
from kiro_operator.adapters.prometheus.series import Prometheus as Observer
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import Parameters, registry
from kiro_operator.core.checks.autonomous_operations import node_capacity
from kiro_operator.core.checks.autonomous_operations.node_capacity import NodeCapacityParameters
from kiro_operator.core.checks.cost_efficiency.autoscaling_configuration import (
    AutoscalingConfigurationParameters,
)
from kiro_operator.core.checks.cost_efficiency.over_provisioned import OverProvisionedParameters
from kiro_operator.core.checks.cost_efficiency.unused_resources import UnusedResourcesParameters
from kiro_operator.core.checks.cost_efficiency.utilization_patterns import UtilizationPatternsParameters
from kiro_operator.core.evidence.nodes import Nodes
from kiro_operator.core.evidence.series import SERIES
from kiro_operator.core.snapshot import Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Status, Verdict
from kiro_operator.reconcile.observe import not_configured
from tests.adapters.helpers import eventually, poll
from tests.devcluster.helpers import make_pod
from tests.harness.prometheus import PORT, SERVICE, Prometheus, Samples, course, round_hour

from .capacity import client, live, own_node

NOW = round_hour(datetime.now(UTC))
START = NOW - timedelta(days=3, hours=2)
DAY = timedelta(days=1)
MIB = 2.0**20
SPEC = KiroHealthCheckSpec.model_validate(
    {
        "prometheus": {"service": {"name": SERVICE, "port": PORT}},
        "prices": {"currency": "EUR", "cpuCoreHour": "0.03", "storageGiBMonth": "0.1"},
    }
)
Look = Callable[..., Awaitable[Verdict]]


@pytest.fixture(scope="module")
def place(control_plane: ControlPlane) -> Iterator[str]:
    """A namespace whose history is made up before its workloads are made."""
    name = f"capacity-{uuid.uuid4().hex[:8]}"
    rest = control_plane.rest
    rest.post("/api/v1/namespaces", {"metadata": {"name": name}})

    def has_account() -> bool:
        try:
            rest.get(f"/api/v1/namespaces/{name}/serviceaccounts/default")
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return False
            raise
        return True

    until(has_account, f"the default service account of {name}")
    yield name
    rest.delete(f"/api/v1/namespaces/{name}")


def nodes(place: str) -> Iterator[Samples]:
    """What a node has used: hardly anything, then all of it by day, then what is right but for the night."""
    quiet, busy = NOW - 2 * DAY, NOW - DAY

    def cpu(at: datetime) -> float:
        if at <= quiet:
            return 0.05
        by_day, by_night = (0.97, 0.3) if at <= busy else (0.6, 0.05)
        return by_day if 8 <= at.hour < 18 else by_night

    for metric, use in (
        ("node_cpu_utilization", cpu),
        ("kiro_node_memory_utilization", lambda at: 0.05 if at <= quiet else 0.5),
    ):
        yield Samples(metric, {"nodename": f"{place}-node"}, course(START, NOW, use, minutes=5))


def history(place: str) -> Iterator[Samples]:
    """What three Deployments have used for three days, under a ReplicaSet that is gone."""

    def office(at: datetime) -> float:
        return 6.0 if 8 <= at.hour < 18 else 0.3

    for name, cores, memory, traffic in (
        ("modest", lambda _: 0.2, 200 * MIB, 9000.0),
        ("daily", office, 400 * MIB, 9000.0),
        ("idle", lambda _: 0.001, 20 * MIB, 10.0),
    ):
        pod = {"namespace": place, "pod": f"{name}-7d4b9c6f5-x2x4x"}
        labels = {**pod, "container": "main"}
        total = 0.0
        spent: list[tuple[float, float]] = []
        for time, used in course(START, NOW, cores, minutes=5):
            total += 300 * used
            spent.append((time, total))
        yield Samples("container_cpu_usage_seconds_total", labels, spent)
        # The sum of the whole pod, which cAdvisor has as well and nobody may count again.
        yield Samples("container_cpu_usage_seconds_total", {**pod, "container": ""}, spent)
        used_memory = [(time, memory) for time, _ in spent]
        yield Samples("container_memory_working_set_bytes", labels, used_memory)
        for way in ("receive", "transmit"):
            sent = [(time, (time - START.timestamp()) * traffic) for time, _ in used_memory]
            yield Samples(f"container_network_{way}_bytes_total", {**pod, "interface": "eth0"}, sent)


@pytest.fixture(scope="module")
def prometheus(place: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    samples = (*history(place), *nodes(place))
    with Prometheus(tmp_path_factory.mktemp("prometheus"), samples) as server:
        yield server


@pytest_asyncio.fixture
async def look(control_plane: ControlPlane, place: str, prometheus: Prometheus) -> AsyncIterator[Look]:
    """Judges the place by what Prometheus says, and by what other observers say."""
    fetcher = prometheus.fetcher(place)

    async def ask(
        check_id: str, parameters: Parameters, *others: ports.Observer, at: datetime = NOW
    ) -> Verdict:
        observers: tuple[ports.Observer, ...] = (Observer(fetcher), PriceList(), *others)
        return await judged(control_plane, place, check_id, parameters, *observers, at=at)

    yield ask
    await fetcher.close()


async def judged(
    plane: ControlPlane,
    namespace: str,
    check_id: str,
    parameters: Parameters,
    *observers: ports.Observer,
    at: datetime = NOW,
) -> Verdict:
    """The verdict on a namespace as it is now, two days later: what is young now counts then."""
    facts = live(plane, namespace)
    request = poll(facts, parameters, spec=SPEC, now=at)
    samples: dict[str, Sample[Any]] = {SERIES.name: not_configured(SERIES)}
    for each in observers:
        samples[each.source.name] = Sample(1, at, await each.observe(request))
    snapshot = msgspec.structs.replace(facts, samples=samples)
    return registry()[check_id].check.judge(snapshot, parameters, datetime.now(UTC) + 2 * DAY)


def deploy(
    plane: ControlPlane, namespace: str, name: str, requests: dict[str, str], replicas: int = 2
) -> None:
    """Create or change a Deployment, and wait until only pods of this template run."""
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
    labels = {"app": name}
    container = {"name": "main", "image": "main", "resources": {"requests": requests}}
    spec = {
        "replicas": replicas,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}
    plane.rest.request("PATCH", f"{path}?fieldManager=test&force=true", body, "application/apply-patch+yaml")

    def settled() -> bool:
        pods = plane.rest.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{name}")["items"]
        return len(pods) == replicas and all(
            pod["status"]["phase"] == "Running"
            and pod["spec"]["containers"][0]["resources"].get("requests", {}) == requests
            for pod in pods
        )

    until(settled, f"{name} to be rolled out", 60.0)


def autoscale(plane: ControlPlane, namespace: str, name: str, low: int, high: int) -> None:
    """Create or change a HorizontalPodAutoscaler."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    body = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": low,
            "maxReplicas": high,
            "metrics": [metric],
        },
    }
    path = f"/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers/{name}"
    plane.rest.request("PATCH", f"{path}?fieldManager=test&force=true", body, "application/apply-patch+yaml")


def gone(plane: ControlPlane, path: str) -> None:
    """Delete an object and wait until it is gone."""
    plane.rest.delete(path)

    def absent() -> bool:
        try:
            plane.rest.get(path)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return True
            raise
        return False

    until(absent, f"{path} to be gone", 30.0)


async def reason(ask: Callable[[], Awaitable[Verdict]], wanted: str, timeout: float = 10.0) -> Verdict:  # noqa: ASYNC109
    """The first verdict with that reason."""

    async def seen() -> Verdict | None:
        verdict = await ask()
        return verdict if verdict.reason == wanted else None

    return await eventually(seen, wanted, timeout)


def sampled(snapshot: Snapshot, **values: object) -> Snapshot:
    """The snapshot with these samples, by the names of their sources."""
    samples = {name.replace("_", "-"): Sample(1, datetime.now(UTC), value) for name, value in values.items()}
    return msgspec.structs.replace(snapshot, samples={**snapshot.samples, **samples})


@pytest.mark.flips("node-capacity")
async def test_node_capacity(control_plane: ControlPlane, namespace: str) -> None:
    parameters = NodeCapacityParameters()
    names = [item["metadata"]["name"] for item in control_plane.rest.get(kwok.NODES)["items"]]
    for number, name in enumerate(names):
        make_pod(control_plane, namespace, f"idle-{number}", nodeName=name)
    with own_node(control_plane) as node:
        make_pod(control_plane, namespace, nodeName=node)
        async with client(control_plane, namespace, nodes_adapter.RULES) as api:
            observer = ClusterNodes(api, frozenset({namespace}))

            async def look() -> Verdict:
                facts = live(control_plane, namespace)
                value = await observer.observe(poll(facts, parameters))
                now = datetime.now(UTC)
                return node_capacity.CHECK.judge(sampled(facts, nodes=value), parameters, now)

            async def until(reason: str) -> Verdict:
                async def seen() -> Verdict | None:
                    verdict = await look()
                    return verdict if verdict.reason == reason else None

                return await eventually(seen, reason, 120.0)

            assert (await until("AsExpected")).status is Status.PASS

            # More memory than all nodes of the plane have, used on one.
            faults.usage(control_plane, namespace, "app=web", memory="20Ti")
            verdict = await until("MemoryHeadroomLow")
            assert verdict.status is Status.FAIL
            assert verdict.findings[0].message.startswith("All nodes together have too little")
            faults.usage(control_plane, namespace, "app=web", memory="1Mi")
            await until("AsExpected")

            resources = {"requests": {"cpu": "100000"}}
            giant = {"containers": [{"name": "main", "image": "main", "resources": resources}]}
            path = f"/api/v1/namespaces/{namespace}/pods"
            control_plane.rest.post(path, {"metadata": {"name": "giant"}, "spec": giant})
            verdict = await until("DoesNotFit")
            assert verdict.message.startswith("Pod giant fits on no node, which lack cpu")
            control_plane.rest.delete(f"{path}/giant")
            await until("AsExpected")


async def test_nodes_cost_one_request_however_many_ask(control_plane: ControlPlane, namespace: str) -> None:
    async with client(control_plane, namespace, nodes_adapter.RULES) as api:
        observer = ClusterNodes(api, frozenset({namespace}))
        offset = control_plane.audit_offset()
        request = poll(live(control_plane, namespace), NodeCapacityParameters())
        samples = await asyncio.gather(*(observer.observe(request) for _ in range(200)))
        assert isinstance(samples[0], Nodes)
        assert all(sample == samples[0] for sample in samples)
        asked = [
            event
            for event in control_plane.audit_events(offset, naming=namespace)
            if event.get("objectRef", {}).get("resource") == "nodes"
            and namespace in event["user"]["username"]
        ]
        assert len(asked) == 2  # what there is, and what is used
        elsewhere = msgspec.structs.replace(request, namespace="elsewhere")
        refused = await observer.observe(elsewhere)
        assert isinstance(refused, Unobserved)
        assert refused.reason == "NotConfigured"


async def test_nodes_need_their_permissions(control_plane: ControlPlane, namespace: str) -> None:
    request = poll(live(control_plane, namespace), NodeCapacityParameters())
    async with client(control_plane, namespace, ()) as api:
        refused = await ClusterNodes(api, frozenset({namespace})).observe(request)
    assert refused == Unobserved("Forbidden", nodes_adapter.RULES[0].advice(""))
    async with client(control_plane, namespace, nodes_adapter.RULES[:1]) as api:
        listed = await ClusterNodes(api, frozenset({namespace})).observe(request)
    assert isinstance(listed, Nodes)
    assert listed.metrics == Unobserved("Forbidden", nodes_adapter.RULES[1].advice(""))


@pytest.mark.flips("over-provisioned")
async def test_over_provisioned(control_plane: ControlPlane, place: str, look: Look) -> None:
    parameters = OverProvisionedParameters(window=DAY)
    small = {"cpu": "250m", "memory": "256Mi"}

    deploy(control_plane, place, "modest", small)
    verdict = await look("over-provisioned", parameters)
    assert (verdict.status, verdict.reason) == (Status.PASS, "AsExpected"), verdict.message

    deploy(control_plane, place, "modest", {"cpu": "2", "memory": "4Gi"})
    verdict = await look("over-provisioned", parameters)
    assert (verdict.status, verdict.reason) == (Status.FAIL, "OverProvisioned")
    assert verdict.message == (
        "Deployment modest wastes about 3.6 cores and about 7.6Gi of memory, about 79 EUR a month: request "
        "about 200m instead of 2 CPU and about 230Mi instead of 4Gi memory for container main"
    )

    deploy(control_plane, place, "modest", small)
    assert (await look("over-provisioned", parameters)).status is Status.PASS

    unlikely = OverProvisionedParameters(window=30 * DAY, min_points=4000)
    assert (await look("over-provisioned", unlikely)).reason == "TooFewPoints"


@pytest.mark.flips("autoscaling-configuration")
async def test_autoscaling_configuration(control_plane: ControlPlane, place: str, look: Look) -> None:
    parameters = AutoscalingConfigurationParameters(window=DAY)
    path = f"/apis/autoscaling/v2/namespaces/{place}/horizontalpodautoscalers/daily"
    deploy(control_plane, place, "daily", {"cpu": "1"}, 1)

    async def ask() -> Verdict:
        return await look("autoscaling-configuration", parameters)

    verdict = await ask()
    assert (verdict.status, verdict.reason) == (Status.FAIL, "NoAutoscaler")
    assert verdict.message.startswith("Deployment daily has no autoscaler")

    # It has no figures of so young a pod at first, and says so.
    autoscale(control_plane, place, "daily", 1, 3)
    assert (await reason(ask, "AsExpected", 150.0)).status is Status.PASS

    autoscale(control_plane, place, "daily", 3, 3)
    assert (await ask()).reason == "MinEqualsMax"
    autoscale(control_plane, place, "daily", 1, 3)
    assert (await reason(ask, "AsExpected", 60.0)).status is Status.PASS

    deploy(control_plane, place, "boundless", {}, 1)
    autoscale(control_plane, place, "boundless", 1, 3)
    verdict = await reason(ask, "MetricsMissing", 90.0)
    assert verdict.message.startswith("HorizontalPodAutoscaler boundless gets no metrics")
    gone(control_plane, path.replace("/daily", "/boundless"))
    assert (await reason(ask, "AsExpected", 60.0)).status is Status.PASS

    gone(control_plane, path)
    assert (await ask()).reason == "NoAutoscaler"


@pytest.mark.flips("unused-resources")
async def test_unused_resources(control_plane: ControlPlane, namespace: str) -> None:
    parameters = UnusedResourcesParameters()
    path = f"/api/v1/namespaces/{namespace}"
    rules = (*inventory_adapter.RULES.values(), *watches.RULES.values())
    async with client(control_plane, namespace, rules) as api:
        observers = (Inventories(api), PriceList())

        async def ask() -> Verdict:
            return await judged(control_plane, namespace, "unused-resources", parameters, *observers)

        assert (await ask()).status is Status.PASS

        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "20Gi"}}}
        control_plane.rest.post(
            f"{path}/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": claim}
        )
        verdict = await ask()
        assert (verdict.status, verdict.reason) == (Status.FAIL, "UnmountedClaim")
        assert "holds 20Gi of storage, about 2.0 EUR a month" in verdict.message
        volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
        make_pod(control_plane, namespace, volumes=volumes)
        assert (await ask()).status is Status.PASS

        control_plane.rest.post(f"{path}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "b"}})
        verdict = await ask()
        assert (verdict.status, verdict.reason) == (Status.FAIL, "UnusedConfigMap")
        make_cron_job(control_plane, namespace, "settings")
        assert (await ask()).status is Status.PASS

        service = {"selector": {"app": "gone"}, "ports": [{"port": 80}]}
        control_plane.rest.post(f"{path}/services", {"metadata": {"name": "old"}, "spec": service})
        verdict = await ask()
        assert (verdict.status, verdict.reason) == (Status.FAIL, "ServiceWithoutEndpoints")
        make_pod(control_plane, namespace, "gone")
        assert (await ask()).status is Status.PASS

    async with client(control_plane, namespace, ()) as api:
        verdict = await judged(control_plane, namespace, "unused-resources", parameters, Inventories(api))
        assert (verdict.status, verdict.reason) == (Status.UNKNOWN, "Forbidden")
        assert "persistentvolumeclaims" in verdict.message


def make_cron_job(plane: ControlPlane, namespace: str, config_map: str) -> None:
    container = {"name": "main", "image": "main", "envFrom": [{"configMapRef": {"name": config_map}}]}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    spec = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": template}}}
    path = f"/apis/batch/v1/namespaces/{namespace}/cronjobs"
    plane.rest.post(path, {"metadata": {"name": "report"}, "spec": spec})


async def test_idle_deployments(control_plane: ControlPlane, place: str, look: Look) -> None:
    parameters = UnusedResourcesParameters(window=2 * DAY)
    rules = (*inventory_adapter.RULES.values(), *watches.RULES.values())
    async with client(control_plane, place, rules) as api:
        inventories = Inventories(api)

        async def ask() -> Verdict:
            return await look("unused-resources", parameters, inventories)

        deploy(control_plane, place, "idle", {"cpu": "1"})
        verdict = await ask()
        assert (verdict.status, verdict.reason) == (Status.FAIL, "IdleDeployment"), verdict.message
        assert verdict.message.startswith("Deployment idle has done next to nothing")
        assert "2 cores from others, about 44 EUR a month" in verdict.message
        deploy(control_plane, place, "idle", {"cpu": "1"}, 0)
        assert (await ask()).status is Status.PASS


@pytest.mark.flips("utilization-patterns")
async def test_utilization_patterns(control_plane: ControlPlane, place: str, look: Look) -> None:
    parameters = UtilizationPatternsParameters(days=2)
    nodes = [item["metadata"]["name"] for item in control_plane.rest.get(kwok.NODES)["items"]]
    for number, name in enumerate(nodes):
        make_pod(control_plane, place, f"use-{number}", nodeName=name)

    def use(share: float) -> None:
        for number in range(len(nodes)):
            cpu, memory = f"{round(64 * share)}", f"{round(256 * share)}Gi"
            faults.usage(control_plane, place, f"app=use-{number}", cpu=cpu, memory=memory)

    async with client(control_plane, place, nodes_adapter.RULES) as api:
        observer = ClusterNodes(api, frozenset({place}))

        async def ask() -> Verdict:
            facts = live(control_plane, place)
            value = await observer.observe(poll(facts, parameters, spec=KiroHealthCheckSpec()))
            now = datetime.now(UTC)
            return registry()["utilization-patterns"].check.judge(
                sampled(facts, nodes=value, prometheus=Unobserved("NotConfigured", "not set")),
                parameters,
                now,
            )

        use(0.5)
        assert (await reason(ask, "AsExpected", 120.0)).status is Status.PASS
        use(0.02)
        verdict = await reason(ask, "NodesUnderused", 120.0)
        assert verdict.status is Status.FAIL
        use(0.98)
        assert "most of the memory of all pods" in (await reason(ask, "NodeOverused", 120.0)).message
        use(0.5)
        assert (await reason(ask, "AsExpected", 120.0)).status is Status.PASS

        # Nodes are in the band now: what is left is the rhythm of the load.
        path = f"/apis/autoscaling/v2/namespaces/{place}/horizontalpodautoscalers/rhythm"
        verdict = await look("utilization-patterns", parameters, observer)
        assert (verdict.status, verdict.reason) == (Status.FAIL, "DailyShapeUnused"), verdict.message
        autoscale(control_plane, place, "rhythm", 1, 3)
        assert (await look("utilization-patterns", parameters, observer)).status is Status.PASS

        # By Prometheus it is the whole day that counts, whatever the metrics API says right now.
        for days, told in ((2, "NodesUnderused"), (1, "NodeOverused"), (0, "AsExpected")):
            verdict = await look("utilization-patterns", parameters, observer, at=NOW - days * DAY)
            assert verdict.reason == told, verdict.message
        use(0.02)
        assert (await look("utilization-patterns", parameters, observer)).status is Status.PASS
        gone(control_plane, path)
        assert (await look("utilization-patterns", parameters, observer)).reason == "DailyShapeUnused"
