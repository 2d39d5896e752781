"""Who wrote ConfigMaps: on the real API server, with its own managedFields."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from devcluster import ControlPlane
from devcluster.listen import Answer, Request, Server
from kiro_operator.adapters.kubernetes import config_changes
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.config_changes import RULES, ConfigChanges
from kiro_operator.core.checks.responsiveness.recent_configuration_changes import (
    RecentConfigurationChangesParameters,
)
from kiro_operator.core.evidence.changes import Change
from kiro_operator.core.snapshot import Unobserved

from .conftest import ClientWith
from .helpers import facts, poll

PARAMETERS = RecentConfigurationChangesParameters(look_back=timedelta(minutes=10))


def write(plane: ControlPlane, namespace: str, name: str, manager: str, **metadata: Any) -> None:
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {manager: "its own key: who takes over all of another's fields takes its place"},
    }
    path = f"/api/v1/namespaces/{namespace}/configmaps/{name}?fieldManager={manager}&force=true"
    plane.rest.request("PATCH", path, body, "application/apply-patch+yaml")


async def test_writes_are_seen(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = datetime.now(UTC).replace(microsecond=0)
    for name, manager in (("settings", "helm"), ("steering", "jane"), ("settings", "joe")):
        write(control_plane, namespace, name, manager)
    write(control_plane, namespace, "published", "kube-controller-manager")
    lock = {"control-plane.alpha.kubernetes.io/leader": "{}"}
    write(control_plane, namespace, "lock", "some-controller", annotations=lock)
    observer = ConfigChanges(client_with(RULES))
    monkeypatch.setattr(config_changes, "PAGE", 2)

    offset = control_plane.audit_offset()
    sample = await observer.observe(poll(facts(namespace), PARAMETERS))
    assert not isinstance(sample, Unobserved)
    assert {(change.kind, change.name, change.manager) for change in sample} == {
        ("ConfigMap", "settings", "helm"),
        ("ConfigMap", "settings", "joe"),
        ("ConfigMap", "steering", "jane"),
    }
    assert all(start <= change.time <= datetime.now(UTC) for change in sample)
    assert next(change for change in sample if change.manager == "jane").detail == "created"
    lists = [
        event
        for event in control_plane.audit_events(offset, naming=namespace)
        if event.get("objectRef", {}).get("namespace") == namespace and event["verb"] == "list"
    ]
    assert len(lists) == 3  # five ConfigMaps, two a page


async def test_only_the_look_back_before_the_failure(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    write(control_plane, namespace, "settings", "helm")
    observer = ConfigChanges(client_with(RULES))
    later = datetime.now(UTC) + timedelta(minutes=11)
    assert await observer.observe(poll(facts(namespace), PARAMETERS, now=later)) == ()
    failing = facts(namespace, began_failing={"pods-ready": later - timedelta(minutes=5)})
    sample = await observer.observe(poll(failing, PARAMETERS, now=later))
    assert isinstance(sample, tuple)
    (change,) = sample
    assert change.manager == "helm"


async def test_without_the_permission(namespace: str, client_with: ClientWith) -> None:
    sample = await ConfigChanges(client_with(())).observe(poll(facts(namespace), PARAMETERS))
    assert sample == Unobserved("Forbidden", RULES[0].advice(namespace))


def endless(count: int, items: list[dict[str, Any]]) -> Callable[[Request], Answer]:
    """A list of so many pages, or one that is cut off by an error when `count` is 0."""
    left: Iterator[int] = iter(range(count - 1, -1, -1))

    def answer(request: Request) -> Answer:
        assert request.headers["Accept"].startswith("application/json;as=PartialObjectMetadataList")
        remaining = next(left, None)
        if remaining is None:
            return Answer(410, b'{"reason":"Expired"}')
        page = {"metadata": {"continue": "more" if remaining else ""}, "items": items}
        return Answer(200, json.dumps(page).encode())

    return answer


def item(manager: str = "helm") -> dict[str, Any]:
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"metadata": {"name": "a", "managedFields": [{"manager": manager, "time": now}]}}


async def test_bounds(client_of: Callable[[str], Client]) -> None:
    request = poll(facts("kiro"), PARAMETERS)
    for items, expected in (([], "TooManyConfigMaps"), ([item()] * 30, "")):
        with Server(endless(100, items)) as server:
            sample = await ConfigChanges(client_of(server.url)).observe(request)
            assert len(server.requests) == config_changes.PAGES
        if expected:
            assert isinstance(sample, Unobserved)
            assert sample.reason == expected
        else:
            assert isinstance(sample, tuple)
            assert len(sample) == config_changes.CHANGES
            assert isinstance(sample[0], Change)


async def test_a_time_that_is_none_hides_no_other(client_of: Callable[[str], Client]) -> None:
    odd = [{"metadata": {"name": "a", "managedFields": [{"manager": "x", "time": "0000-01-01T00:00:00Z"}]}}]
    content = json.dumps({"items": [*odd, item()]}).encode()
    with Server(lambda _: Answer(200, content)) as server:
        sample = await ConfigChanges(client_of(server.url)).observe(poll(facts("kiro"), PARAMETERS))
    assert isinstance(sample, tuple)
    assert [change.manager for change in sample] == ["helm"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            Answer(200, b'{"items":[{"metadata":{"name":"a","managedFields":["soon"]}}]}'),
            "MalformedAnswer",
        ),
        (Answer(500, b""), "Unreachable"),
    ],
)
async def test_other_answers(answer: Answer, reason: str, client_of: Callable[[str], Client]) -> None:
    with Server(lambda _: answer) as server:
        sample = await ConfigChanges(client_of(server.url)).observe(poll(facts("kiro"), PARAMETERS))
    assert isinstance(sample, Unobserved)
    assert sample.reason == reason


async def test_a_list_that_expires_on_the_way(client_of: Callable[[str], Client]) -> None:
    with Server(endless(0, [])) as server:
        sample = await ConfigChanges(client_of(server.url)).observe(poll(facts("kiro"), PARAMETERS))
    assert isinstance(sample, Unobserved)
    assert sample.reason == "Refused"
