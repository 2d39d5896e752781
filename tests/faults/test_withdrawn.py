"""Who asked, or who allowed, goes away or thinks again: the operator fails closed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from devcluster import faults
from devcluster.proxy import FaultProxy
from devcluster.wait import until
from tests.faults.test_crash import is_write
from tests.harness.scenes import CHECKS, LADDER, METHODS, SEEN, Scene
from tests.harness.world import STEADY, World, enforce

SLOW_SECONDS = 1.5
"""How long a request takes in which the watch of policies overtakes it."""
CREATES = r"/kiroremediations\?"
RESERVATION = r"/kirosafetypolicies/policy/status"


def slowly(change: Callable[[], object]) -> Callable[[object], None]:
    """Before a request goes on: a change, of which all watches have told when it does."""

    def hook(_: object) -> None:
        change()
        time.sleep(SLOW_SECONDS)

    return hook


def remove(world: World) -> None:
    world.plane.rest.delete(world.path("kirosafetypolicies", "policy"))


def only_observe(world: World) -> None:
    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"mode": "Observe"}})


def spoil(world: World) -> None:
    """A time zone that looks like one and is none: the schema cannot tell."""
    window = {"name": "w", "schedule": "0 22 * * 5", "duration": "1h", "timeZone": "Mars/Phobos"}
    change = {"spec": {"forbiddenWindows": [window]}}
    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), change)


def pause(world: World) -> None:
    change = {"spec": {"pauseRequests": ["maintenance"]}}
    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), change)


WITHDRAWALS: dict[str, tuple[Callable[[World], None], str]] = {
    "deleted": (remove, "NoPolicy"),
    "mode Observe": (only_observe, "ModeObserve"),
    "unusable": (spoil, "PolicyUnusable"),
    "paused": (pause, "Paused"),
}


def patient(scene: Scene) -> None:
    """Replace the KiroHealthCheck's ladder by one that leaves an action in Verifying for long."""
    ladder = [{"action": LADDER[scene.method], "timeout": "10m"}] * 2
    change = {"spec": {"remediation": {"stabilization": "5m", "ladder": ladder}, "checks": CHECKS}}
    scene.world.plane.rest.patch(scene.world.path("kirohealthchecks", "kiro"), change)


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_policy_withdrawn_while_the_record_is_made_stops_the_action(
    world: World, proxy: FaultProxy, how: str
) -> None:
    withdraw, _ = WITHDRAWALS[how]
    scene = Scene(world, "Evict").set()

    # So slow a request that the watch has told of it first: the reservation is made under the new policy.
    fault = proxy.before(slowly(lambda: withdraw(world)), method="POST", path=CREATES, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault)

    denied = world.wait_remediation("Denied", timeout=60)
    assert "actedAt" not in denied[0]["status"]
    scene.assert_undone()


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_policy_withdrawn_between_decision_and_action_stops_the_action(
    world: World, proxy: FaultProxy, how: str
) -> None:
    withdraw, reason = WITHDRAWALS[how]
    scene = Scene(world, "Evict").set()
    # The reservation is the last word of the policy: it is withdrawn as that is on its way.
    fault = proxy.before(
        lambda _: withdraw(world), method="PATCH", path=RESERVATION, count=1,
        when=lambda seen: bool(seen.json["status"].get("reservations")),
    )  # fmt: skip
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault)

    world.wait_condition("RemediationAllowed", "False", reason=reason)
    denied = world.wait_remediation("Denied", timeout=60)
    assert len(world.remediations()) == 1
    assert "actedAt" not in denied[0]["status"]
    scene.assert_undone()


@pytest.mark.parametrize(
    ("method", "sent"), [("Evict", r"/eviction\?"), ("RolloutRestart", r"/deployments/kiro\?")]
)
def test_what_somebody_protects_as_the_action_is_on_its_way_is_left_alone(
    world: World, proxy: FaultProxy, method: str, sent: str
) -> None:
    scene = Scene(world, method).set()
    mark = {"metadata": {"annotations": {"kiro.dev/protected": "true"}}}

    def protect(_: object) -> None:
        if method == "RolloutRestart":
            world.plane.rest.patch(world.path("deployments", "kiro", api="/apis/apps/v1"), mark)
            return
        for pod in world.pods():
            world.plane.rest.patch(world.path("pods", pod["metadata"]["name"], api="/api/v1"), mark)

    fault = proxy.before(protect, method="POST" if method == "Evict" else "PATCH", path=sent, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault)

    (left,) = world.wait_remediation("Expired", timeout=60)
    assert left["status"]["reason"] == "Protected"
    world.wait_condition("RemediationAllowed", "False", reason="Protected")
    scene.assert_undone()


