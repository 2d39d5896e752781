"""The operator dies while it proposes, or with an approved proposal half done."""

from __future__ import annotations

import pytest

from devcluster import faults
from devcluster.proxy import FaultProxy
from devcluster.wait import until
from kiro_operator.core.checks import registry
from tests.apiserver.test_approvals import look_again
from tests.apiserver.test_proposals import OPTIMIZING, RIGHT_SIZE, logged, optimizer, waiting
from tests.faults.test_crash import CREATES, is_write
from tests.harness.approvers import Approver, wait_for_vouching
from tests.harness.forked import ForkedOperator
from tests.harness.world import STEADY, Object, World, enforce

CHECK = "autoscaling-configuration"
SCALERS = "/apis/autoscaling/v2"
SEEN = r"/horizontalpodautoscalers/kiro\?"


def begin(world: World) -> None:
    """An autoscaler that can never scale, which is seen without any metrics."""
    world.deployment(replicas=2)
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "kiro"}
    world.plane.rest.post(
        world.path("horizontalpodautoscalers", api=SCALERS),
        {
            "metadata": {"name": "kiro"},
            "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 2},
        },
    )
    # Until there are metrics, that is what is wrong with it.
    until(lambda: scales(world), "the autoscaler to have metrics", 90)
    world.policy(**enforce(actions=[RIGHT_SIZE | {"name": "ChangeAutoscaling"}]))
    world.health_check(
        safetyPolicyRef={"name": "policy"},
        checks=[{"id": name, "enabled": False} for name in registry() if name != CHECK],
        remediation={"stabilization": "1s"},
    )


def scales(world: World) -> bool:
    status = world.get("horizontalpodautoscalers", "kiro", api=SCALERS).get("status", {})
    found = {item["type"]: item["status"] for item in status.get("conditions") or ()}
    return found.get("ScalingActive") == "True"


def written(world: World) -> list[tuple[str, int]]:
    """What the operators did to the autoscaler."""
    events = [
        event for event in world.written() if event["objectRef"]["resource"] == "horizontalpodautoscalers"
    ]
    return [(event["verb"], event["responseStatus"]["code"]) for event in events]


def most(world: World) -> int:
    return int(world.get("horizontalpodautoscalers", "kiro", api=SCALERS)["spec"]["maxReplicas"])


def killed(
    world: World, proxy: FaultProxy, approver: Approver, moment: str, path: str
) -> tuple[ForkedOperator, Object]:
    """Have a proposal approved, and the operator die at the write to that path; its record as it is then."""
    operator = world.operator(*STEADY, server=proxy.url, start=False)
    at = proxy.before if moment == "before the action" else proxy.after
    fault = at(lambda _: operator.kill(), forward=False, path=path, when=is_write, count=1)
    operator.start()
    approver.decide(waiting(world))
    world.wait_fault(fault)
    operator.wait()
    proxy.lift()
    [begun] = world.remediations()
    assert begun["status"]["state"] == "Acting"
    return operator, begun


@pytest.mark.parametrize("moment", ["before the action", "after the action"])
def test_what_was_approved_is_done_once(world: World, proxy: FaultProxy, moment: str) -> None:
    wait_for_vouching(world.plane)
    approver = Approver(world.plane, world.namespace)
    begin(world)
    operator, begun = killed(world, proxy, approver, moment, SEEN)
    assert most(world) == (2 if moment == "before the action" else 3)

    world.restart(operator)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert done["metadata"]["uid"] == begun["metadata"]["uid"]
    assert most(world) == 3
    assert written(world) == [("patch", 200)]


def test_what_was_about_to_be_proposed_is_proposed_once(world: World, proxy: FaultProxy) -> None:
    begin(world)
    operator = world.operator(*STEADY, server=proxy.url, start=False)
    fault = proxy.after(lambda _: operator.kill(), forward=False, method="POST", path=CREATES, count=1)
    operator.start()
    world.wait_fault(fault)
    operator.wait()
    proxy.lift()
    [begun] = world.remediations()
    assert begun["status"]["state"] == "Reserved"

    world.restart(operator)

    [made] = world.wait_remediation("Proposed", timeout=60)
    assert made["metadata"]["uid"] == begun["metadata"]["uid"]
    assert waiting(world)["digest"] == begun["spec"]["digest"]
    assert len(world.remediations()) == 1
    assert written(world) == []


def test_what_could_not_be_put_on_record_is_tried_again_without_a_reason(
    world: World, proxy: FaultProxy
) -> None:
    begin(world)
    # Nothing changes, and the check looks again in five minutes.
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), {"spec": {"interval": "5m"}})
    fault = proxy.answer(503, method="POST", path=CREATES, count=2)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault)

    world.wait_remediation("Proposed", timeout=30)
    assert len(world.remediations()) == 1


def test_what_waits_outlives_the_process_that_proposed_it(world: World) -> None:
    """Also where the next one has to sample first what it was made against."""
    faults.append_log(optimizer(world, "missed-opportunities"), [logged("opportunity", 1, 9)])
    operator = world.operator()
    asked = waiting(world)
    [made] = world.wait_remediation("Proposed")
    operator.kill()
    operator.wait()

    world.restart(operator)

    look_again(world)
    [still] = world.remediations()
    assert (still["metadata"]["uid"], still["status"]) == (made["metadata"]["uid"], made["status"])
    assert waiting(world) == asked


@pytest.mark.parametrize(
    ("moment", "seen", "outcome"),
    [
        ("before the action", True, "Succeeded InForce"),
        ("after the action", True, "Succeeded InForce"),
        # What stands there cannot be sampled: no sign that nothing is to be done, and no leave to do it.
        ("before the action", False, "Denied EvidenceMissing"),
    ],
)
def test_a_step_that_was_approved_is_taken_once(
    world: World,
    proxy: FaultProxy,
    moment: str,
    seen: bool,  # noqa: FBT001
    outcome: str,
) -> None:
    wait_for_vouching(world.plane)
    approver = Approver(world.plane, world.namespace)
    faults.append_log(optimizer(world, "missed-opportunities"), [logged("opportunity", 1, 9)])
    config = r"/configmaps/kiro-optimization"
    operator, begun = killed(world, proxy, approver, moment, config)
    if not seen:
        proxy.answer(503, path=config, method="GET")

    world.restart(operator)

    state, reason = outcome.split()
    [done] = world.wait_remediation(state, timeout=60)
    assert (done["metadata"]["uid"], done["status"]["reason"]) == (begun["metadata"]["uid"], reason)
    writes = [event for event in world.written() if event["objectRef"]["resource"] == "configmaps"]
    assert len(writes) == (state == "Succeeded")
    data = world.get("configmaps", "kiro-optimization", api="/api/v1")["data"]
    assert data == OPTIMIZING | ({"minimumSavingPercent": "10"} if state == "Succeeded" else {})
