"""The operator's main job: what fails is seen, restarted or scaled within the policy, and reported."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster import faults
from devcluster.stages import FAULT
from devcluster.wait import until
from tests.harness.world import WATCHED_ONLY, World, enforce

QUICK = {
    "stabilization": "1s",
    "ladder": [{"action": "Restart", "timeout": "10s"}, {"action": "Scale", "timeout": "10s"}],
}


def watch(world: World, **spec: Any) -> None:
    world.health_check(
        safetyPolicyRef={"name": "policy"}, checks=WATCHED_ONLY, **({"remediation": QUICK} | spec)
    )


def test_a_crash_looping_pod_is_evicted_and_kiro_is_healthy_again(world: World) -> None:
    world.deployment()
    world.policy(**enforce())
    watch(world)
    world.operator()
    world.wait_condition("Healthy", "True")

    broken = world.break_pod("crash-loop")

    done = world.wait_remediation("Succeeded")[0]
    assert done["spec"]["method"] == "Evict"
    assert done["spec"]["pod"]["uid"] == broken["metadata"]["uid"]
    world.wait_condition("Healthy", "True")
    world.all_ready("kiro", 4)
    assert len(world.evictions()) == 1
    # The record of the action is written first, and the status follows.
    until(
        lambda: world.get("kirohealthchecks", "kiro")["status"]["lastAction"] == "Evict kiro: Succeeded",
        "the last action in the status",
    )
    reserved = world.get("kirosafetypolicies", "policy")["status"]
    assert [item["remediation"] for item in reserved["reservations"]] == [done["metadata"]["name"]]
    assert reserved["used"] == "1/20"


def test_when_most_pods_fail_the_workload_is_rolled_out_anew(world: World) -> None:
    world.deployment(replicas=3)
    world.policy(**enforce())
    watch(world)
    world.operator()
    world.wait_condition("Healthy", "True")

    faults.inject_many(
        world.plane, [(world.namespace, pod["metadata"]["name"]) for pod in world.pods()[:2]], "crash-loop"
    )

    done = world.wait_remediation("Succeeded")
    methods = {item["spec"]["method"] for item in world.remediations()}
    assert "RolloutRestart" in methods or len(done) > 1
    world.wait_condition("Healthy", "True")


def test_what_no_restart_can_help_goes_to_a_person(world: World) -> None:
    world.deployment()
    world.policy(**enforce())
    watch(world)
    world.operator()
    world.wait_condition("Healthy", "True")

    world.break_pod("image-pull")

    escalated = world.wait_condition("Escalated", "True", reason="NoRemedy")
    assert "image" in escalated["message"]
    assert world.check("pods-ready")["status"] == "Fail"
    assert not world.remediations()
    assert not world.evictions()


def test_the_ladder_goes_from_restart_to_scale_and_then_gives_up(world: World) -> None:
    world.deployment(replicas=3)
    world.policy(**enforce())
    watch(world, remediation=QUICK | {"stabilization": "10s"})
    world.operator()
    world.wait_condition("Healthy", "True")

    def given_up() -> Any:
        """Whatever is done, one pod of the workload fails: the youngest, as soon as none does."""
        pods = sorted(world.pods(), key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
        if not any(FAULT in pod["metadata"].get("annotations", {}) for pod in pods):
            faults.inject(world.plane, world.namespace, pods[-1]["metadata"]["name"], "oom")
        condition = world.condition("Escalated")
        return condition if condition.get("reason") == "LadderExhausted" else None

    escalated = until(given_up, "that the ladder is exhausted", 120)
    assert "kiro" in escalated["message"]
    tried = [item for item in world.remediations() if "actedAt" in item["status"]]
    actions = [item["spec"]["action"] for item in tried]
    assert actions == ["Restart", "Restart", "Scale"], [(i["metadata"]["name"], i["status"]) for i in tried]
    assert {item["status"]["state"] for item in tried} == {"Failed"}


def test_a_rollout_that_brings_a_fault_is_left_to_itself_until_its_deadline(world: World) -> None:
    world.deployment(replicas=3, progressDeadlineSeconds=10)
    world.policy(**enforce())
    watch(world)
    world.operator()
    world.wait_condition("Healthy", "True")

    faults.inject_template(world.plane, world.namespace, "deployment/kiro", "oom")

    world.wait_condition("Healthy", "False")
    world.wait_condition("RemediationAllowed", "False", reason="RolloutInProgress")
    world.wait_condition("Escalated", "True", reason="RolloutStuck")
    assert world.remediations() == []


def test_a_used_up_budget_denies_and_says_so(world: World) -> None:
    world.deployment()
    world.policy(**enforce(budget={"limit": 1, "window": "1h"}))
    twice = [{"action": "Restart", "timeout": "10s"}] * 2
    watch(world, remediation={"stabilization": "1s", "ladder": twice})
    world.operator()
    world.wait_condition("Healthy", "True")
    world.break_pod()
    world.wait_remediation("Succeeded")
    world.wait_condition("Healthy", "True")

    world.break_pod()

    denied = world.wait_condition("RemediationAllowed", "False", reason="BudgetExhausted")
    assert "1" in denied["message"]
    assert len(world.remediations()) == 1
    decision = world.get("kirohealthchecks", "kiro")["status"]["decisions"][0]
    assert (decision["decision"], decision["gate"]) == ("Denied", "budget")
    assert "until" in decision


def test_a_dry_run_says_what_it_would_do_and_does_nothing(world: World) -> None:
    world.deployment()
    world.policy(**enforce(mode="DryRun"))
    watch(world)
    world.operator()
    world.wait_condition("Healthy", "True")

    pod = world.break_pod()["metadata"]["name"]

    world.wait_condition("Healthy", "False")
    assert world.condition("RemediationAllowed")["reason"] == "ModeDryRun"

    def decided() -> list[str]:
        decisions = world.get("kirohealthchecks", "kiro")["status"]["decisions"]
        return [item["message"] for item in decisions if item["decision"] == "DryRun"]

    [message] = until(decided, "the dry run's decision", 10)
    assert message.endswith(f"this would be done now: Evict of Deployment kiro: Pod {pod}")
    assert not world.remediations()


@pytest.mark.parametrize("spec", [{}, {"safetyPolicyRef": {"name": "missing"}}])
def test_without_a_policy_it_only_observes(world: World, spec: dict[str, Any]) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY, **spec)
    world.operator()
    world.wait_check("pods-ready", "Pass")

    world.break_pod()

    world.wait_condition("Healthy", "False")
    assert world.condition("RemediationAllowed")["reason"] == "NoPolicy"
    stalled = world.condition("Stalled")
    assert stalled.get("reason") == ("PolicyNotFound" if spec else None)
    assert not world.written(verbs=("create", "delete"))


def test_at_rest_nothing_is_written(world: World) -> None:
    world.deployment()
    world.policy(**enforce())
    watch(world)
    world.operator()
    world.wait_condition("Healthy", "True")
    until(lambda: world.get("kirosafetypolicies", "policy")["status"].get("used") == "0/20", "the policy", 10)
    before = len(world.written())

    for number in range(20):  # changes that change nothing
        for pod in world.pods():
            world.plane.rest.patch(
                world.path("pods", pod["metadata"]["name"], api="/api/v1"),
                {"metadata": {"annotations": {"tick": str(number)}}},
            )

    assert len(world.written()) == before