def pods_of(world: World, count: int) -> list[tuple[str, str]]:
    return [(world.namespace, pod["metadata"]["name"]) for pod in world.pods()[:count]]


def restarts(world: World) -> list[int]:
    return [int(pod["status"]["containerStatuses"][0]["restartCount"]) for pod in world.pods()]


@pytest.mark.parametrize("method", METHODS)
def test_what_heals_by_itself_as_the_action_is_on_its_way_is_left_alone(
    world: World, proxy: FaultProxy, method: str
) -> None:
    scene = Scene(world, method).set()
    broken = pods_of(world, 3 if method == "RolloutRestart" else 1)
    # No loop, which goes on after a pod was Ready for a moment: some have restarted once, and are not Ready.
    faults.inject_many(world.plane, broken, "not-ready")

    def heal() -> None:
        faults.clear_many(world.plane, broken)
        world.all_ready("kiro", 4)

    fault = proxy.before(slowly(heal), path=SEEN, when=is_write, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault, timeout=60)

    (left,) = world.wait_remediation("Expired", timeout=60)
    assert (left["spec"]["method"], left["status"]["reason"]) == (method, "Healed")
    assert "actedAt" not in left["status"]
    world.wait_condition("Healthy", "True")
    assert len(world.remediations()) == 1
    scene.assert_undone()


def test_what_a_check_finds_where_all_was_ready_is_still_done_when_the_fence_is_lost(
    world: World, proxy: FaultProxy
) -> None:
    """That it is all there says nothing: so it was when that was decided."""
    scene = Scene(world, "RolloutRestart")
    world.deployment()
    looping = pods_of(world, 3)
    faults.inject_many(world.plane, looping, "crash-loop", restart_every="1s")
    until(lambda: sum(count >= 2 for count in restarts(world)) == 3, "pods that crash in a row", 60)
    faults.clear_many(world.plane, looping)
    world.all_ready("kiro", 4)
    world.policy(**enforce())
    scene.watch()
    mark = {"metadata": {"labels": {"seen": "by-somebody"}}}
    fault = proxy.before(
        lambda _: world.plane.rest.patch(world.path("deployments", "kiro", api="/apis/apps/v1"), mark),
        path=SEEN, when=is_write, count=1,
    )  # fmt: skip
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault, timeout=60)

    world.wait_remediation("Succeeded", timeout=60)
    assert len(world.remediations()) == 1
    scene.assert_done_once()


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_policy_withdrawn_while_a_successor_looks_stops_the_action(
    world: World, proxy: FaultProxy, how: str
) -> None:
    """What a dead leader left half done is carried out under what the policies say by then."""
    withdraw, reason = WITHDRAWALS[how]
    scene = Scene(world, "Evict").set()
    operator = world.operator(*STEADY, server=proxy.url, start=False)

    def kill(_: object) -> None:
        operator.kill()

    left = proxy.after(kill, forward=False, method="POST", path=CREATES, count=1)
    operator.start()
    world.wait_fault(left)
    operator.wait()

    looks = proxy.before(slowly(lambda: withdraw(world)), method="GET", path=r"/pods/[^/?]+$", count=1)
    world.restart(operator)
    world.wait_fault(looks)

    denied = world.wait_remediation("Denied", timeout=60)
    assert denied[0]["status"]["reason"] == reason
    assert "actedAt" not in denied[0]["status"]
    scene.assert_undone()


def add_a_pause(world: World) -> None:
    """Nothing is reserved there that could be missed: the policies that were known have not changed."""
    world.policy("second", **enforce(pauseRequests=["maintenance"]))


def suspend(world: World) -> None:
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), {"spec": {"suspend": True}})


UNHEARD = [("kirosafetypolicies", add_a_pause), ("kirohealthchecks", suspend)]


@pytest.mark.parametrize(("plural", "stop"), UNHEARD)
def test_what_a_silent_watch_does_not_tell_of_stops_the_action(
    world: World, proxy: FaultProxy, plural: str, stop: Callable[[World], None]
) -> None:
    world.deployment()
    world.policy(**enforce())
    scene = Scene(world, "Evict")
    scene.watch()
    world.operator(*STEADY, server=proxy.url)
    world.wait_condition("Healthy", "True")
    proxy.half_open(path=rf"/{plural}\?.*watch=")
    stop(world)

    world.break_pod()

    denied = world.wait_remediation("Denied", timeout=60)
    assert denied[0]["status"]["reason"] == "Withdrawn"
    assert "actedAt" not in denied[0]["status"]
    scene.assert_undone()


