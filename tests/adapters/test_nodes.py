"""The cluster's nodes: what is shared, what is bounded, and answers as they should never be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.listen import Answer, Request, Server
from kiro_operator.adapters.kubernetes import nodes
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.nodes import ClusterNodes, Shared
from kiro_operator.adapters.kubernetes.pod_metrics import NOT_INSTALLED
from kiro_operator.core.checks.autonomous_operations.node_capacity import NodeCapacityParameters
from kiro_operator.core.checks.cost_efficiency.utilization_patterns import UtilizationPatternsParameters
from kiro_operator.core.evidence.nodes import NamespaceUsage, Node, Nodes
from kiro_operator.core.snapshot import Unobserved

from .helpers import facts, poll

SHOWN = frozenset({"kiro"})
METRICS = "/apis/metrics.k8s.io/v1beta1"
ClientOf = Callable[[str], Client]


def node(name: str, **status: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True"}
    allocatable = {"cpu": "3920m", "memory": "15Gi", "pods": "110"}
    return {
        "metadata": {"name": name},
        "status": {"allocatable": allocatable, "conditions": [ready], **status},
    }


def served(answers: dict[str, Any]) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path not in answers:
            return Answer(404, b'{"reason":"NotFound"}')
        return Answer(200, json.dumps(answers[path]).encode())

    return answer


async def test_nodes_and_what_is_used(client_of: ClientOf) -> None:
    pressed = {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "MemoryPressure", "status": "True"}]
    }
    cordoned = {**node("c"), "spec": {"unschedulable": True}}
    tainted = {**node("d"), "spec": {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}}
    answers = {
        "/api/v1/nodes": {"items": [node("b", **pressed), node("a"), cordoned, tainted]},
        f"{METRICS}/nodes": {
            "items": [{"metadata": {"name": "a"}, "usage": {"cpu": "1500m", "memory": "3Gi"}}]
        },
        f"{METRICS}/pods": {
            "items": [
                {
                    "metadata": {"name": f"{number}", "namespace": namespace},
                    "containers": [{"name": "x", "usage": {"cpu": "250m", "memory": "1Gi"}}] * number,
                }
                for number, namespace in enumerate(("one", "two", "two", "three"))
            ]
        },
    }
    with Server(served(answers)) as server:
        observer = ClusterNodes(client_of(server.url), SHOWN)
        sample = await observer.observe(poll(facts("kiro"), UtilizationPatternsParameters()))
        assert isinstance(sample, Nodes)
        gib = 2.0**30
        assert sample.nodes == (
            Node("a", 3.92, 15 * gib, used_cpu=1.5, used_memory=3 * gib),
            Node("b", 3.92, 15 * gib, pressures=("MemoryPressure",)),
            Node("c", 3.92, 15 * gib, schedulable=False, cordoned=True),
            Node("d", 3.92, 15 * gib, schedulable=False),
        )
        assert sample.namespaces == (
            NamespaceUsage("three", 0.75, 3 * gib),
            NamespaceUsage("two", 0.75, 3 * gib),
            NamespaceUsage("one", 0.0, 0.0),
        )
        assert sample.memory_of_pods == 6 * gib
        # Who does not ask for namespaces has them neither fetched nor shown.
        plain = await observer.observe(poll(facts("kiro"), NodeCapacityParameters()))
        assert isinstance(plain, Nodes)
        assert plain.namespaces == ()


async def test_full_nodes_are_told_where_pods_may_not_be_listed(client_of: ClientOf) -> None:
    def answer(request: Request) -> Answer:
        path = urlsplit(request.path).path
        if path == f"{METRICS}/pods":
            return Answer(403, b"{}")
        return Answer(200, json.dumps({"items": [node("a")] if path == "/api/v1/nodes" else []}).encode())

    with Server(answer) as server:
        observer = ClusterNodes(client_of(server.url), SHOWN)
        sample = await observer.observe(poll(facts("kiro"), UtilizationPatternsParameters()))
    assert isinstance(sample, Nodes)
    assert [each.name for each in sample.nodes] == ["a"]
    assert sample.unranked == Unobserved("Forbidden", nodes.RULES[2].advice(""))


async def test_nodes_come_in_pages_and_end(client_of: ClientOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "PAGES", 3)
    ends = True

    def answer(request: Request) -> Answer:
        parts = urlsplit(request.path)
        if parts.path != "/api/v1/nodes":
            return Answer(200, b'{"items":[]}')
        number = int(parse_qs(parts.query).get("continue", ["0"])[0])
        go_on = "" if ends and number == 2 else str(number + 1)
        body = {"metadata": {"continue": go_on}, "items": [node(f"n{number}")]}
        return Answer(200, json.dumps(body).encode())

    with Server(answer) as server:
        sample = await ClusterNodes(client_of(server.url), SHOWN).observe(poll(facts("kiro")))
        assert isinstance(sample, Nodes)
        assert [item.name for item in sample.nodes] == ["n0", "n1", "n2"]
        ends = False
        endless = await ClusterNodes(client_of(server.url), SHOWN).observe(poll(facts("kiro")))
        assert isinstance(endless, Unobserved)
        assert endless.reason == "TooManyNodes"


async def test_without_the_metrics_api_there_are_nodes_still(client_of: ClientOf) -> None:
    with Server(served({"/api/v1/nodes": {"items": [node("a")]}})) as server:
        sample = await ClusterNodes(client_of(server.url), SHOWN).observe(poll(facts("kiro")))
    assert isinstance(sample, Nodes)
    assert sample.metrics == NOT_INSTALLED
    assert [item.name for item in sample.nodes] == ["a"]


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"boom", "Unreachable"),
        (429, b"", "Throttled"),
        (200, b"<html>", "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":7}}]}', "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":"\xff"}}]}', "MalformedAnswer"),
    ],
)
async def test_other_answers(status: int, body: bytes, reason: str, client_of: ClientOf) -> None:
    with Server(lambda _: Answer(status, body)) as server:
        sample = await ClusterNodes(client_of(server.url), SHOWN).observe(poll(facts("kiro")))
    assert isinstance(sample, Unobserved)
    assert sample.reason == reason
    assert str(server.port) not in sample.message


async def test_shared_answers_age_and_survive_who_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    gate = asyncio.Event()

    async def fetch() -> int:
        nonlocal calls
        calls += 1
        await gate.wait()
        return calls

    shared = Shared(fetch)
    first = asyncio.create_task(shared.get())
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    gate.set()
    # The one that gave up left nothing behind; all others share one answer.
    assert set(await asyncio.gather(*(shared.get() for _ in range(50)))) == {2}
    monkeypatch.setattr(nodes, "KEPT_FOR", -1.0)
    shared_anew = Shared(fetch)
    assert [await shared_anew.get(), await shared_anew.get()] == [3, 4]


@given(st.dictionaries(st.sampled_from(["cpu", "memory"]), st.text(max_size=12)))
def test_no_quantity_breaks_it(quantities: dict[str, str]) -> None:
    body = {"items": [node("a", allocatable=quantities)]}
    [item] = nodes._nodes.decode(json.dumps(body).encode()).items or ()
    read = nodes._node(item)
    assert read.cpu >= 0
    assert read.memory >= 0
