"""Alertmanager as it answers, as it is not there, and as it should never answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devcluster.listen import Answer, Server
from kiro_operator.adapters.alertmanager import alerts as adapter
from kiro_operator.adapters.http.fetch import Fetcher
from kiro_operator.adapters.network.connections import Fixed
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.evidence.alerts import Alerts
from kiro_operator.core.snapshot import Unobserved
from tests.harness.alertmanager import PORT, SERVICE, Alertmanager

from .helpers import facts, poll

GROUP = {
    "labels": {"alertname": "A"},
    "receiver": {"name": "team"},
    "alerts": [{"fingerprint": "1", "startsAt": "2026-03-02T11:00:00Z", "labels": {"alertname": "A"}}],
}


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    with Alertmanager(tmp_path_factory.mktemp("alertmanager")) as server:
        yield server


async def observe(fetcher: Fetcher, spec: KiroHealthCheckSpec, namespace: str, *see_all: str) -> Any:
    try:
        observer = adapter.Alertmanager(fetcher, frozenset(see_all))
        return await observer.observe(poll(facts(namespace), spec=spec))
    finally:
        await fetcher.close()


async def test_alerts_and_groups(alertmanager: Alertmanager) -> None:
    alertmanager.fire("Slow", minutes=30, namespace="kiro", pod="kiro-0")
    alertmanager.fire("Slow", namespace="kiro", pod="kiro-1")
    alertmanager.fire("KubeNodeNotReady", node="n1", inhibits="pods")
    alertmanager.fire("PodDown", node="n1", pod="kiro-2", namespace="kiro")
    alertmanager.silence(pod="kiro-1")
    found = await observe(alertmanager.fetcher("kiro"), alertmanager.spec, "kiro")
    assert isinstance(found, Alerts)
    told = {(item.name, item.labels.get("pod")): (item.silenced, item.inhibited) for item in found.alerts}
    assert told == {
        ("Slow", "kiro-0"): (False, False),
        ("Slow", "kiro-1"): (True, False),
        ("KubeNodeNotReady", None): (False, False),
        ("PodDown", "kiro-2"): (False, True),
    }
    assert [(group.receiver, dict(group.labels), len(group.alerts)) for group in found.groups] == [
        ("nobody", {"alertname": "KubeNodeNotReady"}, 1),
        ("nobody", {"alertname": "PodDown"}, 1),
        ("nobody", {"alertname": "Slow"}, 2),
    ]


async def test_of_a_shared_one_only_the_namespaces_own_alerts_are_read(alertmanager: Alertmanager) -> None:
    alertmanager.fire("Mine", namespace="mine")
    alertmanager.fire("Theirs", namespace="theirs")
    alertmanager.fire("Nobodys")
    host = f"127.0.0.1:{alertmanager.port}"
    spec = KiroHealthCheckSpec.model_validate({"alertmanager": {"host": host}})
    allowed = frozenset({host})
    found = await observe(alertmanager.fetcher(allowed_hosts=allowed), spec, "mine")
    assert [item.name for item in found.alerts] == ["Mine"]
    found = await observe(alertmanager.fetcher(allowed_hosts=allowed), spec, "mine", "mine")
    assert {"Mine", "Theirs", "Nobodys"} <= {item.name for item in found.alerts}


def beginning(time: str) -> bytes:
    return json.dumps([{**GROUP, "alerts": [{"fingerprint": "1", "startsAt": time}]}]).encode()


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"<html>", 200, "MalformedAnswer"),
        (b"{}", 200, "MalformedAnswer"),
        (b"[" * 100_000, 200, "MalformedAnswer"),
        (beginning("soon"), 200, "MalformedAnswer"),
        (beginning("2026-03-02T11:00:00"), 200, "MalformedAnswer"),
        (b"no", 403, "Unauthorized"),
        (b"no", 502, "BadAnswer"),
        (b" " * (adapter.LARGEST + 1), 200, "AnswerTooLarge"),
    ],
)  # fmt: skip
async def test_answers_that_are_none(body: bytes, status: int, reason: str) -> None:
    with Server(lambda _: Answer(status, body)) as server:
        fetcher = Fetcher(Fixed({f"{SERVICE}.kiro:{PORT}": f"127.0.0.1:{server.port}"}))
        spec = KiroHealthCheckSpec.model_validate(
            {"alertmanager": {"service": {"name": SERVICE, "port": PORT}}}
        )
        found = await observe(fetcher, spec, "kiro")
    assert isinstance(found, Unobserved)
    assert found.reason == reason


async def test_nobody_named_and_nobody_there() -> None:
    found = await observe(Fetcher(Fixed({})), KiroHealthCheckSpec(), "kiro")
    assert found.reason == "NotConfigured"
    spec = KiroHealthCheckSpec.model_validate({"alertmanager": {"service": {"name": "gone", "port": 1}}})
    assert (await observe(Fetcher(Fixed({})), spec, "kiro")).reason == "Unreachable"


def decoded(groups: list[dict[str, Any]], namespace: str | None = None) -> Alerts:
    return adapter.read(msgspec.convert(groups, tuple[adapter._Group, ...]), namespace)


def alerts(count: int, label: Callable[[int], dict[str, str]] = lambda _: {}) -> list[dict[str, Any]]:
    return [
        {"fingerprint": f"{n:05}", "startsAt": "2026-03-02T11:00:00Z", "labels": label(n)}
        for n in range(count)
    ]


def test_more_than_is_kept() -> None:
    found = decoded([{**GROUP, "alerts": alerts(adapter.KEPT + 5)}])
    assert (len(found.alerts), len(found.groups[0].alerts), found.truncated) == (adapter.KEPT,) * 2 + (True,)
    assert not decoded([{**GROUP, "alerts": alerts(adapter.KEPT)}]).truncated
    many = decoded([{**GROUP, "alerts": alerts(1, lambda _: {f"l{n:03}": "x" * 999 for n in range(99)})}])
    [alert] = many.alerts
    assert len(alert.labels) == adapter.LABELS
    assert all(len(value) <= 200 for value in alert.labels.values())


def test_labels_are_one_line_of_text() -> None:
    [alert] = decoded([{**GROUP, "alerts": alerts(1, lambda _: {"alertname": "a\nb\x1b[31m"})}]).alerts
    assert alert.name == "a b [31m"


def test_a_server_that_ignores_the_filter_gives_nothing_away() -> None:
    groups = [{**GROUP, "alerts": alerts(4, lambda n: {"namespace": ["mine", "theirs"][n % 2]})}]
    assert {item.labels["namespace"] for item in decoded(groups, "mine").alerts} == {"mine"}


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "labels": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
                "receiver": st.fixed_dictionaries({"name": st.text(max_size=5)}),
                "alerts": st.lists(
                    st.fixed_dictionaries(
                        {
                            "fingerprint": st.text("abc", max_size=2),
                            "startsAt": st.just("2026-03-02T11:00:00Z"),
                            "labels": st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
                        }
                    ),
                    max_size=6,
                ),
            }
        ),
        max_size=6,
    ),
    st.randoms(),
)
def test_each_alert_is_read_once_and_in_order(groups: list[dict[str, Any]], random: Any) -> None:
    found = decoded(groups)
    names = [item.fingerprint for item in found.alerts]
    assert names == sorted(set(names))
    assert {name for group in found.groups for name in group.alerts} == set(names)
    shuffled = list(groups)
    random.shuffle(shuffled)
    assert [item.fingerprint for item in decoded(shuffled).alerts] == names
