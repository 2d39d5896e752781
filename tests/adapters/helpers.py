"""What the tests of the polled sources share: requests as the engine makes them, on live facts."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from devcluster import ControlPlane
from devcluster.errors import WaitTimeout
from kiro_operator.adapters.kubernetes import credentials
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks import Parameters, registry
from kiro_operator.core.objects import Pod, Selector, Service
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import Collection, Snapshot, Unobserved
from kiro_operator.ports import Ask, PollRequest
from kiro_operator.settings import Settings

T = TypeVar("T")
INTERVAL = timedelta(seconds=30)
NONE = Unobserved("NotSynced", "not part of this test")


def facts(
    namespace: str, pods: Iterable[Pod] = (), services: Iterable[Service] = (), **more: Any
) -> Snapshot:
    return Snapshot(
        namespace=namespace,
        pods=Collection.of(pods),
        services=Collection.of(services),
        deployments=NONE,
        stateful_sets=NONE,
        daemon_sets=NONE,
        replica_sets=NONE,
        endpoint_slices=NONE,
        autoscalers=NONE,
        **more,
    )


def live_pods(plane: ControlPlane, namespace: str) -> list[Pod]:
    items = plane.rest.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
    return [msgspec.json.decode(msgspec.json.encode(item), type=Pod) for item in items]


def live_services(plane: ControlPlane, namespace: str) -> list[Service]:
    items = plane.rest.get(f"/api/v1/namespaces/{namespace}/services")["items"]
    return [msgspec.json.decode(msgspec.json.encode(item), type=Service) for item in items]


def poll(
    snapshot: Snapshot,
    parameters: Parameters | None = None,
    *,
    spec: KiroHealthCheckSpec | None = None,
    asker: str = "test",
    now: datetime | None = None,
    since: datetime | None = None,
    interval: timedelta = INTERVAL,
    selector: Selector | None = None,
) -> PollRequest:
    asks = [
        Ask(item.id, item.check, parameters)
        for item in registry().values()
        if parameters is not None and type(parameters) is item.check.parameters
    ]
    return PollRequest(
        asker=asker,
        namespace=snapshot.namespace,
        selector=selector or Selector(),
        spec=spec or KiroHealthCheckSpec(),
        asks=tuple(asks),
        snapshot=snapshot,
        now=now or datetime.now(UTC),
        since=since,
        interval=interval,
    )


def service_account(
    plane: ControlPlane, namespace: str, rules: Iterable[Rule] = ()
) -> credentials.Credentials:
    """A fresh ServiceAccount that may do what these rules say, and nothing else."""
    name = f"observer-{uuid.uuid4().hex[:6]}"
    rest = plane.rest
    rest.post(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
    grant(plane, namespace, name, rules)
    address = urlsplit(plane.server)
    return credentials.load(
        Settings(identity="t", own_namespace="x", service_account=plane.service_account_dir(namespace, name)),
        {"KUBERNETES_SERVICE_HOST": str(address.hostname), "KUBERNETES_SERVICE_PORT": str(address.port)},
    )


def grant(plane: ControlPlane, namespace: str, account: str, rules: Iterable[Rule]) -> None:
    rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    listed = [
        {"apiGroups": [rule.group], "resources": list(rule.resources), "verbs": list(rule.verbs)}
        for rule in rules
    ]
    if not listed:
        return
    plane.rest.post(f"{rbac}/roles", {"metadata": {"name": account}, "rules": listed})
    plane.rest.post(
        f"{rbac}/rolebindings",
        {
            "metadata": {"name": account},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": account},
        },
    )


def plain(url: str) -> Client:
    """A client of a server that only plays an API server."""
    return Client(credentials.Credentials(url, None, lambda: "token"))


async def eventually(ask: Callable[[], Awaitable[T | None]], what: str, timeout: float = 10.0) -> T:  # noqa: ASYNC109
    """The first truthy answer, asked for every 50 ms."""
    end = asyncio.get_running_loop().time() + timeout
    while True:
        value = await ask()
        if value:
            return value
        if asyncio.get_running_loop().time() > end:
            raise WaitTimeout(f"waited {timeout:g} s for {what}; last seen: {value!r}")
        await asyncio.sleep(0.05)
