"""What autonomous operations do and need, on real backends: each check flips and flips back."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from devcluster import ControlPlane, faults
from devcluster.listen import Answer, Server
from devcluster.pki import make_authority
from devcluster.wait import until
from kiro_operator.adapters.http.endpoints import Endpoints
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.pod_logs import RULES as LOG_RULES
from kiro_operator.adapters.kubernetes.pod_logs import PodLogs
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.adapters.prometheus.series import Prometheus as Series
from kiro_operator.adapters.prometheus.triggers import TriggerMetrics
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from tests.adapters.helpers import live_pods, service_account
from tests.devcluster.helpers import make_pod, ready, wait_pod
from tests.harness.prometheus import Prometheus, Samples, course, round_hour
from tests.live.autonomy import Watcher, gates


class Logs:
    """A pod of autonomous operations, and what it writes."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        make_pod(plane, namespace)
        wait_pod(plane, namespace, ready, "a healthy pod")
        pod = f"/api/v1/namespaces/{namespace}/pods/web"
        plane.rest.patch(pod, {"metadata": {"labels": {"component": "autonomous-operations"}}})
        self._file = faults.logs(plane, namespace, "web", ["ready"])
        shown = ("logs", "web", "-n", namespace)
        until(lambda: plane.kubectl(*shown, check=False).returncode == 0, "the log")

    def write(self, *lines: object) -> None:
        faults.append_log(self._file, [line if isinstance(line, str) else json.dumps(line) for line in lines])


@pytest_asyncio.fixture
async def reader(control_plane: ControlPlane, namespace: str) -> AsyncIterator[PodLogs]:
    client = Client(service_account(control_plane, namespace, LOG_RULES))
    yield PodLogs(client)
    await client.close()


@pytest.mark.flips("autonomous-logs")
async def test_failures_in_the_logs(control_plane: ControlPlane, namespace: str, reader: PodLogs) -> None:
    logs = Logs(control_plane, namespace)
    watcher = Watcher("autonomous-logs", namespace, [reader])
    watcher.pods = lambda: live_pods(control_plane, namespace)
    await watcher.expect("Pass", "AsExpected")
    denied = 'ERROR cannot patch: deployments.apps "web" is forbidden: User cannot patch'
    logs.write("INFO planned", *[denied] * 12)
    await watcher.expect("Fail", "PermissionDenied", "Pod web shows PermissionDenied about 12 times")
    # One burst is enough for the engine as well, and is told for some samples after it.
    assert watcher.settled.verdict.status.value == "Fail"
    for _ in range(watcher.item.check.success_threshold - 1):
        logs.write("INFO done")
        await watcher.expect("Pass", "AsExpected")
        assert watcher.settled.verdict.reason == "PermissionDenied"
    await watcher.expect("Pass", "AsExpected")
    assert watcher.settled.verdict.status.value == "Pass"
    record = {"record": "operation", "action": "scale", "outcome": "failure", "reason": "node-7 is full"}
    logs.write(*({**record, "id": f"op-{number}"} for number in range(3)))
    await watcher.expect("Fail", "OperationsFailed", "'node-# is full'")
    watcher.parameters = {"label": "component=other"}
    await watcher.expect("Skipped", "NoAutonomousPods")


@pytest.mark.flips("autonomous-scope")
async def test_operations_against_boundaries(
    control_plane: ControlPlane, namespace: str, reader: PodLogs
) -> None:
    logs = Logs(control_plane, namespace)
    watcher = Watcher("autonomous-scope", namespace, [reader], strict=gates())
    watcher.pods = lambda: live_pods(control_plane, namespace)
    watcher.request = {"interval": timedelta(minutes=10)}
    await watcher.expect("Skipped", "NoOperations")
    inside = {
        "record": "operation",
        "id": "op-1",
        "action": "restart",
        "outcome": "success",
        "target": {"kind": "Deployment", "namespace": "shop", "name": "cart"},
    }
    logs.write(inside)
    await watcher.expect("Pass", "AsExpected")
    elsewhere = {"kind": "Deployment", "namespace": "kube-system", "name": "coredns"}
    logs.write(inside, {**inside, "id": "op-2", "target": elsewhere})
    await watcher.expect("Fail", "NamespaceOutside", "restart on Deployment/kube-system/coredns")
    # What was done stays in sight for a quarter of an hour.
    logs.write({**inside, "id": "op-3"})
    await watcher.expect("Fail", "NamespaceOutside")
    watcher.at = datetime.now(UTC) + timedelta(minutes=20)
    logs.write({**inside, "id": "op-4"})
    await watcher.expect("Pass", "AsExpected")
    logs.write(*({**inside, "id": f"op-{number}", "outcome": "denied"} for number in range(10, 22)), inside)
    await watcher.expect("Warn", "TooRestrictive", "KiroSafetyPolicy strict")


