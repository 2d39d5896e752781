"""Two operators: one acts, and the other takes over, however the first ends."""

from __future__ import annotations

import time

import pytest

from devcluster.operator import OperatorProcess
from devcluster.proxy import FaultProxy
from devcluster.wait import until
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, WATCHED_ONLY, World, enforce

LEASE = ("--lease-duration", "3.0", "--lease-renew-deadline", "2.0", "--lease-retry-period", "0.2")
"""Short, but not so short that a busy machine costs it."""


def leads(operator: OperatorProcess) -> bool:
    return "\nkiro_leader 1.0" in operator.probe("/metrics")[1]


def pair(world: World, *lease: str) -> tuple[OperatorProcess, OperatorProcess]:
    """A leader and a standby, over a well Deployment."""
    world.deployment()
    world.policy(**enforce())
    Scene(world, "Evict").watch(checks=WATCHED_ONLY)
    first = world.operator(*(lease or LEASE))
    until(lambda: leads(first), "the first to lead", 20)
    second = world.operator(*(lease or LEASE))
    world.wait_condition("Healthy", "True")
    assert not leads(second)
    assert second.probe("/readyz")[0] == 200  # a standby is ready: its caches are warm
    return first, second


def test_only_one_of_two_acts(world: World) -> None:
    first, second = pair(world)

    world.break_pod()
    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")

    assert len(world.evictions()) == 1
    assert len(world.remediations()) == 1
    assert leads(first)
    assert "kiro_status_writes_total{" in first.probe("/metrics")[1]
    assert "kiro_status_writes_total{" not in second.probe("/metrics")[1]
    assert second.probe("/healthz")[0] == 200


def test_a_leader_that_is_told_to_stop_hands_over_at_once(world: World) -> None:
    # So long that a busy machine cannot make running out look like giving back.
    lease_seconds = 15.0
    first, second = pair(world, *STEADY, "--lease-duration", str(lease_seconds))

    began = time.monotonic()
    assert first.stop() == 0
    until(lambda: leads(second), "the second to lead", 20)
    took = time.monotonic() - began

    lease = world.get("leases", "kiro-operator", api="/apis/coordination.k8s.io/v1")["spec"]
    assert lease["leaseTransitions"] == 1
    assert took < lease_seconds  # given back: taken before it would have run out
    world.break_pod()
    world.wait_remediation("Succeeded")
    assert len(world.evictions()) == 1


def test_a_leader_that_is_killed_is_followed_once_its_lease_has_run_out(world: World) -> None:
    first, second = pair(world)
    renewed = world.get("leases", "kiro-operator", api="/apis/coordination.k8s.io/v1")["spec"]

    began = time.monotonic()
    first.kill()
    world.break_pod()
    until(lambda: leads(second), "the second to lead", 20)

    assert time.monotonic() - began >= renewed["leaseDurationSeconds"] - 1.0  # not before it may
    world.wait_remediation("Succeeded")
    assert len(world.evictions()) == 1


def test_a_leader_that_was_stopped_in_its_tracks_does_nothing_when_it_goes_on(world: World) -> None:
    first, second = pair(world)
    first.pause()
    try:
        world.break_pod()
        until(lambda: leads(second), "the second to lead", 20)
        world.wait_remediation("Succeeded")
    finally:
        first.resume()

    assert first.wait(20) == 1  # ends by itself; Kubernetes starts it anew, as a standby
    world.wait_condition("Healthy", "True")
    assert len(world.evictions()) == 1
    assert len(world.remediations()) == 1


@pytest.mark.parametrize("moment", ["intent", "action"])
def test_a_leader_stopped_in_mid_action_does_not_act_after_its_successor(world: World, moment: str) -> None:
    """It goes on exactly where it stopped, with an intent of its own making, and may not carry it out."""
    scene = Scene(world, "Evict").set()
    with FaultProxy(world.plane) as proxy:
        first = world.operator(*LEASE, server=proxy.url, start=False)
        path = r"/kiroremediations\?" if moment == "intent" else r"/eviction\?"
        if moment == "intent":
            stop = proxy.after(lambda _: first.pause(), method="POST", path=path, count=1)
        else:
            stop = proxy.before(lambda _: first.pause(), forward=False, method="POST", path=path, count=1)
        first.start()
        world.wait_fault(stop)
        try:
            second = world.operator(*LEASE)
            until(lambda: leads(second), "the second to lead", 20)
            world.wait_remediation("Succeeded", timeout=60)
        finally:
            first.resume()
        assert first.wait(20) == 1
    scene.assert_done_once()
    assert len(world.remediations()) == 1
