"""One KiroHealthCheck with everything on: evidence is shared, and what hangs delays nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from devcluster import faults
from devcluster.errors import WaitTimeout
from devcluster.listen import Server
from devcluster.operator import OperatorProcess
from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness.world import World

INTERVAL = "5s"
SECONDS = 5
LATE = "5.0"
"""How late a sample may be, in seconds; a bound of the operator's histogram."""
ROUNDS = 8
HUNG = frozenset({"prometheus", "trigger-metrics", "alertmanager", "mcp-sessions", "mcp-health"})
_SERIES = re.compile(
    r"^kiro_sample_(delay|duration)_seconds_(count|bucket)"
    r'\{(?:le="([^"]+)",)?source="([^"]+)"\} ([0-9.e+]+)$',
    re.MULTILINE,
)
HOSTS = ("prometheus.example:9090", "alertmanager.example:9093", "mcp.example:8080")
KEYS = {
    "AWS_ACCESS_KEY_ID": "AKIAINVENTED",
    "AWS_SECRET_ACCESS_KEY": "invented",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@pytest.fixture
def hung() -> Iterator[Server]:
    """A server that accepts and never answers."""
    with Server() as server:
        server.break_with("hang")
        yield server


OF_NODES = ("node-capacity", "utilization-patterns")
"""Checks of what all tests share: when another test fills its nodes, that is news."""
LOCAL: dict[str, Any] = {"interval": INTERVAL, "steering": {"configMaps": ["steering"]}}
EVERYTHING: dict[str, Any] = {
    **LOCAL,
    "prometheus": {"host": HOSTS[0]},
    "alertmanager": {"host": HOSTS[1]},
    "mcp": {"servers": [{"name": "tools", "host": HOSTS[2]}]},
    "aws": {"region": "us-east-1"},
}


def flags(world: World, server: Server) -> tuple[str, ...]:
    found = ["--cluster-facts-namespace", world.namespace, "--aws-endpoint-url", f"http://{server.address}"]
    for host in HOSTS:
        found += ["--allow-host", host, "--resolve", f"{host}={server.address}"]
    return tuple(found)


def steering(world: World) -> None:
    body = {"metadata": {"name": "steering"}, "data": {"product.md": "# Product\nPrefer small steps.\n"}}
    world.plane.rest.post(f"/api/v1/namespaces/{world.namespace}/configmaps", body)


def verdicts(world: World) -> dict[str, dict[str, Any]]:
    status = world.get("kirohealthchecks", "kiro").get("status", {})
    return {item["id"]: item for item in status.get("checks", [])}


def test_backends_that_hang_delay_no_other_check(
    world: World, hung: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    world.deployment()
    steering(world)
    pod = world.pods()[0]["metadata"]["name"]
    log = faults.logs(world.plane, world.namespace, pod, ["INFO ready"])
    world.health_check(**EVERYTHING)
    operator = world.operator(*flags(world, hung))
    world.wait_check("service-logs", "Pass")
    world.wait_check("steering-syntax", "Pass")

    # Round after round every other source is asked in its turn, while these are asked and hang.
    asked, began = often_sampled(), series(operator)
    try:
        until(lambda: not behind(began, series(operator), asked), "all others", (ROUNDS + 1) * SECONDS)
    except WaitTimeout as error:
        raise AssertionError(f"more than 5 s behind: {behind(began, series(operator), asked)}") from error
    now = series(operator)
    sources = {source for what, _, _, source in now if what == "delay"}
    assert sources >= asked | {"prometheus", "mcp-sessions", "aws-identity"}
    assert {
        source for source in sources - HUNG if not source.startswith("aws-") and delayed(now, source)
    } == set()

    # While all of the others hang, a failure is told and told to be over.
    faults.inject(world.plane, world.namespace, pod, "crash-loop")
    world.wait_check("pods-ready", "Fail", timeout=60)
    faults.clear(world.plane, world.namespace, pod)
    world.wait_check("pods-ready", "Pass", timeout=60)
    faults.append_log(log, [f"ERROR request {number} failed" for number in range(500)])

    # A server of Kiro's that does not answer is at fault; what only tells about Kiro leaves it unknown.
    world.wait_check("mcp-tools", "Fail", timeout=90)
    until(lambda: out_of_reach(world), "the hung backends to be told as such", 120)
    told = verdicts(world)
    assert told["service-logs"]["status"] in {"Pass", "Fail"}
    world.wait_condition("Observed", "False", timeout=90)


def test_every_check_gives_a_verdict_and_at_rest_nothing_is_written(world: World) -> None:
    world.deployment()
    world.plane.wait_for_metrics()  # that figures come in at last is news
    steering(world)
    world.health_check(**LOCAL, checks=[{"id": name, "enabled": False} for name in OF_NODES])
    world.operator("--cluster-facts-namespace", world.namespace)
    # What moves slowly is sampled slowly, and some of it has to be seen twice.
    slow = {name for name, item in registry().items() if item.check.interval} | set(OF_NODES)
    try:
        until(lambda: not waiting(world) - slow, "a verdict of every check", 90)
    except WaitTimeout as error:
        raise AssertionError(f"{error}: {sorted(waiting(world) - slow)}\n{world.log_tail()}") from error
    for item in verdicts(world).values():
        assert item["status"] != "Fail" or item.get("command"), item
        assert item["reason"] != "InternalError", item
    offset = world.plane.audit_offset()
    before = world.get("kirohealthchecks", "kiro")
    until(lambda: rounds(world, offset) >= 3 * len(world.pods()), "three more rounds", 60)
    after = world.get("kirohealthchecks", "kiro")
    assert changed(before["status"], after["status"]) == []
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[Any]:
    """What is told otherwise, check by check and condition by condition."""
    return [
        (one, other)
        for part in ("checks", "conditions")
        for one, other in zip(before[part], after[part], strict=True)
        if one != other
    ]


Key = tuple[str, str, str, str]
"""delay or duration, count or bucket, the bucket's bound, and the source."""


def series(operator: OperatorProcess) -> dict[Key, float]:
    """How often each source was asked and has answered, and how often in time."""
    found = _SERIES.findall(operator.probe("/metrics")[1])
    return {(what, kind, bound, source): float(count) for what, kind, bound, source, count in found}


def often_sampled() -> set[str]:
    """Sources that do not hang and are read by checks that are sampled at the interval that is set."""
    return {
        source.name
        for item in registry().values()
        if item.check.interval <= timedelta(seconds=SECONDS) and not item.check.only_while_failing
        for source in item.check.polled
        if source.section in {"", "steering"} and source.name not in HUNG
    }


def behind(began: dict[Key, float], now: dict[Key, float], asked: set[str]) -> list[str]:
    """Sources that have not answered in so many rounds since."""
    keys: list[Key] = [("duration", "count", "", source) for source in sorted(asked)]
    return [key[3] for key in keys if now.get(key, 0) - began.get(key, 0) < ROUNDS]


def delayed(now: dict[Key, float], source: str) -> bool:
    """Whether a source was ever asked later than it may be."""
    return now["delay", "bucket", LATE, source] < now["delay", "count", "", source]


def out_of_reach(world: World) -> bool:
    told = verdicts(world)
    return all(
        (told[name]["status"], told[name]["reason"]) == ("Unknown", "Timeout")
        for name in ("metric-collection", "aws-identity")
    )


def waiting(world: World) -> set[str]:
    """Checks that have no verdict yet."""
    told = verdicts(world)
    return {name for name in registry() if name not in told or told[name]["reason"] == "AwaitingSamples"}


def rounds(world: World, offset: int) -> int:
    """How often the log of a container was read since."""
    return sum(
        1
        for event in world.plane.audit_events(offset, naming=world.namespace)
        if event["user"]["username"].startswith(f"system:serviceaccount:{world.namespace}:")
        and event.get("objectRef", {}).get("subresource") == "log"
    )
