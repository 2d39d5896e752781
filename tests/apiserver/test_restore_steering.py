"""A steering document that was broken is put back as it was when it passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.harness.world import World, enforce

NAME, HISTORY = "kiro-steering", "kiro-steering-history"
WANTED = {"steering-integrity", "steering-syntax"}
ONLY = [{"id": name, "enabled": False} for name in registry() if name not in WANTED]
ACTION = {"name": "RestoreSteering", "approval": "Automatic", "budget": {"limit": 5, "window": "1h"}}
GOOD = {"product.md": "---\ninclusion: always\n---\n# Product\nTea.\n", "tech.md": "# Tech\nPython.\n"}
OTHER = {"readme.txt": "not a document"}
BROKEN = {"product.md": "---\ninclusion: [\n", "tech.md": None}
CHECKS = [
    {"id": "steering-integrity", "interval": "5s", "parameters": {"required": ["tech.md"]}},
    {"id": "steering-syntax", "interval": "5s"},
]


def begin(world: World, *, metadata: dict[str, Any] | None = None) -> None:
    prepare(world, metadata)
    world.policy(**enforce(actions=[ACTION]))
    world.operator()
    world.wait_check("steering-syntax", "Pass", timeout=60)
    texts = [key for key in held(world, HISTORY)["data"] if key.startswith("text.")]
    assert len(texts) == len(GOOD)


def prepare(world: World, metadata: dict[str, Any] | None = None) -> None:
    """Documents that pass, and a KiroHealthCheck that asks to put them back."""
    body = {"metadata": {"name": NAME} | (metadata or {}), "data": GOOD | OTHER}
    world.plane.rest.post(world.path("configmaps", api="/api/v1"), body)
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        interval="5s",
        checks=[*ONLY, *CHECKS],
        steering={"configMaps": [NAME], "onDrift": "Restore"},
        remediation={"stabilization": "1s"},
    )


def held(world: World, name: str = NAME) -> dict[str, Any]:
    return world.get("configmaps", name, api="/api/v1")


def change(world: World, data: Mapping[str, str | None]) -> None:
    world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), {"data": data})


def test_what_was_broken_and_what_was_taken_out_is_put_back_at_once(world: World) -> None:
    begin(world)
    change(world, BROKEN | {"readme.txt": "changed as well"})

    [done] = world.wait_remediation("Succeeded", timeout=60)
    found = held(world)
    assert found["data"] == GOOD | {"readme.txt": "changed as well"}
    assert (done["spec"]["action"], done["spec"]["method"]) == ("RestoreSteering", "Patch")
    assert done["spec"]["fence"]["uid"] == found["metadata"]["uid"]
    assert "tech.md: absent → put back" in done["spec"]["change"]["diff"]
    world.wait_check("steering-syntax", "Pass")
    world.wait_check("steering-integrity", "Pass")
    writes = [
        (event["verb"], event["responseStatus"]["code"])
        for event in world.written()
        if event["objectRef"]["resource"] == "configmaps" and event["objectRef"]["name"] == NAME
    ]
    assert writes == [("patch", 200)]


def test_what_is_forgotten_is_left_to_a_person(world: World) -> None:
    begin(world)
    world.plane.rest.delete(world.path("configmaps", HISTORY, api="/api/v1"))
    change(world, {"product.md": ""})

    found = world.wait_check("steering-integrity", "Fail", timeout=60)
    assert "it is not put back: the history does not hold" in found["message"]
    world.wait_condition("Escalated", "True")
    assert held(world)["data"]["product.md"] == ""
    assert not world.remediations()


@pytest.mark.parametrize(
    ("metadata", "gate"), [({"labels": {"kustomize.toolkit.fluxcd.io/name": "kiro"}}, "gitops")]
)
def test_what_is_kept_in_git_is_told_and_left(world: World, metadata: dict[str, Any], gate: str) -> None:
    begin(world, metadata=metadata)
    change(world, {"product.md": ""})

    def told() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            world.get("kirohealthchecks", "kiro").get("status", {}).get("decisions", [])
        )
        return found

    until(lambda: bool(told()), "a decision", 60)
    [decision] = told()
    assert (decision["action"], decision["gate"]) == ("RestoreSteering", gate)
    assert "revert it there" in decision["message"]
    assert held(world)["data"]["product.md"] == ""
    assert not world.remediations()