@pytest.mark.parametrize(("plural", "stop"), UNHEARD)
def test_what_no_watch_tells_of_stops_an_action_before_it_is_sent_again(
    world: World, proxy: FaultProxy, plural: str, stop: Callable[[World], None]
) -> None:
    scene = Scene(world, "RolloutRestart").set()
    touch = {"metadata": {"labels": {"touched": "by-somebody"}}}

    def touch_and_stop(_: object) -> None:
        # The fence is lost to a change that does not matter, so that it would be sent again; no watch tells
        # of who stops it.
        proxy.half_open(path=rf"/{plural}\?.*watch=")
        stop(world)
        world.plane.rest.patch(world.path("deployments", "kiro", api="/apis/apps/v1"), touch)

    fault = proxy.before(touch_and_stop, method="PATCH", path=r"/deployments/kiro\?", count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault)

    (left,) = world.wait_remediation("Denied", timeout=60)
    assert left["status"]["reason"] == "Withdrawn"
    scene.assert_undone()


def test_nothing_is_done_to_what_healed_while_another_action_was_looked_after(
    world: World, proxy: FaultProxy
) -> None:
    world.deployment("other")
    Scene(world, "Evict").set()
    ladder = [{"action": "Restart", "timeout": "60s"}]
    longer = {"spec": {"remediation": {"stabilization": "6s", "ladder": ladder}}}
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), longer)
    world.operator(*STEADY, server=proxy.url)
    until(
        lambda: world.remediations() and world.remediations()[0]["status"].get("healthySince"), "health", 60
    )
    pause(world)
    broken = world.break_pod(name="other")["metadata"]["name"]
    world.wait_condition("RemediationAllowed", "False", reason="Paused")

    def heal() -> None:
        faults.clear(world.plane, world.namespace, broken)
        world.all_ready("other", 4)
        world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"pauseRequests": []}})

    # This write is waited for. The verdict on the other one is from before it, and may be acted on after it.
    written = proxy.before(
        slowly(heal), method="PATCH", path=r"/kiroremediations/.*/status", count=1,
        when=lambda seen: seen.json["status"].get("state") == "Succeeded",
    )  # fmt: skip
    world.wait_fault(written)

    world.wait_condition("Healthy", "True")
    world.wait_condition("RemediationAllowed", "True")
    assert len(world.evictions()) == 1
    assert len(world.remediations()) == 1


@pytest.mark.parametrize("how", WITHDRAWALS)
def test_a_policy_withdrawn_after_the_action_allows_no_other(world: World, how: str) -> None:
    withdraw, reason = WITHDRAWALS[how]
    scene = Scene(world, "Evict").set()
    world.operator(*STEADY)
    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")

    withdraw(world)
    world.wait_condition("RemediationAllowed", "False", reason=reason)
    world.break_pod()

    world.wait_condition("Healthy", "False")
    assert len(world.remediations()) == 1
    scene.assert_done_once()


def test_what_is_deleted_and_kept_by_a_finalizer_allows_nothing(world: World) -> None:
    world.deployment()
    world.policy(**enforce())
    scene = Scene(world, "Evict")
    scene.watch()
    world.operator(*STEADY)
    world.wait_condition("RemediationAllowed", "True")
    path = world.path("kirosafetypolicies", "policy")
    world.plane.rest.patch(path, {"metadata": {"finalizers": ["example.com/kept"]}})
    world.plane.rest.delete(path)
    world.wait_condition("RemediationAllowed", "False", reason="PolicyUnusable")

    world.break_pod()

    world.wait_condition("Healthy", "False")
    assert not world.remediations()
    scene.assert_undone()
    world.plane.rest.patch(path, {"metadata": {"finalizers": []}})
    world.wait_condition("RemediationAllowed", "False", reason="NoPolicy")


def ends_mid_remediation(world: World, method: str, end: Callable[[World], None], reason: str) -> Scene:
    """Nobody follows an action any more that is being verified: it ends, and was an action all the same."""
    scene = Scene(world, method).set()
    patient(scene)
    world.operator(*STEADY)
    world.wait_remediation("Verifying")

    end(world)

    ended = until(lambda: expired(world), "the end of the action", 30)
    assert ended["status"]["reason"] == reason
    assert ended["status"]["actedAt"]
    assert len(world.remediations()) == 1
    scene.assert_done_once()
    # The budget keeps it.
    assert world.get("kirosafetypolicies", "policy")["status"]["used"] == "1/20"
    return scene


