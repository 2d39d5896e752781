"""Poor answers have Kiro log in detail for a while; the level is given back even after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness.forked import ForkedOperator
from tests.harness.mcp_servers import McpProcess
from tests.harness.world import World, enforce
from tests.live.test_mcp import server

NAME = "kiro-logging"
WANTED = {"mcp-response-quality", "safety-config"}
CHECKS = [
    {"id": name, "interval": "5s", "failureThreshold": 1, "successThreshold": 1}
    if name in WANTED
    else {"id": name, "enabled": False}
    for name in registry()
]
ACTION = {"name": "DetailedLogging", "approval": "Automatic", "budget": {"limit": 1, "window": "1h"}}


@pytest.fixture
def shop() -> Iterator[McpProcess]:
    with McpProcess() as started:
        yield started


def begin(world: World, shop: McpProcess, duration: str) -> ForkedOperator:
    body = {"metadata": {"name": NAME}, "data": {"level": "info", "format": "json"}}
    world.plane.rest.post(world.path("configmaps", api="/api/v1"), body)
    switch = {"configMap": NAME, "key": "level", "value": "debug", "duration": duration}
    world.policy(**enforce(actions=[ACTION], detailedLogging=switch, cooldown="1h"))
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        checks=CHECKS,
        mcp={"servers": [server()]},
        remediation={"stabilization": "1s"},
    )
    operator = world.operator("--resolve", f"shop.{world.namespace}:8080={shop.address}")
    world.wait_check("mcp-response-quality", "Pass", timeout=60)
    shop.fault("tool-error")
    until(lambda: level(world) == "debug", "detailed logging", 60)
    return operator


def level(world: World) -> str:
    found: str = world.get("configmaps", NAME, api="/api/v1")["data"]["level"]
    return found


def methods(world: World) -> list[tuple[Any, ...]]:
    found = [(item["spec"]["method"], item["status"]["state"]) for item in world.remediations()]
    return sorted(found)


def test_the_level_is_given_back_after_a_crash(world: World, shop: McpProcess) -> None:
    operator = begin(world, shop, "20s")
    operator.kill()
    assert level(world) == "debug"
    world.restart(operator)

    done = [("GiveBack", "Succeeded"), ("Patch", "Succeeded")]
    until(lambda: methods(world) == done, "it to be given back", 90)
    assert world.get("configmaps", NAME, api="/api/v1")["data"] == {"level": "info", "format": "json"}


def test_somebody_elses_change_is_not_overwritten(world: World, shop: McpProcess) -> None:
    begin(world, shop, "1h")
    body = {"data": {"level": "trace"}}
    world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), body)

    [record] = world.wait_remediation("Failed", timeout=60)
    assert record["status"]["reason"] == "Reverted"
    shop.fault()
    world.wait_check("mcp-response-quality", "Pass", timeout=60)
    assert level(world) == "trace"
    assert methods(world) == [("Patch", "Failed")]


def test_a_pause_is_kept_a_person_is_called_and_nothing_is_forgotten(world: World, shop: McpProcess) -> None:
    begin(world, shop, "10s")
    policy = world.path("kirosafetypolicies", "policy")
    world.plane.rest.patch(policy, {"spec": {"pauseRequests": ["INC-1"]}})
    world.wait_remediation("Succeeded", timeout=60)

    shop.fault()
    told = until(lambda: escalated(world), "a person to be called", 60)
    assert f"kubectl patch configmap {NAME} -n {world.namespace}" in told
    assert (level(world), methods(world)) == ("debug", [("Patch", "Succeeded")])

    world.plane.rest.patch(policy, {"spec": {"pauseRequests": []}})
    until(lambda: level(world) == "info", "it to be given back", 60)
    world.wait_condition("Escalated", "False", timeout=60)


def test_another_health_check_gives_back_what_the_first_asked_for(world: World, shop: McpProcess) -> None:
    begin(world, shop, "10s")
    world.plane.rest.delete(world.path("kirohealthchecks", "kiro"))
    [record] = world.wait_remediation("Expired", timeout=60)
    assert record["status"]["reason"] == "HealthCheckDeleted"

    world.health_check("second", safetyPolicyRef={"name": "policy"}, interval="5s", checks=CHECKS)
    until(lambda: level(world) == "info", "it to be given back", 60)


def test_it_is_given_back_once_a_suspended_health_check_looks_again(world: World, shop: McpProcess) -> None:
    begin(world, shop, "1h")
    path = world.path("kirohealthchecks", "kiro")
    world.plane.rest.patch(path, {"spec": {"suspend": True}})
    [record] = world.wait_remediation("Expired", timeout=60)
    assert record["status"]["reason"] == "Suspended"
    assert level(world) == "debug"

    world.plane.rest.patch(path, {"spec": {"suspend": False}})
    until(lambda: level(world) == "info", "it to be given back", 60)


def test_a_policy_that_is_gone_calls_a_person(world: World, shop: McpProcess) -> None:
    begin(world, shop, "10s")
    world.plane.rest.delete(world.path("kirosafetypolicies", "policy"))
    [record] = world.wait_remediation("Failed", timeout=60)
    assert record["status"]["reason"] == "NotWatched"
    told = until(lambda: escalated(world), "a person to be called", 60)
    assert f"kubectl patch configmap {NAME} -n {world.namespace}" in told
    assert level(world) == "debug"


def escalated(world: World) -> str:
    """What a person is called for; empty when nobody is."""
    found = world.condition("Escalated")
    return str(found["message"]) if found.get("status") == "True" else ""
