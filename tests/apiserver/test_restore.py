"""What is declared is brought back: the safety configuration that somebody tampered with."""

from __future__ import annotations

from typing import Any

import pytest

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
    wanted = {"data": DESIRED, "onDrift": "Restore"}
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


@pytest.mark.parametrize(
    ("policy", "gate"),
    [({"mode": "DryRun"}, "mode"), ({"actions": [ACTION | {"approval": "Manual"}]}, "approval")],
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
