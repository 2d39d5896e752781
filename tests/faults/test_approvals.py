"""The operator dies with an approved action half done: what has expired since is not done any more."""

from __future__ import annotations

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.apiserver.test_approvals import MANUAL, asked, expiry
from tests.faults.test_crash import CREATES
from tests.harness.approvers import Approver, now, wait_for_vouching
from tests.harness.scenes import Scene
from tests.harness.world import STEADY, World


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
