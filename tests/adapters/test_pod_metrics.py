"""The metrics API as it answers, as it is missing, and as it should never answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster import ControlPlane
from devcluster.listen import Answer, Server
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.pod_metrics import (
    NOT_INSTALLED,
    RULES,
    PodMetrics,
    label_selector,
    seconds,
    usages,
)
from kiro_operator.core.checks.responsiveness.resource_utilization import ResourceUtilizationParameters
from kiro_operator.core.evidence.usage import PodUsage, Usage
from kiro_operator.core.objects import LabelSelectorExpression, Selector
from kiro_operator.core.snapshot import Unobserved
from tests.devcluster.helpers import make_pod, ready, wait_pod

from .conftest import ClientWith
from .helpers import eventually, facts, poll

PARAMETERS = ResourceUtilizationParameters()
WEB = Selector(match_labels={"app": "web"})


async def test_what_pods_use(control_plane: ControlPlane, namespace: str, client_with: ClientWith) -> None:
    use = {"kwok.x-k8s.io/usage-cpu": "900m", "kwok.x-k8s.io/usage-memory": "1Gi"}
    make_pod(control_plane, namespace, annotations=use)
    make_pod(control_plane, namespace, "other", annotations=use)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    observer = PodMetrics(client_with(RULES))
    request = poll(facts(namespace), PARAMETERS, selector=WEB)

    async def busy() -> Mapping[str, PodUsage] | None:
        sample = await observer.observe(request)
        if isinstance(sample, Unobserved) or "web" not in sample:
            return None
        return sample if sample["web"].containers["main"].cpu > 0 else None

    # metrics-server shows a pod once two of its scrapes, 15 s apart, saw it.
    await asyncio.to_thread(control_plane.wait_for_metrics, 120.0)
    sample = await eventually(busy, "the pod's metrics", 60.0)
    assert set(sample) == {"web"}
    used = sample["web"]
    assert used.containers["main"].cpu < 1.0
    assert used.containers["main"].memory == 2**30
    assert used.timestamp is not None
    assert abs((datetime.now(UTC) - used.timestamp).total_seconds()) < 120
    assert 5 < used.window < 60


async def test_without_the_permission(namespace: str, client_with: ClientWith) -> None:
    sample = await PodMetrics(client_with(())).observe(poll(facts(namespace), PARAMETERS))
    assert sample == Unobserved("Forbidden", RULES[0].advice(namespace))
    assert "metrics.k8s.io" in sample.message


async def test_an_api_that_is_not_served(namespace: str, client_with: ClientWith) -> None:
    rule = msgspec.structs.replace(RULES[0], group="absent.kiro.dev")
    observer = PodMetrics(client_with((rule,)), "/apis/absent.kiro.dev/v1beta1")
    assert await observer.observe(poll(facts(namespace), PARAMETERS)) == NOT_INSTALLED


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (503, b'{"reason":"ServiceUnavailable","message":"the server is currently unable"}', "NotInstalled"),
        (500, b"boom", "Unreachable"),
        (429, b"", "Throttled"),
        (400, b"", "Refused"),
        (200, b"<html>", "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":7}}]}', "MalformedAnswer"),
        (200, b'{"items":[{"metadata":{"name":"\xff"}}]}', "MalformedAnswer"),
    ],
)
async def test_other_answers(
    status: int, body: bytes, reason: str, client_of: Callable[[str], Client]
) -> None:
    with Server(lambda _: Answer(status, body)) as server:
        observer = PodMetrics(client_of(server.url))
        first = await observer.observe(poll(facts("kiro"), PARAMETERS))
        assert isinstance(first, Unobserved)
        assert first.reason == reason
        assert str(server.port) not in first.message
        assert await observer.observe(poll(facts("kiro"), PARAMETERS)) == first


async def test_nobody_there(client_of: Callable[[str], Client]) -> None:
    with Server() as server:
        server.break_with("refuse")
        sample = await PodMetrics(client_of(server.url)).observe(poll(facts("kiro"), PARAMETERS))
    assert isinstance(sample, Unobserved)
    assert sample.reason == "Unreachable"
    assert str(server.port) not in sample.message


def body(usage: dict[str, Any]) -> bytes:
    return json.dumps(
        {"items": [{"metadata": {"name": "web"}, "containers": [{"name": "main", "usage": usage}]}]}
    ).encode()


@pytest.mark.parametrize("quantity", ["", "NaN", "1e999", "9" * 400, "12x", "-", "Ki"])
def test_what_is_no_quantity_is_left_out(quantity: str) -> None:
    assert usages(body({"cpu": "1", "memory": quantity}))["web"].containers == {}
    assert usages(body({"cpu": quantity, "memory": "1"}))["web"].containers == {}


def test_figures() -> None:
    used = usages(body({"cpu": "250m", "memory": "8504Ki"}))["web"].containers
    assert used == {"main": Usage(0.25, 8504 * 1024)}
    assert usages(b'{"items":null}') == {}
    assert usages(b'{"items":[{"metadata":{"name":"web"},"containers":null}]}')["web"].containers == {}


@given(st.text(max_size=40))
def test_no_quantity_breaks_it(text: str) -> None:
    usages(body({"cpu": text, "memory": text}))


@given(st.text(alphabet="0123456789.hmsnuµ-e", max_size=20))
def test_no_window_breaks_it(text: str) -> None:
    assert seconds(text) >= 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("30s", 30), ("1m0.5s", 60.5), ("1h2m", 3720), ("15ms", 0.015), ("", 0), ("soon", 0)],
)
def test_windows(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


def test_selectors_as_a_query() -> None:
    assert label_selector(Selector()) == ""
    expressions = (
        LabelSelectorExpression("tier", "In", ("a", "b")),
        LabelSelectorExpression("zone", "NotIn", ("c",)),
        LabelSelectorExpression("app", "Exists"),
        LabelSelectorExpression("old", "DoesNotExist"),
    )
    selector = Selector({"x": "1", "a": ""}, expressions)
    assert label_selector(selector) == "a=,x=1,tier in (a,b),zone notin (c),app,!old"
