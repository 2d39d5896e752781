"""What is declared is brought back: the safety configuration that somebody tampered with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from devcluster import faults
from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness.world import World, enforce

DESIRED = {"mode": "supervised", "maxActionsPerHour": "3"}
NAME = "kiro-safety-config"
ONLY = [{"id": name, "enabled": False} for name in registry() if name != "safety-config"]
ACTION = {"name": "RestoreSafetyConfig", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}


def prepare(world: World, *, data: dict[str, str] | None = DESIRED, **policy: Any) -> None:
    if data is not None:
        world.plane.rest.post(
            world.path("configmaps", api="/api/v1"), {"metadata": {"name": NAME}, "data": data}
        )
    wanted = {"name": NAME, "data": DESIRED, "onDrift": "Restore"}
    world.policy(**enforce(**({"actions": [ACTION], "safetyConfig": wanted} | policy)))
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        checks=ONLY,
        remediation={"stabilization": "1s"},
    )


def begin(world: World, *, data: dict[str, str] | None = DESIRED, **policy: Any) -> None:
    prepare(world, data=data, **policy)
    world.operator()


def config(world: World) -> dict[str, Any]:
    return world.get("configmaps", NAME, api="/api/v1")


def tamper(world: World, data: dict[str, str | None]) -> None:
    world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), {"data": data})


def test_what_was_tampered_with_is_restored_once(world: World) -> None:
    begin(world)
    world.wait_condition("AutonomyEffective", "True")
    assert not world.remediations()

    tamper(world, {"mode": "free", "backdoor": "on", "maxActionsPerHour": None})

    [done] = world.wait_remediation("Succeeded")
    found = config(world)
    assert found["data"] == DESIRED
    assert {item["manager"] for item in found["metadata"]["managedFields"]} >= {"kiro-operator"}
    assert (done["spec"]["action"], done["spec"]["method"]) == ("RestoreSafetyConfig", "Patch")
    assert "mode: 'supervised' → 'free'" in done["spec"]["change"]["diff"]
    assert done["spec"]["fence"]["uid"] == found["metadata"]["uid"]
    world.wait_condition("AutonomyEffective", "True")
    writes = [event for event in world.written() if event["objectRef"]["resource"] == "configmaps"]
    assert [(event["verb"], event["responseStatus"]["code"]) for event in writes] == [("patch", 200)]


def test_what_was_deleted_is_made_anew(world: World) -> None:
    begin(world, data=None)
    [done] = world.wait_remediation("Succeeded")
    assert done["spec"]["method"] == "Create"
    assert config(world)["data"] == DESIRED


def test_it_is_seen_to_be_well_again_though_nobody_was_to_look_so_soon(world: World) -> None:
    prepare(world, data=DESIRED | {"mode": "free"})
    seldom = {"interval": "30m", "checks": [*ONLY, {"id": "safety-config", "failureThreshold": 1}]}
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), {"spec": seldom})
    world.operator()
    [done] = world.wait_remediation("Succeeded")
    assert done["status"]["reason"] == "Recovered"


def window(hour: int, duration: str) -> dict[str, Any]:
    return {"name": "w", "schedule": f"0 {hour} * * *", "duration": duration, "timeZone": "UTC"}


HALF_A_DAY_FROM_NOW = (datetime.now(UTC).hour + 12) % 24


@pytest.mark.parametrize(
    ("policy", "gate"),
    [
        ({"mode": "DryRun"}, "mode"),
        ({"actions": [ACTION | {"approval": "Manual"}]}, "approval"),
        ({"forbiddenWindows": [window(0, "24h")]}, "forbidden-windows"),
        ({"maintenanceWindows": [window(HALF_A_DAY_FROM_NOW, "1h")]}, "maintenance-windows"),
    ],
)
def test_without_leave_it_is_told_and_left(world: World, policy: dict[str, Any], gate: str) -> None:
    begin(world, data={"mode": "free"}, **policy)

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", [])
        )
        return found

    until(lambda: bool(told()), "a decision", 60)
    [decision] = told()
    assert (decision["action"], decision["gate"]) == ("RestoreSafetyConfig", gate)
    assert config(world)["data"] == {"mode": "free"}
    assert not world.remediations()


def test_after_a_mass_failure_it_waits_as_well(world: World) -> None:
    world.deployment()
    begin(world, maxUnhealthy="20%", stormCooldown="10m")
    world.wait_condition("AutonomyEffective", "True")
    pods = [(world.namespace, pod["metadata"]["name"]) for pod in world.pods()[:2]]
    faults.inject_many(world.plane, pods, "crash-loop")

    def storm() -> dict[str, Any]:
        found: dict[str, Any] = world.get("kirosafetypolicies", "policy")["status"].get("storm") or {}
        return found

    until(storm, "the storm in the policy's status", 40)
    faults.clear_many(world.plane, pods)
    until(lambda: "subsided" in storm(), "the storm to subside", 40)

    tamper(world, {"mode": "free"})

    until(lambda: decided(world).get("reason") == "StormCooldown", "the decision that it has to wait", 40)
    assert (decided(world)["action"], decided(world)["gate"]) == ("RestoreSafetyConfig", "storm")
    assert config(world)["data"]["mode"] == "free"
    assert not world.remediations()


def decided(world: World) -> dict[str, Any]:
    """What is said of the one action that is wanted; empty when none is."""
    status = world.get("kirohealthchecks", "kiro").get("status", {})
    return next(iter(status.get("decisions", [])), {})


@pytest.mark.parametrize("wanted", [{"onDrift": "Observe"}, {"data": {"mode": "strict"}}, {"name": "other"}])
def test_a_second_policy_has_nothing_written_that_the_first_does_not_ask_for(
    world: World, wanted: dict[str, Any]
) -> None:
    second = {"name": NAME, "data": DESIRED, "onDrift": "Restore"}
    world.policy("second", **enforce(actions=[ACTION], safetyConfig=second))
    begin(world, data={"mode": "free"}, safetyConfig=second | wanted)

    words = "do not all ask to restore"
    until(lambda: words in world.condition("Escalated").get("message", ""), "a person to be called", 60)
    assert not decided(world)
    assert config(world)["data"] == {"mode": "free"}
    assert not world.remediations()
