"""What a person has to decide on waits, is done once when approved, and never otherwise."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pytest

from devcluster.wait import until
from tests.harness.approvers import Approver, now, wait_for_vouching
from tests.harness.scenes import Scene
from tests.harness.world import World

BUDGET = {"limit": 20, "window": "1h"}
MANUAL = [
    {"name": "Restart", "approval": "Manual", "budget": BUDGET},
    {"name": "Scale", "approval": "Manual", "budget": BUDGET},
]
AUTOMATIC = [{"name": "Restart", "approval": "Automatic", "budget": BUDGET}]
Object = dict[str, Any]


@pytest.fixture
def approver(world: World) -> Approver:
    wait_for_vouching(world.plane)
    return Approver(world.plane, world.namespace)


def decision(world: World) -> Object:
    """The first decision that the status shows; empty when there is none."""
    found: list[Object] = world.get("kirohealthchecks", "kiro")["status"].get("decisions", [])
    return found[0] if found else {}


def asked(world: World, *, other_than: str = "", reason: str = "ApprovalRequired") -> Object:
    """Wait until a plan waits for a person; returns what is asked."""

    def shown() -> Object | None:
        found = decision(world)
        digest = found.get("approval", {}).get("digest", other_than)
        return found if found.get("reason") == reason and digest != other_than else None

    try:
        found: Object = until(shown, f"a decision {reason}", 40)
    except Exception as error:
        raise AssertionError(f"{error}\nstatus: {world.describe()}\nlog: {world.log_tail()}") from error
    request: Object = found["approval"]
    return request


def note(world: World, words: str) -> None:
    """Wait until the decision says something."""
    try:
        until(lambda: words in decision(world).get("message", ""), f"the decision to say {words!r}", 40)
    except Exception as error:
        raise AssertionError(f"{error}\nstatus: {world.describe()}\nlog: {world.log_tail()}") from error


def look_again(world: World) -> None:
    """Have the operator look at everything once more, and wait until it has."""
    mark = uuid.uuid4().hex
    path = world.path("kirohealthchecks", "kiro")
    world.plane.rest.patch(path, {"metadata": {"annotations": {"kiro.dev/requestedAt": mark}}})
    until(
        lambda: world.get("kirohealthchecks", "kiro")["status"].get("lastHandledReconcileAt") == mark,
        "the operator to look again",
        30,
    )


@pytest.mark.parametrize("method", ["Evict", "RolloutRestart", "ScaleUp"])
def test_what_is_approved_is_done_once(world: World, approver: Approver, method: str) -> None:
    scene = Scene(world, method).set(actions=MANUAL)
    world.operator()
    request = asked(world)
    escalated = world.wait_condition("Escalated", "True", reason="ApprovalRequired")
    assert request["digest"] in escalated["message"]
    assert request["gates"] == [{"gate": "operator-approver", "state": "Waiting", "approval": ""}]
    workload = world.get("deployments", "kiro", api="/apis/apps/v1")["metadata"]
    assert request["target"] == {"kind": "Deployment", "name": "kiro", "uid": workload["uid"]}
    assert request["change"].startswith(f"{method} of Deployment kiro")
    look_again(world)
    scene.assert_undone()
    assert not world.remediations()

    # The command is taken from the status as it stands there.
    _, _, command = decision(world)["message"].partition("to approve: ")
    assert "created" in approver.run(command)

    scene.mend()
    (done,) = world.wait_remediation("Succeeded", timeout=60)
    (approval,) = world.items("kiroapprovals")
    assert approval["spec"]["decidedBy"] == approver.name
    assert done["spec"]["digest"] == request["digest"]
    assert done["spec"]["approvals"] == [
        {
            "gate": "operator-approver",
            "name": approval["metadata"]["name"],
            "uid": approval["metadata"]["uid"],
        }
    ]
    passed = {item["gate"]: item["message"] for item in done["spec"]["gates"]}
    assert f"by {approver.name} (KiroApproval {approval['metadata']['name']}): WHY" in passed["approval"]
    scene.assert_done_once()
    world.wait_condition("Healthy", "True")


def test_an_approval_is_for_one_action(world: World, approver: Approver) -> None:
    Scene(world, "Evict").set(actions=MANUAL)
    world.operator()
    first = asked(world)
    approver.decide(first)
    world.wait_remediation("Succeeded", timeout=60)
    world.wait_condition("Healthy", "True")

    world.break_pod()

    second = asked(world, other_than=first["digest"])
    # Nor does another one of the old plan.
    approver.decide(first)
    look_again(world)
    assert decision(world)["approval"]["digest"] == second["digest"]
    assert len(world.evictions()) == 1


def test_a_denial_is_final(world: World, approver: Approver) -> None:
    scene = Scene(world, "Evict").set(actions=MANUAL)
    operator = world.operator()
    request = asked(world)
    denied = approver.decide(request, "Deny", lasts=2)
    again = asked(world, reason="ApprovalDenied")
    assert again["digest"] == request["digest"]
    assert again["gates"][0] == {
        "gate": "operator-approver",
        "state": "Denied",
        "approval": denied["metadata"]["name"],
    }
    # Whoever denied it knows: nobody else is called.
    world.wait_condition("Escalated", "False")
    until(lambda: now() > expiry(denied), "the denial to be past its time", 10)

    approver.decide(request)
    look_again(world)
    assert operator.stop() == 0
    world.restart(operator)
    look_again(world)

    assert decision(world)["reason"] == "ApprovalDenied"
    assert decision(world)["approval"]["digest"] == request["digest"]
    scene.assert_undone()

    # Nor does the policy take it back: by asking elsewhere, or nobody.
    elsewhere = {"name": "executive", "actions": ["Restart"], "approvers": [{"kind": "User", "name": "e"}]}
    for change in ({"approvalGates": [elsewhere]}, {"actions": AUTOMATIC, "approvalGates": []}):
        world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": change})
        look_again(world)
        assert decision(world)["reason"] == "ApprovalDenied"
        assert decision(world)["approval"]["digest"] == request["digest"]

    # Nor does another process, which knows from the status alone since when the target has been in need.
    assert operator.stop() == 0
    world.restart(operator)
    look_again(world)
    assert decision(world)["reason"] == "ApprovalDenied"
    scene.assert_undone()
    assert not world.remediations()


def test_a_plan_that_changed_needs_an_approval_of_its_own(world: World, approver: Approver) -> None:
    scene = Scene(world, "ScaleUp").set(actions=MANUAL)
    world.operator()
    old = asked(world)
    scale(world, 5)
    new = asked(world, other_than=old["digest"])
    assert (old["change"], new["change"]) == (
        "ScaleUp of Deployment kiro: from 4 to 5 replicas",
        "ScaleUp of Deployment kiro: from 5 to 6 replicas",
    )

    approver.decide(old)
    look_again(world)
    assert not world.remediations()
    approver.decide(new)

    until(lambda: scene.replicas() == 6, "the sixth replica", 40)
    (made,) = world.remediations()
    assert made["spec"]["digest"] == new["digest"]


def test_a_new_object_of_the_same_name_is_another_target(world: World, approver: Approver) -> None:
    scene = Scene(world, "Evict").set(actions=MANUAL)
    world.operator()
    old = asked(world)
    world.plane.kubectl("delete", "deployment/kiro", "-n", world.namespace, "--cascade=foreground")
    world.deployment()
    world.break_pod()
    new = asked(world, other_than=old["digest"])
    assert old["target"]["uid"] != new["target"]["uid"]

    approver.decide(old)
    approver.decide(new | {"target": old["target"]})

    note(world, "names another target")
    assert not world.remediations()
    assert scene.actions() == []


def test_an_expired_approval_never_fires(world: World, approver: Approver) -> None:
    scene = Scene(world, "Evict").set(actions=MANUAL, pauseRequests=["INC-7"])
    world.operator()
    given = approver.decide(asked(world), lasts=3)
    asked(world, reason="Paused")
    until(lambda: now() > expiry(given), "the approval to expire", 10)

    policy = world.path("kirosafetypolicies", "policy")
    world.plane.rest.patch(policy, {"spec": {"pauseRequests": []}})

    note(world, f"KiroApproval {given['metadata']['name']} expired at {given['spec']['expiresAt']}")
    scene.assert_undone()
    assert not world.remediations()


def test_what_expired_while_nobody_looked_never_fires(world: World, approver: Approver) -> None:
    scene = Scene(world, "Evict").set(actions=MANUAL)
    operator = world.operator()
    request = asked(world)
    assert operator.stop() == 0
    given = approver.decide(request, lasts=2)
    until(lambda: now() > expiry(given), "the approval to expire", 10)

    world.restart(operator)

    note(world, f"KiroApproval {given['metadata']['name']} expired")
    assert decision(world)["approval"]["digest"] == request["digest"]
    scene.assert_undone()
    assert not world.remediations()


def test_what_is_approved_while_nobody_looks_is_done_afterwards(world: World, approver: Approver) -> None:
    """The plan is the same after a restart: who decided on it has not decided for nothing."""
    scene = Scene(world, "Evict").set(actions=MANUAL)
    operator = world.operator()
    request = asked(world)
    operator.kill()
    approver.decide(request)

    world.restart(operator)

    (done,) = world.wait_remediation("Succeeded", timeout=60)
    assert done["spec"]["digest"] == request["digest"]
    scene.assert_done_once()


def test_it_takes_the_gate_that_the_policy_names(world: World, approver: Approver) -> None:
    lead = Approver(world.plane, world.namespace, "technical-lead", name="lena@example.com")
    gates = [
        {
            "name": "technical-lead",
            "actions": ["Restart"],
            "approvers": [{"kind": "User", "name": lead.name}],
        }
    ]
    scene = Scene(world, "Evict").set(actions=MANUAL, approvalGates=gates)
    world.operator()
    request = asked(world)
    assert [item["gate"] for item in request["gates"]] == ["technical-lead"]
    approver.decide(request, gate="operator-approver")
    look_again(world)
    scene.assert_undone()
    assert decision(world)["reason"] == "ApprovalRequired"

    lead.decide(request)

    world.wait_remediation("Succeeded", timeout=60)
    scene.assert_done_once()


def test_while_it_waits_nothing_is_written(world: World, approver: Approver) -> None:
    Scene(world, "Evict").set(actions=MANUAL)
    world.operator()
    request = asked(world)
    world.wait_condition("Escalated", "True")
    look_again(world)
    before = len(world.written())
    for _ in range(3):
        look_again(world)
    # Each look that was asked for is confirmed, and that is all.
    assert len(world.written()) - before == 3
    assert decision(world)["approval"] == request
    assert approver.name not in str(decision(world))


def scale(world: World, replicas: int) -> None:
    path = world.path("deployments", "kiro/scale", api="/apis/apps/v1")
    world.plane.rest.patch(path, {"spec": {"replicas": replicas}})


def expiry(approval: Object) -> datetime:
    return datetime.fromisoformat(approval["spec"]["expiresAt"])
