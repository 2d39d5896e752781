"""Capacity and cost: each check passes, fails and passes again on a real cluster and a real Prometheus."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from devcluster import ControlPlane, faults
from devcluster import nodes as kwok
from kiro_operator.adapters.kubernetes import nodes as nodes_adapter
from kiro_operator.adapters.kubernetes.nodes import ClusterNodes
from kiro_operator.core.checks.autonomous_operations import node_capacity
from kiro_operator.core.checks.autonomous_operations.node_capacity import NodeCapacityParameters
from kiro_operator.core.evidence.nodes import Nodes
from kiro_operator.core.snapshot import Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Status, Verdict
from tests.adapters.helpers import eventually, poll
from tests.devcluster.helpers import make_pod

from .capacity import client, live, own_node


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
            assert verdict.findings[0].object.name == node
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
            for event in control_plane.audit_events(offset)
            if event["objectRef"].get("resource") == "nodes" and namespace in event["user"]["username"]
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
