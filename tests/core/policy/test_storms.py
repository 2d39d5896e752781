"""A mass failure: what is one, how long it is remembered, and what comes after it."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.safetypolicy import Storm
from kiro_operator.core.decide import Policy, decide
from kiro_operator.core.objects import (
    ConditionKind,
    ContainerState,
    ContainerStatus,
    ObjectCondition,
    Pod,
    Truth,
    Waiting,
)
from kiro_operator.core.policy.permission import paused, permission
from kiro_operator.core.policy.plan import Plan
from kiro_operator.core.policy.situation import Census
from kiro_operator.core.policy.storms import casualties, ends, observe, told
from kiro_operator.core.snapshot import Snapshot
from tests.core.policy.make import (
    BLIND,
    NOW,
    ago,
    failing,
    finding,
    inputs,
    platform,
    pod,
    policy,
    ref,
    snapshot,
    well,
)

COOLDOWN = timedelta(minutes=10)
BEGUN = Storm(since=ago(minutes=30))
CALM = Storm(since=ago(minutes=30), subsided=ago(minutes=4))


@pytest.mark.parametrize(
    ("before", "pods", "unhealthy", "expected"),
    [
        (None, 4, 0, None),
        (None, 4, 2, None),
        (None, 4, 3, Storm(since=NOW)),
        (BEGUN, 4, 3, BEGUN),
        (BEGUN, 4, 2, Storm(since=BEGUN.since, subsided=NOW)),
        (CALM, 4, 2, CALM),
        (CALM, 4, 3, BEGUN),  # once more, before it was over for good: the same storm
        (Storm(since=BEGUN.since, subsided=ago(minutes=10)), 4, 2, None),
        (Storm(since=BEGUN.since, subsided=ago(minutes=10)), 4, 3, BEGUN),
        # What cannot be seen is not over.
        (None, None, None, None),
        (BEGUN, None, None, BEGUN),
        (CALM, None, None, BEGUN),
        (CALM, 4, None, BEGUN),
        # A clock that was set back makes no pause shorter, and none longer than it is to be.
        (Storm(since=BEGUN.since, subsided=ago(minutes=-60)), 4, 0, Storm(since=BEGUN.since, subsided=NOW)),
    ],
)
def test_what_is_remembered(
    before: Storm | None, pods: int | None, unhealthy: int | None, expected: Storm | None
) -> None:
    assert observe(before, policy(maxUnhealthy="50%"), Census(pods, unhealthy), NOW) == expected


@pytest.mark.parametrize(
    ("bounds", "pods", "unhealthy", "storm"),
    [
        ({"maxUnhealthy": 2}, 10, 2, False),
        ({"maxUnhealthy": 2}, 10, 3, True),
        ({"maxUnhealthy": "100%"}, 4, 4, False),
        ({"maxUnhealthy": "0%"}, 4, 0, False),
        ({"maxUnhealthy": "0%"}, 4, 1, True),
        ({"minHealthy": 3}, 4, 1, False),
        ({"minHealthy": 3}, 4, 2, True),
        ({"minHealthy": 3}, 2, 0, False),  # few pods are no failure
        ({"minHealthy": 3}, 2, 1, True),
        # A policy that is not complete, or cannot be understood, allows nothing: nothing is held against it.
        ({}, 4, 4, False),
        ({"maxUnhealthy": "40"}, 4, 4, False),
        ({"maxUnhealthy": 1, "stormCooldown": None}, 4, 4, False),
    ],
)
def test_what_is_a_storm(bounds: dict[str, Any], pods: int, unhealthy: int, storm: bool) -> None:  # noqa: FBT001
    allowed = policy(**({"maxUnhealthy": None} | bounds))
    assert (observe(None, allowed, Census(pods, unhealthy), NOW) is not None) is storm
    assert observe(BEGUN, allowed, Census(pods, unhealthy), NOW) is not None


def test_fractions_of_a_second_never_make_the_pause_shorter() -> None:
    late = NOW + timedelta(microseconds=1)
    calm = observe(BEGUN, policy(), Census(4, 0), late)
    assert calm == Storm(since=BEGUN.since, subsided=NOW + timedelta(seconds=1))
    assert observe(None, policy(), Census(4, 4), late) == Storm(since=NOW)
    at_once = observe(BEGUN, policy(stormCooldown="0s"), Census(4, 0), NOW)
    assert at_once is None


def test_the_end_is_where_the_answer_changes() -> None:
    until = ends(CALM, policy())
    assert until == ago(minutes=4) + COOLDOWN
    assert observe(CALM, policy(), Census(4, 0), until - timedelta(microseconds=1)) == CALM
    assert observe(CALM, policy(), Census(4, 0), until) is None
    assert ends(BEGUN, policy()) is None
    assert ends(None, policy()) is None
    assert ends(CALM, policy(stormCooldown=None)) is None


def crashing(name: str, **changes: Any) -> Pod:
    broken = pod(name, ready=False, **changes)
    crash = ContainerStatus("api", state=ContainerState(waiting=Waiting("CrashLoopBackOff")))
    return replace(broken, status=replace(broken.status, container_statuses=(crash,)))


def test_casualties_are_those_that_fail_not_all_that_are_not_ready() -> None:
    made, _ = platform()
    born = replace(pod("new", ready=False), metadata=replace(pod("new").metadata, creation_timestamp=NOW))
    old = replace(
        pod("old", ready=False), metadata=replace(pod("old").metadata, creation_timestamp=ago(hours=1))
    )
    pods = [
        pod("well"),
        crashing("crashing"),
        crashing("leaving", deleted=NOW),
        crashing("bare", owner=""),
        crashing("over", phase="Failed"),
        born,
        old,
    ]
    assert casualties(snapshot([made], pods), NOW) == Census(5, 2)
    assert casualties(snapshot([made], BLIND), NOW) == Census(None, None)


def test_a_drain_makes_no_casualties() -> None:
    made, _ = platform()
    moved = [replace_status(pod(f"gone-{number}", ready=False, deleted=NOW)) for number in range(3)]
    assert casualties(snapshot([made], [*moved, pod("left")]), NOW) == Census(4, 0)


def replace_status(drained: Pod) -> Pod:
    disrupted = ObjectCondition(ConditionKind.DISRUPTION_TARGET, Truth.TRUE, "EvictionByEvictionAPI")
    return replace(
        drained, status=replace(drained.status, conditions=(*drained.status.conditions, disrupted))
    )


def test_what_is_told_changes_with_the_storm_alone() -> None:
    reason, message = told(BEGUN, COOLDOWN)
    assert reason == "TooManyUnhealthy"
    assert "2026-06-10T11:30:00Z" in message
    assert "10m" in message
    reason, message = told(CALM, COOLDOWN)
    assert reason == "StormCooldown"
    assert "2026-06-10T12:06:00Z" in message


def test_the_conditions_say_so() -> None:
    calm = (Policy("a", policy()), Policy("b", policy(), storm=CALM))
    assert permission(calm).allowed  # said by what is wanted and held back, where anything is
    found = paused(calm)
    assert found is not None
    assert (found.allowed, found.reason) == (False, "StormCooldown")
    assert "KiroSafetyPolicy b" in found.message
    assert paused((Policy("a", policy()), Policy("c", None, "unreadable"))) is None


def test_the_pause_of_one_policy_is_the_pause_of_all() -> None:
    facts, verdicts = namespace(failing_pods=1)
    held = (Policy("a", policy()), Policy("b", policy(), storm=CALM))
    (decision,) = decide(inputs(verdicts, facts, policies=held)).decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "storm", "StormCooldown")
    assert decision.until == ago(minutes=4) + COOLDOWN
    assert decision.passed[-1].gate == "blast-radius"
    free = (Policy("a", policy()), Policy("b", policy()))
    (decision,) = decide(inputs(verdicts, facts, policies=free)).decisions
    assert decision.decision == "Allowed"


def namespace(failing_pods: int, names: tuple[str, ...] = ("api",)) -> tuple[Snapshot, Any]:
    workloads, pods, found = [], [], []
    for age, name in enumerate(names):
        made, its = platform(4, failing_pods, name)
        workloads.append(made)
        pods += its
        found += [
            finding(f"{name}-{number}", ref(name), since=ago(minutes=60 - age))
            for number in range(failing_pods)
        ]
    return snapshot(workloads, pods), failing(*found) if found else well()


def test_no_queue_of_old_actions_is_released() -> None:
    """Three targets fail in a storm; one heals meanwhile; of the others one fits into the budget."""
    names = ("web", "api", "db")
    limited = policy(budget={"limit": 1, "window": "1h"})

    def plan(storm: Storm | None, at: datetime, failing_pods: int, left: tuple[str, ...] = names) -> Plan:
        facts, verdicts = namespace(failing_pods, names)
        if failing_pods:
            _, verdicts = namespace(failing_pods, left)
        return decide(inputs(verdicts, facts, policies=(Policy("p", limited, storm=storm),), now=at))

    begun = observe(None, limited, Census(12, 9), NOW)
    assert begun == Storm(since=NOW)
    storm = plan(begun, NOW, failing_pods=3)
    assert {(d.decision, d.gate) for d in storm.decisions} == {("Denied", "blast-radius")}

    later = NOW + timedelta(minutes=5)
    calm = observe(begun, limited, Census(12, 3), later)
    resting = plan(calm, later, failing_pods=1)
    assert {(d.decision, d.gate, d.reason) for d in resting.decisions} == {
        ("Denied", "storm", "StormCooldown")
    }
    assert resting.next == later + COOLDOWN
    assert not resting.escalations

    over = later + COOLDOWN
    assert observe(calm, limited, Census(12, 2), over) is None
    after = plan(None, over, failing_pods=1, left=("api", "db"))
    decided = [(d.intent.target.name, d.decision, d.gate) for d in after.decisions]
    assert decided == [("api", "Allowed", "all"), ("db", "Denied", "budget")]
    assert plan(None, over, failing_pods=0).decisions == ()
