"""Single requests that fail: each is made up for, nothing is lost and nothing is done twice."""

from __future__ import annotations

import json

import pytest

from devcluster.proxy import FaultProxy
from devcluster.proxy_faults import Request
from devcluster.wait import until
from tests.harness.scenes import METHODS, SEEN, Scene
from tests.harness.world import STEADY, WATCHED_ONLY, World

STATUS = r"/kirohealthchecks/kiro/status"
WRITES = {
    "status of the KiroHealthCheck": ("PATCH", STATUS),
    "KiroRemediation": ("POST", r"/kiroremediations\?"),
    "status of the KiroRemediation": ("PATCH", r"/kiroremediations/[^/]+/status"),
    "reservation of the budget": ("PATCH", r"/kirosafetypolicies/policy/status"),
    "eviction": ("POST", r"/eviction\?"),
}


def statuses(proxy: FaultProxy) -> list[int]:
    """Of the answers to writes of the status."""
    return [seen.status for seen in proxy.seen("PATCH", STATUS)]


def observe_only(world: World) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY)


def test_a_real_conflict_on_status_is_resolved_by_reading_again(world: World, proxy: FaultProxy) -> None:
    observe_only(world)

    def meddle(_: Request) -> None:
        change = {"metadata": {"labels": {"changed": "meanwhile"}}}
        world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), change)

    proxy.before(meddle, method="PATCH", path=STATUS, count=1)
    world.operator(*STEADY, server=proxy.url)

    world.wait_condition("Healthy", "True")
    until(lambda: len(statuses(proxy)) == 2 and all(statuses(proxy)), "the answers")
    assert statuses(proxy) == [409, 200]
    assert world.get("kirohealthchecks", "kiro")["metadata"]["labels"]["changed"] == "meanwhile"


def test_retry_after_on_status_is_respected(world: World, proxy: FaultProxy) -> None:
    observe_only(world)
    proxy.answer(429, retry_after=2, method="PATCH", path=STATUS, count=1)
    world.operator(*STEADY, server=proxy.url)

    world.wait_condition("Healthy", "True")
    until(lambda: len(statuses(proxy)) == 2 and all(statuses(proxy)), "the answers")
    assert statuses(proxy) == [429, 200]
    first, second = proxy.seen("PATCH", STATUS)
    assert second.at - first.at >= 2.0


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("what", WRITES)
def test_a_write_that_fails_once_is_made_up_for(
    world: World, proxy: FaultProxy, what: str, status: int
) -> None:
    method, path = WRITES[what]
    scene = Scene(world, "Evict").set()
    fault = proxy.answer(status, method=method, path=path, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(fault)

    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")
    assert len(world.remediations()) == 1
    scene.assert_done_once()


def test_a_disruption_budget_denies_an_eviction_and_is_not_asked_at_every_look(
    world: World, proxy: FaultProxy
) -> None:
    scene = Scene(world, "Evict").set()
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "kiro"},
        "spec": {"minAvailable": 4, "selector": {"matchLabels": {"app": "kiro"}}},
    }
    path = world.path("poddisruptionbudgets", api="/apis/policy/v1")
    world.plane.rest.post(path, budget)
    until(
        lambda: world.plane.rest.get(f"{path}/kiro").get("status", {}).get("currentHealthy") == 3,
        "the budget to be counted", 30,
    )  # fmt: skip
    world.operator(*STEADY, server=proxy.url)

    denied = world.wait_remediation("Denied")[0]
    assert denied["status"]["reason"] == "DisruptionBudget"
    assert "disruption budget" in denied["status"]["message"]
    assert "actedAt" not in denied["status"]
    world.wait_condition("RemediationAllowed", "False", reason="RetryLater")
    for number in range(5):  # changes of other pods, each of which brings a look
        annotate = {"metadata": {"labels": {"look": str(number)}}}
        world.plane.rest.patch(
            world.path("pods", world.pods()[-1]["metadata"]["name"], api="/api/v1"), annotate
        )
    assert len(world.remediations()) == 1
    assert [seen.status for seen in proxy.seen("POST", "/eviction")] == [429]
    scene.assert_undone()
    assert "Denied" in json.dumps(world.get("kirohealthchecks", "kiro")["status"]["lastAction"])
    # What was never done is charged to no budget.
    until(lambda: world.get("kirosafetypolicies", "policy")["status"].get("used") == "0/20", "the refund", 20)


def is_write(request: Request) -> bool:
    return request.method in {"POST", "PATCH"}


@pytest.mark.parametrize("method", METHODS)
def test_an_overloaded_api_server_is_asked_again_when_it_says(
    world: World, proxy: FaultProxy, method: str
) -> None:
    """It answers 429 as well, which is no word of a disruption budget: nothing was decided."""
    scene = Scene(world, method).set()
    busy = proxy.answer(429, retry_after=2, path=SEEN, when=is_write, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(busy)

    scene.mend()
    world.wait_remediation("Succeeded", timeout=60)
    assert len(world.remediations()) == 1
    first, second = (seen for seen in proxy.seen(path=SEEN) if is_write(seen))
    assert second.at - first.at >= 2.0
    scene.assert_done_once()


@pytest.mark.parametrize("method", METHODS)
def test_an_action_that_arrives_twice_is_told_to_have_been_done(
    world: World, proxy: FaultProxy, method: str
) -> None:
    """The fence refuses the second one; what it finds done was done by the first, and counts."""
    scene = Scene(world, method).set()
    twice = proxy.twice(path=SEEN, when=is_write, count=1)
    world.operator(*STEADY, server=proxy.url)
    world.wait_fault(twice)

    scene.mend()
    done = world.wait_remediation("Succeeded", timeout=60)[0]
    assert done["status"]["actedAt"]
    assert twice.hits[0].status in {404, 409}
    scene.assert_done_once()
    policy = world.get("kirosafetypolicies", "policy")["status"]
    assert [item["remediation"] for item in policy["reservations"]] == [done["metadata"]["name"]]
