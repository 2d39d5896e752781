"""What a namespace holds: on the real API server, and as it should never be told."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster import ControlPlane
from devcluster.errors import ApiError
from devcluster.listen import Answer, Request, Server
from kiro_operator.adapters.kubernetes import inventory, watches
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.inventory import KEEP, RULES, Inventories
from kiro_operator.adapters.kubernetes.references import templates
from kiro_operator.adapters.prices import PriceList
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.checks.cost_efficiency.unused_resources import UnusedResourcesParameters
from kiro_operator.core.evidence.inventory import Limit, LimitRange, Quota
from kiro_operator.core.evidence.prices import Prices
from kiro_operator.core.snapshot import Unobserved

from .conftest import ClientWith
from .helpers import facts, poll

GIB = 2.0**30


def create(plane: ControlPlane, namespace: str, plural: str, name: str, **body: Any) -> None:
    metadata = {"name": name, **body.pop("metadata", {})}
    plane.rest.post(f"/api/v1/namespaces/{namespace}/{plural}", {"metadata": metadata, **body})


async def test_quotas_limits_and_claims(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = {"requests.cpu": "4", "requests.memory": "8Gi", "pods": "10"}
    create(control_plane, namespace, "resourcequotas", "team", spec={"hard": hard})
    limit = {"type": "Container", "max": {"cpu": "2"}, "default": {"cpu": "500m"}}
    create(control_plane, namespace, "limitranges", "small", spec={"limits": [limit]})
    for number in range(5):
        size = {"requests": {"storage": f"{number + 1}Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": size, "storageClassName": "slow"}
        metadata = {"annotations": {KEEP: "true"}} if number == 0 else {}
        create(
            control_plane, namespace, "persistentvolumeclaims", f"data-{number}", spec=spec, metadata=metadata
        )
    monkeypatch.setattr(inventory, "PAGE", 2)
    sample = await Inventories(client_with(RULES.values())).observe(poll(facts(namespace)))
    assert sample.missing == {}
    [quota] = sample.quotas
    assert quota.hard == {"requests.cpu": 4.0, "requests.memory": 8 * GIB, "pods": 10.0}
    assert isinstance(quota, Quota)
    assert sample.limit_ranges == (
        LimitRange(
            "small",
            (Limit("Container", {"cpu": 2.0}, {}, {"cpu": 0.5}, {"cpu": 0.5}),),
        ),
    )
    assert [(claim.name, claim.bytes, claim.kept) for claim in sample.claims] == [
        (f"data-{number}", (number + 1) * GIB, number == 0) for number in range(5)
    ]
    assert {claim.storage_class for claim in sample.claims} == {"slow"}
    assert sample.uses is None  # nobody asked


async def test_contents_of_config_maps_are_never_asked_for(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    create(control_plane, namespace, "configmaps", "settings", data={"password": "hunter2"})
    locks = {"annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}
    create(control_plane, namespace, "configmaps", "lock", metadata=locks)
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "settings", "uid": "not-a-real-one"}
    create(control_plane, namespace, "configmaps", "owned", metadata={"ownerReferences": [owner]})
    seen: list[bytes] = []
    client = client_with((*RULES.values(), *watches.RULES.values()))
    original = client.get_metadata

    async def spy(path: str, **query: str) -> bytes:
        seen.append(await original(path, **query))
        return seen[-1]

    client.get_metadata = spy  # type: ignore[method-assign]
    sample = await Inventories(client).observe(poll(facts(namespace), UnusedResourcesParameters()))
    assert sample.uses is not None
    assert [item.name for item in sample.uses.config_maps] == ["settings"]
    assert seen
    assert all(b"hunter2" not in body for body in seen)


async def test_each_part_needs_its_own_permission(namespace: str, client_with: ClientWith) -> None:
    client = client_with((RULES["resourcequotas"],))
    sample = await Inventories(client).observe(poll(facts(namespace), UnusedResourcesParameters()))
    assert sample.quotas == ()
    assert sample.missing == {
        "claims": Unobserved("Forbidden", RULES["persistentvolumeclaims"].advice(namespace)),
        "limit_ranges": Unobserved("Forbidden", RULES["limitranges"].advice(namespace)),
        "uses": Unobserved("Forbidden", RULES["configmaps"].advice(namespace)),
    }


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"boom", "Unreachable"),
        (429, b"", "Throttled"),
        (200, b"<html>", "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":7}}]}', "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":"\xff"}}]}', "MalformedAnswer"),
        (200, b'{"metadata":{"continue":"more"},"items":[]}', "TooManyObjects"),
    ],
)
async def test_other_answers(
    status: int, body: bytes, reason: str, client_of: Callable[[str], Client]
) -> None:
    asked: list[Request] = []

    def answer(request: Request) -> Answer:
        asked.append(request)
        return Answer(status, body)

    with Server(answer) as server:
        sample = await Inventories(client_of(server.url)).observe(
            poll(facts("kiro"), UnusedResourcesParameters())
        )
    assert {part: item.reason for part, item in sample.missing.items()} == dict.fromkeys(
        ("claims", "quotas", "limit_ranges", "uses"), reason
    )
    assert len(asked) <= 4 * inventory.PAGES


def pod_spec(**more: Any) -> dict[str, Any]:
    return {
        "volumes": [
            {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "b", "configMap": {"name": "mounted"}},
            {"name": "c", "projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {}}]}},
            {"name": "d", "emptyDir": {}},
        ],
        "containers": [
            {"env": [{"name": "x", "valueFrom": {"configMapKeyRef": {"name": "key", "key": "k"}}}]},
            {"envFrom": [{"configMapRef": {"name": "whole"}}, {"secretRef": {"name": "s"}}]},
        ],
        "initContainers": [{"envFrom": [{"configMapRef": {"name": "first"}}]}],
        **more,
    }


ALL = ("first", "key", "mounted", "projected", "whole")


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Deployment", {"template": {"spec": pod_spec()}}),
        ("CronJob", {"jobTemplate": {"spec": {"template": {"spec": pod_spec()}}}}),
        ("Pod", pod_spec()),
    ],
)
def test_references_of_every_kind_of_template(kind: str, spec: dict[str, Any]) -> None:
    body = {"metadata": {"continue": "on"}, "items": [{"metadata": {"name": "x"}, "spec": spec}]}
    [template], go_on = templates(json.dumps(body).encode(), kind)
    assert (template.kind, template.name, go_on) == (kind, "x", "on")
    assert template.claims == ("data",)
    assert template.config_maps == ALL


def test_claims_of_a_stateful_set() -> None:
    spec = {"template": {"spec": {}}, "volumeClaimTemplates": [{"metadata": {"name": "data"}}]}
    [template], _ = templates(
        json.dumps({"items": [{"metadata": {"name": "s"}, "spec": spec}]}).encode(), "StatefulSet"
    )
    assert template.claim_templates == ("data",)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "metadata", "name", "volumes", "configMap", "items", "template", "env"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(json_values)
def test_whatever_is_listed_is_read_or_refused_as_malformed(value: Any) -> None:
    with_items = {"items": value} if not isinstance(value, dict) else value
    try:
        found, _ = templates(json.dumps(with_items).encode(), "Pod")
    except msgspec.DecodeError:
        return
    assert all(isinstance(template.name, str) for template in found)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=4))
def test_no_quantity_breaks_it(quantities: dict[str, str]) -> None:
    spec = {"hard": quantities}
    body = {"items": [{"metadata": {"name": "q"}, "spec": spec, "status": spec}]}
    item = inventory._decode(json.dumps(body).encode()).items
    assert item is not None
    assert all(math.isfinite(value) for value in inventory._quota(item[0]).hard.values())


async def test_prices() -> None:
    given_ = {"currency": "EUR", "cpuCoreHour": "0.03", "memoryGiBHour": "0.004"}
    spec = KiroHealthCheckSpec.model_validate({"prices": given_})
    sample = await PriceList().observe(poll(facts("kiro"), spec=spec))
    assert sample == Prices("EUR", 0.03, 0.004, 0.0)
    assert sample.month(cores=2, memory=4 * GIB) == pytest.approx(730 * (0.06 + 0.016))
    unset = await PriceList().observe(poll(facts("kiro")))
    assert isinstance(unset, Unobserved)
    assert unset.reason == "NotConfigured"
    wrong = KiroHealthCheckSpec.model_validate({"prices": {"cpuCoreHour": "much"}})
    refused = await PriceList().observe(poll(facts("kiro"), spec=wrong))
    assert isinstance(refused, Unobserved)
    assert refused.reason == "PricesInvalid"


def test_the_api_server_refuses_prices_that_are_none(control_plane: ControlPlane, namespace: str) -> None:
    path = f"/apis/kiro.dev/v1alpha1/namespaces/{namespace}/kirohealthchecks?dryRun=All"
    for prices, advice in (
        ({"cpuCoreHour": "0,03"}, "write an amount in quotes"),
        ({"currency": "euro", "cpuCoreHour": "0.03"}, "3"),
        ({"currency": "eur", "cpuCoreHour": "0.03"}, "three capital letters"),
        ({"currency": "EUR"}, "write cpuCoreHour, memoryGiBHour or storageGiBMonth"),
    ):
        body = {
            "apiVersion": "kiro.dev/v1alpha1",
            "kind": "KiroHealthCheck",
            "metadata": {"name": "p"},
            "spec": {"prices": prices},
        }
        with pytest.raises(ApiError, match=advice):
            control_plane.rest.post(path, body)
