"""Where nobody vouches for who decided, on a control plane of its own: no approval counts, then or later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import devcluster
from devcluster import ControlPlane
from devcluster.errors import KubectlFailed
from devcluster.wait import until
from kiro_operator.core.admission import NAME, PATH
from tests.apiserver.test_approvals import AUTOMATIC, MANUAL, Object, asked, decision, look_again, note
from tests.deploy.rendered import ROOT
from tests.harness.approvers import Approver, now, wait_for_vouching
from tests.harness.scenes import Scene
from tests.harness.world import World

pytestmark = pytest.mark.apiserver


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    made = devcluster.boot(tmp_path / "plane", name="unprotected", nodes=1, metrics_server=False)
    yield made
    made.stop()


def test_an_approval_that_anybody_could_have_forged_never_counts(plane: ControlPlane, tmp_path: Path) -> None:
    plane.apply(ROOT / "crds")
    plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
    plane.kubectl("create", "namespace", "kiro")
    world = World(plane, "kiro", tmp_path)
    scene = Scene(world, "Evict").set(actions=MANUAL)
    world.operator()
    try:
        _nothing_counts(world, scene)
        plane.apply(ROOT / PATH)
        _what_was_forged_before_does_not_count_now(world, scene)
        _what_is_vouched_for_does(world, scene)
        _what_is_forged_before_the_next_look_does_not(world, scene)
        _a_denial_counts_all_the_same(world, scene)
    finally:
        world.close()


def _nothing_counts(world: World, scene: Scene) -> None:
    request = asked(world, reason="ApprovalUnprotected")
    assert f"apply {PATH}" in decision(world)["message"]
    forge(world, request)
    look_again(world)
    assert decision(world)["reason"] == "ApprovalUnprotected"
    scene.assert_undone()


def forge(world: World, request: Object, name: str = "forged", decision: str = "Approve") -> None:
    """Without the policy whoever may create decides in anybody's name."""
    forged = {
        "apiVersion": "kiro.dev/v1alpha1",
        "kind": "KiroApproval",
        "metadata": {"name": name},
        "spec": {
            "gate": "operator-approver",
            "decision": decision,
            "decidedBy": "the.boss@example.com",
            "reason": "trust me",
            "plan": {"digest": request["digest"], "target": request["target"]},
            "expiresAt": (now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
    }
    world.plane.kubectl("create", "-n", world.namespace, "-f", "-", input=json.dumps(forged))


def _what_was_forged_before_does_not_count_now(world: World, scene: Scene) -> None:
    note(world, "waits at gate operator-approver for a KiroApproval")
    wait_for_vouching(world.plane)
    look_again(world)
    assert decision(world)["reason"] == "ApprovalRequired"
    scene.assert_undone()


def _what_is_vouched_for_does(world: World, scene: Scene) -> None:
    approver = Approver(world.plane, world.namespace)
    approver.decide(asked(world))
    (done,) = until(
        lambda: [item for item in world.remediations() if item["status"]["state"] == "Succeeded"],
        "the action",
        60,
    )
    assert [item["name"] for item in done["spec"]["approvals"]] != ["forged"]
    scene.assert_done_once()


def _what_is_forged_before_the_next_look_does_not(world: World, scene: Scene) -> None:
    """By the last look, which may be a minute ago, somebody vouches for everybody."""
    used = {item["metadata"]["name"] for item in world.remediations()}
    world.break_pod()
    request = asked(world)
    world.plane.kubectl("delete", "validatingadmissionpolicybinding", NAME)

    until(lambda: _forged(world, request), "the API server to check nothing any more", 30)

    denied = until(
        lambda: [item for item in world.remediations() if item["metadata"]["name"] not in used],
        "a record",
        30,
    )
    world.wait_remediation("Denied")
    assert denied[0]["spec"]["approvals"][0]["name"] == "quickly"
    asked(world, reason="ApprovalUnprotected")
    scene.assert_done_once()


def _a_denial_counts_all_the_same(world: World, scene: Scene) -> None:
    """Also when the policy asks nobody any more."""
    forge(world, asked(world, reason="ApprovalUnprotected"), "denied", "Deny")
    asked(world, reason="ApprovalDenied")
    policy = world.path("kirosafetypolicies", "policy")
    world.plane.rest.patch(policy, {"spec": {"actions": AUTOMATIC}})
    look_again(world)
    assert decision(world)["reason"] == "ApprovalDenied"
    scene.assert_done_once()


def _forged(world: World, request: Object) -> bool:
    try:
        forge(world, request, "quickly")
    except KubectlFailed:
        return False
    return True
