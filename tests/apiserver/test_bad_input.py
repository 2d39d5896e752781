"""What users get wrong: refused by the API server where it can, said clearly by the operator where not."""

from __future__ import annotations

from typing import Any

import pytest

from devcluster.wait import until
from tests.harness.kstatus import kstatus
from tests.harness.world import STEADY, WATCHED_ONLY, World, enforce

QUICK = {"stabilization": "1s"}
WRONG: dict[str, tuple[dict[str, Any], str, tuple[str, ...]]] = {
    "unknown check": (
        {"checks": [{"id": "pod-ready"}]}, "UnknownCheck", ("pod-ready", "did you mean pods-ready?"),
    ),
    "check like no other": (
        {"checks": [{"id": "zzz"}]}, "UnknownCheck", ("zzz", "write one of", "service-logs"),
    ),
    "unknown parameter": (
        {"checks": [{"id": "pods-ready", "parameters": {"startGrase": "1s"}}]},
        "InvalidParameters", ("checks[pods-ready].parameters", "did you mean startGrace?"),
    ),
    "parameter out of bounds": (
        {"checks": [{"id": "pods-ready", "parameters": {"maxRestarts": 0}}]},
        "InvalidParameters", ("pods-ready", "maxRestarts"),
    ),
    "parameter of a wrong type": (
        {"checks": [{"id": "pods-ready", "parameters": {"startGrace": ["5m"]}}]},
        "InvalidParameters", ("startGrace", "write"),
    ),
    "pattern that is none": (
        {"checks": [
            {"id": "service-logs", "parameters": {"signatures": [{"name": "Oops", "pattern": "(["}]}},
        ]},
        "InvalidParameters", ("service-logs", "signatures"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_the_schema_cannot_refuse_stalls_says_why_and_recovers(world: World, what: str) -> None:
    spec, reason, words = WRONG[what]
    world.deployment()
    world.policy(**enforce())
    world.health_check(safetyPolicyRef={"name": "policy"}, remediation=QUICK, **spec)
    world.operator(*STEADY)

    stalled = world.wait_condition("Stalled", "True", reason=reason)
    for word in words:
        assert word in stalled["message"]
    found = world.get("kirohealthchecks", "kiro")
    assert kstatus(found) == "Failed"
    assert world.condition("Ready")["status"] == "False"
    assert world.condition("RemediationAllowed")["status"] == "False"
    world.break_pod()
    until(lambda: "reason: Stalled" in world.plane.kubectl(
        "get", "events", "-n", world.namespace, "-o", "yaml").stdout, "the Event", 20)  # fmt: skip
    assert not world.remediations()  # what is not understood in full allows nothing

    world.plane.rest.patch(world.path("kirohealthchecks", "kiro"), {"spec": {"checks": WATCHED_ONLY}})
    world.wait_condition("Ready", "True")
    assert not world.condition("Stalled")
    world.wait_remediation("Succeeded")


@pytest.mark.parametrize(
    "selector",
    [
        {"matchExpressions": [{"key": "app", "operator": "In"}]},
        {"matchExpressions": [{"key": "app", "operator": "Near", "values": ["x"]}]},
        {"matchLabels": {"not a key": "x"}},
        {"matchLabels": {"app": "not a value"}},
    ],
)
def test_a_bad_selector_is_refused_with_advice(world: World, selector: dict[str, Any]) -> None:
    with pytest.raises(Exception, match=r"422|selector"):
        world.health_check(selector=selector)


def test_a_selector_that_matches_nothing_says_so(world: World) -> None:
    world.deployment()
    world.health_check(checks=WATCHED_ONLY, selector={"matchLabels": {"app": "kirro"}})
    world.operator(*STEADY)
    world.wait_condition("Healthy", "Unknown", reason="NothingToJudge")
    assert "selector" in world.check("pods-ready")["message"]


def test_an_empty_spec_in_a_namespace_never_seen_observes(world: World) -> None:
    """No Deployment, no policy, nothing: the smallest object there is gets a sound status."""
    world.operator(*STEADY)
    world.health_check()

    world.wait_condition("Ready", "True")
    assert kstatus(world.get("kirohealthchecks", "kiro")) == "Current"
    assert world.condition("RemediationAllowed")["reason"] == "NoPolicy"
    world.deployment()
    world.wait_check("pods-ready", "Pass")
    assert not world.written(verbs=("create", "delete"))


def test_a_policy_that_cannot_be_used_allows_nothing_and_recovers(world: World) -> None:
    world.deployment()
    window = {"name": "w", "schedule": "0 22 * * 5", "duration": "1h", "timeZone": "Mars/Phobos"}
    world.policy(**enforce(forbiddenWindows=[window]))
    world.health_check(safetyPolicyRef={"name": "policy"}, checks=WATCHED_ONLY, remediation=QUICK)
    world.operator(*STEADY)

    allowed = world.wait_condition("RemediationAllowed", "False", reason="PolicyUnusable")
    assert "Mars/Phobos" in allowed["message"]
    until(lambda: kstatus(world.get("kirosafetypolicies", "policy")) == "Failed", "the policy to stall", 20)
    world.break_pod()
    world.wait_condition("Healthy", "False")
    assert not world.remediations()

    world.plane.rest.patch(world.path("kirosafetypolicies", "policy"), {"spec": {"forbiddenWindows": []}})
    world.wait_remediation("Succeeded")
    until(
        lambda: kstatus(world.get("kirosafetypolicies", "policy")) == "Current", "the policy to recover", 20
    )
