"""The operator dies with an approved action half done: what has expired since is not done any more."""

from __future__ import annotations

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.apiserver.test_approvals import AUTOMATIC, MANUAL, asked, expiry, look_again
from tests.faults.test_crash import CREATES
from tests.faults.test_withdrawn import slowly
from tests.harness.approvers import Approver, now, wait_for_vouching
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, World


def test_a_denial_that_comes_while_the_record_is_made_stops_the_action(
    world: World, proxy: FaultProxy
) -> None:
    wait_for_vouching(world.plane)
    approver = Approver(world.plane, world.namespace)
    scene = Scene(world, "Evict").set(actions=MANUAL)
    world.operator(*STEADY, server=proxy.url)
    request = asked(world)

    # So slow a request that the watch has told of it first.
    fault = proxy.before(
        slowly(lambda: approver.decide(request, "Deny")), method="POST", path=CREATES, count=1
    )
    approver.decide(request)
    world.wait_fault(fault)

    (denied,) = world.wait_remediation("Denied", timeout=60)
    assert denied["status"]["reason"] == "ApprovalDenied"
    assert f"by {approver.name}" in denied["status"]["message"]
    assert "actedAt" not in denied["status"]
    scene.assert_undone()


def test_what_was_reserved_is_not_done_once_its_approval_has_expired(world: World, proxy: FaultProxy) -> None:
    wait_for_vouching(world.plane)
    approver = Approver(world.plane, world.namespace)
    scene = Scene(world, "RolloutRestart").set(actions=MANUAL)
    operator = world.operator(*STEADY, server=proxy.url, start=False)

    def kill(_: Request) -> None:
        operator.kill()

    fault = proxy.after(kill, forward=False, method="POST", path=CREATES, count=1)
    operator.start()
    given = approver.decide(asked(world), lasts=5)
    world.wait_fault(fault)
    operator.wait()
    proxy.lift()
    (begun,) = world.remediations()
    assert [item["name"] for item in begun["spec"]["approvals"]] == [given["metadata"]["name"]]
    until(lambda: now() > expiry(given), "the approval to expire", 15)

    world.restart(operator)

    (denied,) = world.wait_remediation("Denied", timeout=60)
    assert denied["status"]["reason"] == "ApprovalRequired"
    assert "expired at" in denied["status"]["message"]
    scene.assert_undone()
    # And what comes next is to be decided on anew.
    assert asked(world)["digest"] != begun["spec"]["digest"]


def test_a_denial_that_a_silent_watch_does_not_tell_of_is_final(world: World, proxy: FaultProxy) -> None:
    wait_for_vouching(world.plane)
    approver = Approver(world.plane, world.namespace)
    scene = Scene(world, "RolloutRestart").set(actions=MANUAL, pauseRequests=["INC-7"])
    world.operator(*STEADY, server=proxy.url)
    request = asked(world)
    approver.decide(request)
    asked(world, reason="Paused")
    proxy.half_open(path=r"/kiroapprovals\?.*watch=")
    approver.decide(request, "Deny")

    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"pauseRequests": []}})

    (denied,) = world.wait_remediation("Denied", timeout=60)
    assert denied["status"]["reason"] == "ApprovalDenied"
    scene.assert_undone()


def test_a_denial_that_cannot_be_listed_stops_what_nobody_is_asked_about_any_more(
    world: World, proxy: FaultProxy
) -> None:
    wait_for_vouching(world.plane)
    approver = Approver(world.plane, world.namespace)
    scene = Scene(world, "Evict").set(actions=MANUAL)
    operator = world.operator(*STEADY, server=proxy.url)
    request = asked(world)
    assert operator.stop() == 0
    approver.decide(request, "Deny")
    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"actions": AUTOMATIC}})
    fault = proxy.answer(500, path=r"/kiroapprovals\?")

    # The second process has to know from the first one that somebody was asked.
    for _ in range(2):
        world.restart(operator)
        look_again(world)
        assert asked(world, reason="EvidenceMissing")["digest"] == request["digest"]
        assert operator.stop() == 0
    fault.lift()
    world.restart(operator)

    assert asked(world, reason="ApprovalDenied")["digest"] == request["digest"]
    scene.assert_undone()
    assert not world.remediations()
