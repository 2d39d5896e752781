"""The operator dies at the worst moments: what it had begun is done once, and its record tells the truth."""

from __future__ import annotations

import pytest

from devcluster import faults
from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from tests.apiserver.test_restore import DESIRED, config, prepare
from tests.harness.forked import ForkedOperator
from tests.harness.scenes import METHODS, SEEN, Scene
from tests.harness.world import STEADY, World

CREATES = r"/kiroremediations\?"


def die(proxy: FaultProxy, world: World, moment: str) -> ForkedOperator:
    """Run an operator that is killed at a moment; returns it, dead."""
    operator = world.operator(*STEADY, server=proxy.url, start=False)

    def kill(_: Request) -> None:
        operator.kill()

    if moment == "after the intent":
        fault = proxy.after(kill, forward=False, method="POST", path=CREATES, count=1)
    elif moment == "before the action":
        fault = proxy.before(kill, forward=False, path=SEEN, when=is_write, count=1)
    else:
        fault = proxy.after(kill, forward=False, path=SEEN, when=is_write, count=1)
    operator.start()
    world.wait_fault(fault)
    operator.wait()
    proxy.lift()
    return operator


def is_write(request: Request) -> bool:
    return request.method in {"POST", "PATCH"}


@pytest.mark.parametrize("moment", ["after the intent", "before the action", "after the action"])
@pytest.mark.parametrize("method", METHODS)
def test_an_action_survives_the_death_of_its_process(
    world: World, proxy: FaultProxy, method: str, moment: str
) -> None:
    scene = Scene(world, method).set()
    operator = die(proxy, world, moment)
    begun = world.remediations()
    assert [item["spec"]["method"] for item in begun] == [method]
    assert begun[0]["status"]["state"] in {"Reserved", "Acting"}
    if moment != "after the action":
        scene.assert_undone()

    world.restart(operator)

    scene.mend()
    done = world.wait_remediation("Succeeded", timeout=60)
    assert [item["metadata"]["uid"] for item in world.remediations()] == [begun[0]["metadata"]["uid"]]
    assert done[0]["status"]["actedAt"]
    scene.assert_done_once()
    world.wait_condition("Healthy", "True")
    policy = world.get("kirosafetypolicies", "policy")["status"]
    assert [item["remediation"] for item in policy["reservations"]] == [begun[0]["metadata"]["name"]]


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_is_lost_is_no_reason_to_act_again(
    world: World, proxy: FaultProxy, method: str
) -> None:
    """The process lives on; what it cannot know it reads from the live objects."""
    scene = Scene(world, method).set()
    lost = proxy.drop_answer(path=SEEN, when=is_write, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(lost)

    scene.mend()
    world.wait_remediation("Succeeded", timeout=60)
    assert len(world.remediations()) == 1
    scene.assert_done_once()


def test_a_crash_before_an_action_that_is_not_needed_any_more_ends_as_expired(
    world: World, proxy: FaultProxy
) -> None:
    scene = Scene(world, "ScaleUp").set()
    operator = die(proxy, world, "before the action")
    heal(world)

    world.restart(operator)

    ended = world.wait_remediation("Expired", timeout=60)
    assert ended[0]["status"]["reason"] == "Healed"
    assert "actedAt" not in ended[0]["status"]
    scene.assert_undone()


@pytest.mark.parametrize("written", [False, True])
def test_a_restore_survives_the_death_of_its_process(
    world: World, proxy: FaultProxy, *, written: bool
) -> None:
    """What is sampled is not known at first: until it has been looked at, nothing is taken for healed."""
    prepare(world, data={"mode": "free"})
    operator = world.operator(*STEADY, server=proxy.url, start=False)

    def kill(_: Request) -> None:
        operator.kill()

    put = proxy.after if written else proxy.before
    fault = put(kill, forward=False, method="PATCH", path=r"/configmaps/", count=1)
    operator.start()
    world.wait_fault(fault)
    operator.wait()
    proxy.lift()
    [begun] = world.remediations()
    assert begun["status"]["state"] == "Acting"
    assert (config(world)["data"] == DESIRED) is written

    world.restart(operator)

    [done] = world.wait_remediation("Succeeded", timeout=60)
    assert [item["metadata"]["uid"] for item in world.remediations()] == [begun["metadata"]["uid"]]
    assert done["status"]["actedAt"]
    assert config(world)["data"] == DESIRED
    writes = [event for event in world.written() if event["objectRef"]["resource"] == "configmaps"]
    assert [event["verb"] for event in writes] == ["patch"]


def heal(world: World) -> None:
    for pod in world.pods():
        faults.clear(world.plane, world.namespace, pod["metadata"]["name"])
    world.all_ready("kiro", 4)