@pytest.mark.flips("autonomous-network-access")
async def test_endpoints(tmp_path: Path) -> None:
    with Server(lambda _: Answer(404)) as plain, Server() as other:
        known = {"registry.kiro:5000": plain.address, "git.kiro:443": other.address}
        fetcher = Fetcher(Fixed(known), frozenset(), tmp_path)
        watcher = Watcher("autonomous-network-access", "kiro", [Endpoints(fetcher)])
        watcher.parameters = {"timeout": "1s"}

        def named(*endpoints: dict[str, Any]) -> None:
            body = {"autonomy": {"endpoints": list(endpoints)}}
            watcher.request["spec"] = KiroHealthCheckSpec.model_validate(body)

        named()
        await watcher.expect("Skipped", "NotConfigured", "spec.autonomy.endpoints")
        registry_ = {"name": "registry", "service": {"name": "registry", "port": 5000}, "path": "/v2"}
        named(registry_)
        await watcher.expect("Pass", "AsExpected")
        assert plain.requests[-1].path == "/v2"

        plain.break_with("refuse")
        address = "Endpoint registry (http://registry.kiro.svc:5000/v2)"
        await watcher.expect("Fail", "EndpointUnreachable", address)
        plain.mend()
        await watcher.expect("Pass", "AsExpected")
        plain.break_with("hang")
        await watcher.expect("Fail", "EndpointTimeout", address)
        plain.mend()
        await watcher.expect("Pass", "AsExpected")

        named(registry_, {"name": "nowhere", "service": {"name": "nowhere", "port": 80}})
        await watcher.expect("Fail", "EndpointUnresolved", "nowhere")
        named(registry_, {"name": "outside", "host": "example.com:443"})
        await watcher.expect("Unknown", "HostNotAllowed", "--allow-host example.com:443")
        await fetcher.close()


async def test_an_endpoint_whose_certificate_does_not_verify(tmp_path: Path) -> None:
    authority = make_authority(tmp_path, "ca")
    trust = tmp_path / "kiro" / "mine"
    trust.mkdir(parents=True)
    (trust / "ca.crt").write_text(authority.cert_file.read_text())
    (trust / "host").write_text("git.kiro:443")
    pair = authority.issue("server", common_name="server", dns=("git.kiro.svc",))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.cert, pair.key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        fetcher = Fetcher(Fixed({"git.kiro:443": f"127.0.0.1:{port}"}), frozenset(), tmp_path)
        watcher = Watcher("autonomous-network-access", "kiro", [Endpoints(fetcher)])
        git = {"name": "git", "service": {"name": "git", "port": 443}, "scheme": "https"}
        for endpoint, status, reason in (
            ({**git, "credential": "mine"}, "Pass", "AsExpected"),
            (git, "Fail", "EndpointCertificate"),
            ({**git, "credential": "mine"}, "Pass", "AsExpected"),
            ({**git, "credential": "absent"}, "Unknown", "CredentialNotFound"),
        ):
            body = {"autonomy": {"endpoints": [endpoint]}}
            watcher.request["spec"] = KiroHealthCheckSpec.model_validate(body)
            await watcher.expect(status, reason)
        await fetcher.close()


NOON = round_hour(datetime.now(UTC))


def rate(at: datetime) -> float:
    """Well until 40 hours ago, then falling, then well again for the last 12 hours."""
    ago = (NOON - at) / timedelta(hours=1)
    return 0.97 if ago > 40 or ago <= 12 else max(0.4, 0.97 - (40 - ago) / 20)


def errors(at: datetime) -> float | None:
    """Few, and not exported at all for ten hours."""
    ago = (NOON - at) / timedelta(hours=1)
    return None if 20 < ago < 30 else 0.01


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    begin = NOON - timedelta(days=3)
    history = [
        Samples("kiro_autonomous_success_rate", {"namespace": "kiro"}, course(begin, NOON, rate, minutes=5)),
        Samples("kiro_error_rate", {"namespace": "kiro"}, course(begin, NOON, errors, minutes=5)),
    ]
    with Prometheus(tmp_path_factory.mktemp("prometheus"), history) as server:
        yield server


@pytest.mark.flips("autonomous-success-rate")
async def test_the_success_rate(prometheus: Prometheus) -> None:
    fetcher = prometheus.fetcher("kiro", "other")
    watcher = Watcher("autonomous-success-rate", "kiro", [Series(fetcher)])
    watcher.request["spec"] = prometheus.spec
    for ago, status, reason in (
        (41, "Pass", "AsExpected"),
        (24, "Fail", "SuccessRateLow"),
        (2, "Pass", "AsExpected"),
    ):
        watcher.at = NOON - timedelta(hours=ago)
        verdict = await watcher.expect(status, reason)
        if status == "Fail":
            assert "in the earlier half of the window" in verdict.message
            assert (verdict.observed, verdict.threshold) == ("about 40%", "90%")
    watcher.parameters = {"unit": "Percent"}
    await watcher.expect("Fail", "SuccessRateLow")
    watcher.parameters = {"query": "kiro_autonomous_success_rate{"}
    await watcher.expect("Unknown", "QueryInvalid")
    watcher.namespace, watcher.parameters = "other", {}
    await watcher.expect("Unknown", "NoData")
    await fetcher.close()


@pytest.mark.flips("escalation-triggers")
async def test_a_trigger_whose_metric_is_gone(prometheus: Prometheus) -> None:
    fetcher = prometheus.fetcher("kiro")
    triggers: list[dict[str, Any]] = [
        {"name": "outage", "condition": "Responsive", "after": "30m", "tier": "Tier2"},
        {"name": "errors", "metric": "kiro_error_rate", "above": 0.2, "after": "2h", "tier": "Tier3"},
        {"name": "outage-long", "condition": "Responsive", "after": "6h", "tier": "Management"},
    ]
    watcher = Watcher(
        "escalation-triggers",
        "kiro",
        [TriggerMetrics(Series(fetcher))],
        strict={"escalation": {"triggers": triggers}},
    )
    await watcher.expect("Fail", "TriggerUnreachable", "errors", "set spec.prometheus")
    watcher.request["spec"] = prometheus.spec
    for ago, status, reason in (
        (35, "Pass", "AsExpected"),
        (25, "Fail", "TriggerUnreachable"),
        (2, "Pass", "AsExpected"),
    ):
        watcher.at = NOON - timedelta(hours=ago)
        await watcher.expect(status, reason)
    watcher.policies["strict"] = {"escalation": {"triggers": triggers[:2]}}
    await watcher.expect("Fail", "TriggerUnset", "Management")
    await fetcher.close()
