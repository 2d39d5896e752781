"""When half of the platform fails at once, the operator keeps its hands off."""

from __future__ import annotations

from devcluster import faults
from devcluster.proxy import FaultProxy
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, WATCHED_ONLY, World, enforce


def test_a_storm_is_left_to_people_until_it_is_over(world: World, proxy: FaultProxy) -> None:
    scene = Scene(world, "Evict")
    world.deployment()
    world.policy(**enforce(maxUnhealthy="40%"))
    scene.watch(checks=WATCHED_ONLY)
    world.operator(*STEADY, server=proxy.url)
    world.wait_condition("Healthy", "True")
    pods = [(world.namespace, pod["metadata"]["name"]) for pod in world.pods()]

    # Both at once as far as the operator can tell: what is known of one is known of the other.
    together = proxy.half_open(path=r"/pods\?.*watch=1")
    faults.inject_many(world.plane, pods[:2], "crash-loop")
    world.plane.kubectl(
        "wait", "--for=condition=Ready=false", "-n", world.namespace, *(f"pod/{name}" for _, name in pods[:2])
    )
    together.lift()

    denied = world.wait_condition("RemediationAllowed", "False", reason="TooManyUnhealthy")
    assert "2 of 4 pods are unhealthy" in denied["message"]
    assert "40%" in denied["message"]
    decision = world.get("kirohealthchecks", "kiro")["status"]["decisions"][0]
    assert (decision["decision"], decision["gate"]) == ("Denied", "blast-radius")
    assert not world.remediations()
    scene.assert_undone()

    faults.clear(world.plane, *pods[0])
    world.wait_remediation("Succeeded", timeout=60)
    assert len(world.evictions()) == 1
