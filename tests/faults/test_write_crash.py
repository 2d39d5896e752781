"""The operator dies around a change of an object: it is made once, and its record tells the truth."""

from __future__ import annotations

import pytest

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.apiserver.test_contain import DESIRED, NAME, allow_secrets, config, prepare
from tests.harness.world import STEADY, World

CREATES = r"/kiroremediations\?"
WRITTEN = rf"/configmaps/{NAME}"


def is_patch(request: Request) -> bool:
    return request.method == "PATCH"


@pytest.mark.parametrize("moment", ["after the intent", "before the action", "after the action"])
@pytest.mark.parametrize("action", ["Contain", "RestoreSafetyConfig"])
def test_a_change_survives_the_death_of_its_process(
    world: World, proxy: FaultProxy, action: str, moment: str
) -> None:
    prepare(world)
    if action == "Contain":
        allow_secrets(world)
        wanted = DESIRED | {"operations": "suspended"}
    else:
        world.plane.rest.patch(world.path("configmaps", NAME, api="/api/v1"), {"data": {"limit": "9"}})
        wanted = DESIRED
    before = config(world)
    flags = (*STEADY, "--cluster-facts-namespace", world.namespace)
    operator = world.operator(*flags, server=proxy.url, start=False)

    def kill(_: Request) -> None:
        operator.kill()

    if moment == "after the intent":
        fault = proxy.after(kill, forward=False, method="POST", path=CREATES, count=1)
    elif moment == "before the action":
        fault = proxy.before(kill, forward=False, path=WRITTEN, when=is_patch, count=1)
    else:
        fault = proxy.after(kill, forward=False, path=WRITTEN, when=is_patch, count=1)
    operator.start()
    world.wait_fault(fault, timeout=60)
    operator.wait()
    proxy.lift()
    [begun] = world.remediations()
    assert begun["spec"]["action"] == action
    assert begun["status"].get("state", "Reserved") in {"Reserved", "Acting"}
    assert config(world) == (wanted if moment == "after the action" else before)

    world.restart(operator)

    world.wait_remediation("Succeeded", timeout=60)
    ended = [(item["metadata"]["uid"], item["status"]["state"]) for item in world.remediations()]
    assert ended == [(begun["metadata"]["uid"], "Succeeded")]
    assert config(world) == wanted
    changes = [
        event
        for event in world.written()
        if event["objectRef"].get("name") == NAME and event["responseStatus"]["code"] == 200
    ]
    assert len(changes) == 1


def test_a_change_that_may_have_been_made_before_somebody_elses_counts(
    world: World, proxy: FaultProxy
) -> None:
    prepare(world)
    written = world.path("configmaps", NAME, api="/api/v1")
    world.plane.rest.patch(written, {"data": {"limit": "9"}})
    flags = (*STEADY, "--cluster-facts-namespace", world.namespace)
    operator = world.operator(*flags, server=proxy.url, start=False)
    fault = proxy.after(lambda _: operator.kill(), forward=False, path=WRITTEN, when=is_patch, count=1)
    operator.start()
    world.wait_fault(fault, timeout=60)
    operator.wait()
    proxy.lift()
    world.plane.rest.patch(written, {"data": {"limit": "8"}})

    world.restart(operator)

    [left] = world.wait_remediation("Expired", timeout=60)
    assert left["status"]["reason"] == "Changed"
    assert left["status"]["actedAt"] == left["status"]["actingAt"]
    # It has had its turn on the ladder, and took its part of the budget.
    world.wait_condition("Escalated", "True", reason="LadderExhausted")
    until(lambda: world.get("kirosafetypolicies", "policy")["status"]["used"] == "1/20", "the budget", 20)
    assert len(world.remediations()) == 1
    assert config(world)["limit"] == "8"
