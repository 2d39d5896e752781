"""What tools read from a status: kstatus, `kubectl wait`, and the annotation that asks for a look."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from devcluster.wait import until
from tests.harness.kstatus import contradictions, kstatus
from tests.harness.world import STEADY, WATCHED_ONLY, World, enforce


def get(world: World, plural: str = "kirohealthchecks", name: str = "kiro") -> dict[str, Any]:
    return world.get(plural, name)


def settled(
    world: World, expected: str, plural: str = "kirohealthchecks", name: str = "kiro"
) -> dict[str, Any]:
    """Wait for a verdict of kstatus; no status on the way may mislead."""

    def reached() -> dict[str, Any] | None:
        found = get(world, plural, name)
        if found["status"].get("observedGeneration", 0) == found["metadata"]["generation"]:
            assert contradictions(found) == []
        return found if kstatus(found) == expected else None

    try:
        return until(reached, f"{name} to be {expected}", 30)
    except Exception as error:
        raise AssertionError(f"{error}\n{get(world, plural, name)}\n{world.log_tail()}") from error


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        ({"metadata": {"generation": 1}}, "Current"),
        ({"metadata": {"generation": 1, "deletionTimestamp": "now"}}, "Terminating"),
        ({"metadata": {"generation": 2}, "status": {"observedGeneration": 1}}, "InProgress"),
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}, "InProgress"),
        ({"metadata": {"generation": 1}, "status": {"observedGeneration": 1, "conditions": [
            {"type": "Ready", "status": "False"}, {"type": "Stalled", "status": "True"}]}}, "Failed"),
        ({"metadata": {"generation": 1}, "status": {"conditions": [
            {"type": "Stalled", "status": "False"},
            {"type": "Reconciling", "status": "True"}]}}, "InProgress"),
    ],
)  # fmt: skip
def test_the_oracle(obj: dict[str, Any], expected: str) -> None:
    assert kstatus(obj) == expected


def test_nobody_takes_an_object_that_nobody_looked_at_for_done(world: World) -> None:
    world.policy(**enforce())
    world.health_check()
    assert kstatus(get(world)) == "InProgress"


def test_an_object_is_current_whether_its_target_is_well_or_not(world: World) -> None:
    """Whoever deploys by GitOps waits for the operator's work, not for the health of the target."""
    world.deployment()
    world.policy(**enforce(mode="Observe"))
    world.health_check(safetyPolicyRef={"name": "policy"}, checks=WATCHED_ONLY)
    world.operator(*STEADY)
    settled(world, "Current")
    settled(world, "Current", "kirosafetypolicies", "policy")
    world.wait_condition("Healthy", "True")

    world.break_pod()
    world.wait_condition("Healthy", "False")
    assert kstatus(get(world)) == "Current"

    change = {"spec": {"interval": "2m"}}
    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), change)
    now = settled(world, "Current")
    assert now["status"]["observedGeneration"] == 2
    assert {c["observedGeneration"] for c in now["status"]["conditions"]} == {2}


def test_kubectl_waits_for_health(world: World) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY)
    world.operator(*STEADY)
    wait = ("wait", "-n", world.namespace, "khc/kiro", "--timeout=45s")
    world.plane.kubectl(*wait, "--for=condition=Ready")
    world.plane.kubectl(*wait, "--for=condition=Healthy")
    world.plane.kubectl(*wait, "--for=condition=Observed")

    world.break_pod()
    world.plane.kubectl(*wait, "--for=condition=Healthy=False")
    world.plane.kubectl(*wait, "--for=condition=Responsive=False")
    table = world.plane.kubectl("get", "khc", "-n", world.namespace).stdout
    assert "pods-ready" in table


def confirmed(world: World, words: str) -> bool:
    return bool(get(world)["status"].get("lastHandledReconcileAt") == words)


def test_a_requested_look_is_confirmed_with_its_own_words(world: World) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY)
    world.operator(*STEADY)
    world.wait_condition("Healthy", "True")
    assert "lastHandledReconcileAt" not in get(world)["status"]

    for words in ("2026-01-01T00:00:00Z", "again", "2026-01-01T00:00:00Z"):
        world.plane.kubectl(
            "annotate", "khc", "kiro", "-n", world.namespace, "--overwrite", f"kiro.dev/requestedAt={words}"
        )
        until(partial(confirmed, world, words), words, 30)
    assert get(world)["metadata"]["generation"] == 1


def test_a_suspended_check_keeps_its_status_and_does_nothing(world: World) -> None:
    world.deployment()
    world.policy(**enforce())
    policy = {"name": "policy"}
    world.health_check(safetyPolicyRef=policy, checks=WATCHED_ONLY, remediation={"stabilization": "1s"})
    world.operator(*STEADY)
    world.wait_condition("Healthy", "True")
    path = world.path("kirohealthchecks", "kiro")

    world.plane.rest.patch(path, {"spec": {"suspend": True}})
    world.wait_condition("Ready", "True", reason="Suspended")
    world.break_pod()
    world.plane.rest.patch(path, {"metadata": {"annotations": {"kiro.dev/requestedAt": "look"}}})
    until(lambda: get(world)["status"].get("lastHandledReconcileAt") == "look", "the request", 20)

    assert world.condition("Healthy")["status"] == "True"  # as it was when it was suspended
    assert kstatus(get(world)) == "Current"
    assert contradictions(get(world)) == []
    assert not world.remediations()

    world.plane.rest.patch(path, {"spec": {"suspend": False}})
    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")
    assert len(world.evictions()) == 1