def remove_the_health_check(world: World) -> None:
    world.plane.rest.delete(world.path("kirohealthchecks", "kiro"))


@pytest.mark.parametrize("method", METHODS)
def test_a_health_check_deleted_mid_remediation_ends_it(world: World, method: str) -> None:
    ends_mid_remediation(world, method, remove_the_health_check, "HealthCheckDeleted")


@pytest.mark.parametrize("method", METHODS)
def test_a_health_check_suspended_mid_remediation_ends_it(world: World, method: str) -> None:
    scene = ends_mid_remediation(world, method, suspend, "Suspended")
    # Its status says so as well, and the target is free for whoever else looks after it.
    until(lambda: [item["state"] for item in summaries(world)] == ["Expired"], "the summary", 30)
    if method != "ScaleUp":
        world.all_ready("kiro", 4)
        world.break_pod()
    ladder = [{"action": LADDER[method], "timeout": "60s"}] * 2
    scene.watch(name="second", remediation={"stabilization": "1s", "ladder": ladder})
    until(lambda: len(world.remediations()) == 2, "an action that another KiroHealthCheck asks for", 60)


def summaries(world: World) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.get("kirohealthchecks", "kiro")["status"].get("remediations", [])
    return found


def test_what_was_left_half_done_ends_when_its_health_check_is_suspended_meanwhile(
    world: World, proxy: FaultProxy
) -> None:
    """It may have been done, which nobody finds out: it counts as done, and blocks nothing."""
    scene = Scene(world, "Evict").set()
    operator = world.operator(*STEADY, server=proxy.url, start=False)
    killed = proxy.after(lambda _: operator.kill(), forward=False, path=SEEN, when=is_write, count=1)
    operator.start()
    world.wait_fault(killed)
    operator.wait()
    proxy.lift()
    suspend(world)

    world.restart(operator)

    ended = until(lambda: expired(world), "the end of the action", 30)
    assert ended["status"]["reason"] == "Suspended"
    assert ended["status"]["actedAt"]
    scene.assert_done_once()


def test_a_record_written_as_its_health_check_goes_is_ended_all_the_same(
    world: World, proxy: FaultProxy
) -> None:
    scene = Scene(world, "Evict").set()
    patient(scene)
    world.operator(*STEADY, server=proxy.url)
    [item] = world.wait_remediation("Verifying")
    note = {"metadata": {"annotations": {"note": "its version is another one now"}}}
    path = world.path("kiroremediations", item["metadata"]["name"])
    fault = proxy.before(
        lambda _: world.plane.rest.patch(path, note),
        method="PATCH", path=r"/kiroremediations/.*/status", count=1,
        when=lambda seen: seen.json["status"].get("state") == "Expired",
    )  # fmt: skip

    world.plane.rest.delete(world.path("kirohealthchecks", "kiro"))

    world.wait_fault(fault)
    ended = until(lambda: expired(world), "the end of the action", 30)
    assert ended["status"]["reason"] == "HealthCheckDeleted"


def test_a_health_check_deleted_while_the_operator_is_down_ends_its_actions(world: World) -> None:
    scene = Scene(world, "RolloutRestart").set()
    patient(scene)
    operator = world.operator(*STEADY)
    world.wait_remediation("Verifying")
    operator.kill()
    world.plane.rest.delete(world.path("kirohealthchecks", "kiro"))

    world.restart(operator)

    ended = until(lambda: expired(world), "the end of the action", 30)
    assert ended["status"]["reason"] == "HealthCheckDeleted"
    scene.assert_done_once()


def test_a_policy_deleted_and_made_anew_gives_no_budget_back(world: World) -> None:
    scene = Scene(world, "Evict").set(budget={"limit": 1, "window": "1h"})
    world.operator(*STEADY)
    done = world.wait_remediation("Succeeded")[0]["metadata"]["name"]
    world.wait_condition("Healthy", "True")

    remove(world)
    world.wait_condition("RemediationAllowed", "False", reason="NoPolicy")
    world.policy(**enforce(budget={"limit": 1, "window": "1h"}))

    until(lambda: world.get("kirosafetypolicies", "policy")["status"].get("used") == "1/1", "the budget", 20)
    reserved = world.get("kirosafetypolicies", "policy")["status"]["reservations"]
    assert [item["remediation"] for item in reserved] == [done]
    world.break_pod()
    world.wait_condition("RemediationAllowed", "False", reason="BudgetExhausted")
    scene.assert_done_once()


def expired(world: World) -> dict[str, Any] | None:
    found = [item for item in world.remediations() if item["status"].get("state") == "Expired"]
    return found[0] if found else None
