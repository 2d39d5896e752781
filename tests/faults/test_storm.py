"""When half of the platform fails at once, nothing is done until that has been over for a while."""

from __future__ import annotations

import json
from typing import Any

from devcluster import faults
from devcluster.proxy import FaultProxy
from devcluster.wait import until
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, WATCHED_ONLY, World, enforce

COOLDOWN = 20


def test_a_storm_is_left_to_people_until_it_is_over(world: World, proxy: FaultProxy) -> None:
    scene = Scene(world, "Evict")
    world.deployment()
    world.policy(**enforce(maxUnhealthy="40%", stormCooldown=f"{COOLDOWN}s"))
    scene.watch(checks=WATCHED_ONLY)
    operator = world.operator(*STEADY, server=proxy.url)
    world.wait_condition("Healthy", "True")
    pods = [(world.namespace, pod["metadata"]["name"]) for pod in world.pods()]

    # All at once as far as the operator can tell: what is known of one is known of the others.
    together = proxy.half_open(path=r"/pods\?.*watch=1")
    faults.inject_many(world.plane, pods[:3], "crash-loop")
    world.plane.kubectl(
        "wait", "--for=condition=Ready=false", "-n", world.namespace, *(f"pod/{name}" for _, name in pods[:3])
    )
    together.lift()

    denied = world.wait_condition("RemediationAllowed", "False", reason="TooManyUnhealthy")
    assert "3 of 4 pods are unhealthy" in denied["message"]
    assert "40%" in denied["message"]
    assert decision(world)["gate"] == "blast-radius"
    policy = until(lambda: _storm(world), "the storm in the policy's status")
    assert "subsided" not in policy
    told = world.condition("RemediationAllowed", "policy", "kirosafetypolicies")
    assert (told["status"], told["reason"]) == ("False", "TooManyUnhealthy")
    assert not world.remediations()
    scene.assert_undone()

    # Within the bound again. What is left waits, also when the operator is another one by then.
    faults.clear_many(world.plane, pods[:2])
    until(lambda: decision(world).get("reason") == "StormCooldown", "the cooldown")
    waits = decision(world)
    assert (waits["decision"], waits["gate"]) == ("Denied", "storm")
    until(lambda: _storm(world).get("subsided"), "that it has subsided, in the policy's status")
    subsided = _storm(world)["subsided"]
    operator.kill()
    world.restart(operator)
    until(lambda: decision(world).get("reason") == "StormCooldown", "the cooldown, after a restart")
    assert _storm(world)["subsided"] == subsided
    assert decision(world)["until"] == waits["until"]
    scene.assert_undone()

    # Over: one target is left, and is acted on; the two that healed are not.
    world.wait_remediation("Succeeded", timeout=90)
    assert [event["objectRef"]["name"] for event in world.evictions()] == [pods[2][1]]
    created = world.remediations()[0]["metadata"]["creationTimestamp"]
    assert created >= waits["until"]
    assert not _storm(world)
    assert world.condition("RemediationAllowed", "policy", "kirosafetypolicies")["status"] == "True"
    until(lambda: "RemediationResumed" in notices(world), "the notice of its end")
    assert notices(world) == ["RemediationPaused", "RemediationResumed"]


def _storm(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.get("kirosafetypolicies", "policy")["status"].get("storm") or {}
    return found


def decision(world: World) -> dict[str, Any]:
    """What is said of the one action that is wanted; empty when none is."""
    status = world.get("kirohealthchecks", "kiro").get("status", {})
    return next(iter(status.get("decisions", [])), {})


def notices(world: World) -> list[str]:
    """Reasons of the Events about the policy, oldest first."""
    events = world.items("events", api="/apis/events.k8s.io/v1")
    mine = [event for event in events if event["regarding"]["kind"] == "KiroSafetyPolicy"]
    assert not [event for event in mine if event.get("series")], json.dumps(mine)
    return [event["reason"] for event in sorted(mine, key=lambda event: str(event["eventTime"]))]
