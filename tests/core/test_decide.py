"""Plans: what is decided for whom, in which order, and who has to know."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.decide import Decision, Plan, Policy, decide, rule
from kiro_operator.core.objects import DaemonSet, RollingUpdate
from kiro_operator.core.policy.gates import GATES
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.policy.wellness import Memory
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding, Status, Verdict
from tests.core.policy.make import (
    BLIND,
    NOW,
    RESTART,
    SCALE,
    SPEC,
    ago,
    autoscaler,
    entry,
    failing,
    finding,
    inputs,
    intent,
    platform,
    pod,
    policy,
    ref,
    situation,
    snapshot,
    spec,
    well,
    workload,
)

UP, BACK = Method.SCALE_UP, Method.SCALE_BACK


def told(plan: Plan) -> list[tuple[str, str, str, str]]:
    """Target, method, decision and gate of each decision."""
    return [(d.intent.target.name, d.intent.method.value, d.decision, d.gate) for d in plan.decisions]


def reasons(plan: Plan) -> list[tuple[str, str]]:
    return [(item.target.name, item.reason) for item in plan.escalations]


def platforms(*names: str, replicas: int = 4, **changes: Any) -> Any:
    """A namespace of such workloads, one pod of each failing."""
    made = [platform(replicas, 1, name, **changes) for name in names]
    return snapshot([each for each, _ in made], [one for _, pods in made for one in pods])


def ill(*names: str) -> list[Finding]:
    return [finding(f"{name}-0", ref(name), since=ago(minutes=30 - age)) for age, name in enumerate(names)]


def test_a_failing_pod_is_evicted() -> None:
    plan = decide(inputs(failing(finding()), platforms("api")))
    (decision,) = plan.decisions
    assert (decision.decision, decision.gate) == ("Allowed", "all")
    assert decision.intent.name == "deployment-api-uid-api-e1s1"
    assert decision.intent.pod == Ref("Pod", "api-0", "uid-api-0")
    assert decision.intent.fence.uid == "uid-api-0"
    assert len(decision.passed) == len(GATES)
    assert (plan.escalations, plan.held, plan.next) == ((), (), None)


@pytest.mark.parametrize(
    "verdicts",
    [
        {},
        well(),
        {"pods-ready": (failing(finding())["pods-ready"][0], False)},
        {"pods-ready": (Verdict(Status.UNKNOWN, "StaleWatch", "m", (finding(),)), True)},
        {"pods-ready": (Verdict(Status.WARN, "Slow", "m", (finding(),)), True)},
        {"pods-ready": (Verdict(Status.PASS, "AsExpected", "m", (finding(),)), True)},
    ],
)
def test_nothing_but_a_settled_failure_asks_for_anything(verdicts: Any) -> None:
    plan = decide(inputs(verdicts, platforms("api")))
    assert (plan.decisions, plan.escalations, plan.held) == ((), (), ())


def test_a_suspended_health_check_plans_nothing() -> None:
    suspended = spec().model_copy(update={"suspend": True})
    plan = decide(inputs(failing(finding()), platforms("api"), health_check=suspended))
    assert replace(plan, memory={}) == Plan()


def test_many_findings_on_one_target_are_one_intent() -> None:
    verdicts = failing(finding("api-0"), finding("api-1")) | failing(
        finding(None), check="workloads-available"
    )
    made, pods = platform(4, 2)
    plan = decide(inputs(verdicts, snapshot([made], pods)))
    assert told(plan) == [("api", "RolloutRestart", "Allowed", "all")]


@pytest.mark.parametrize(
    ("policies", "gate", "reason", "escalated"),
    [
        ((), "policy", "NoPolicy", 0),
        ((Policy("safe", None, "spec.budget: wrong"),), "policy", "PolicyUnusable", 1),
        ((Policy("a", policy()), Policy("b", None, "gone")), "policy", "PolicyUnusable", 1),
        ((Policy("safe", policy(mode="Observe")),), "mode", "ModeObserve", 0),
        (
            (Policy("a", policy()), Policy("b", policy(pauseRequests=["x"]))),
            "pause-requests",
            "Paused",
            0,
        ),
        ((Policy("a", policy(budget=None)), Policy("b", policy())), "budget", "PolicyIncomplete", 1),
    ],
)
def test_without_leave_of_every_policy_nothing_is_done(
    policies: Any, gate: str, reason: str, escalated: int
) -> None:
    plan = decide(inputs(failing(finding()), platforms("api"), policies=policies))
    (decision,) = plan.decisions
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", gate, reason)
    assert reasons(plan) == [("api", reason)] * escalated


def test_a_dry_run_tells_what_would_really_happen() -> None:
    dry = (Policy("safe", policy(mode="DryRun", budget={"limit": 1, "window": "1h"})),)
    plan = decide(inputs(failing(*ill("api", "web")), platforms("api", "web"), policies=dry))
    assert told(plan) == [("api", "Evict", "DryRun", "mode"), ("web", "Evict", "Denied", "budget")]
    assert len(plan.decisions[0].passed) == len(GATES)
    both = (Policy("a", policy()), Policy("b", policy(mode="DryRun")))
    assert told(decide(inputs(failing(finding()), platforms("api"), policies=both)))[0][2] == "DryRun"


def test_the_oldest_fault_comes_first_and_the_limits_hold_within_a_pass() -> None:
    one = (Policy("safe", policy(budget={"limit": 2, "window": "1h"})),)
    facts = platforms("api", "db", "web")
    plan = decide(inputs(failing(*ill("web", "db", "api")), facts, policies=one))
    assert told(plan) == [
        ("web", "Evict", "Allowed", "all"),
        ("db", "Evict", "Allowed", "all"),
        ("api", "Evict", "Denied", "budget"),
    ]
    assert plan.next == NOW + timedelta(hours=1)
    same_age = [finding(f"{name}-0", ref(name)) for name in ("web", "db", "api")]
    assert [line[0] for line in told(decide(inputs(failing(*same_age), facts)))] == ["api", "db", "web"]


def test_the_blast_radius_holds_within_a_pass() -> None:
    facts = platforms("api", "web", replicas=6, bounds=RollingUpdate(3))
    wide = [finding(f"{name}-0", ref(name), wide=True) for name in ("api", "web")]
    limit = (Policy("safe", policy(maxUnhealthy=4)),)
    plan = decide(inputs(failing(*wide), facts, policies=limit))
    assert told(plan) == [
        ("api", "RolloutRestart", "Allowed", "all"),
        ("web", "RolloutRestart", "Denied", "blast-radius"),
    ]


@pytest.mark.parametrize(
    ("target", "kind", "reason"),
    [
        (Ref("Pod", "lone", "uid-lone"), "Pod", "BarePod"),
        (Ref("Job", "batch", "uid-batch"), "Job", "NotSupported"),
        (Ref("ReplicaSet", "old", "uid-old"), "ReplicaSet", "NotSupported"),
    ],
)
def test_what_no_action_is_defined_for_goes_to_a_person(target: Ref, kind: str, reason: str) -> None:
    plan = decide(
        inputs(failing(finding("lone", target)), snapshot([], [pod("lone", owner="", ready=False)]))
    )
    assert plan.decisions == ()
    assert [(e.target.kind, e.reason, e.cause) for e in plan.escalations] == [
        (kind, reason, "CrashLoopBackOff")
    ]


def test_what_no_remedy_helps_against_is_one_matter_a_workload() -> None:
    made, pods = platform(4, 3)
    found = [
        Finding(
            Ref("Pod", f"api-{n}", f"uid-api-{n}"), "ImagePullBackOff", f"Pod api-{n}: no such image", NOW
        )
        for n in range(3)
    ]
    plan = decide(inputs(failing(*found), snapshot([made], pods)))
    (escalation,) = plan.escalations
    assert (escalation.target, escalation.reason, escalation.cause) == (ref(), "NoRemedy", "ImagePullBackOff")
    assert "api-0" in escalation.message
    assert "2 more" in escalation.message
    unseen = decide(inputs(failing(*found[:1]), snapshot([], BLIND)))
    assert reasons(unseen) == [("api-0", "NoRemedy")]


def test_a_target_that_is_not_seen_is_held() -> None:
    for facts in (snapshot([], [pod("api-0")]), platforms("web")):
        plan = decide(inputs(failing(finding()), facts))
        assert (plan.decisions, plan.escalations) == ((), ())
        assert [(held.target, held.reason) for held in plan.held] == [(ref(), "EvidenceMissing")]
    blind = decide(inputs(failing(finding()), snapshot([workload()], BLIND)))
    assert [held.reason for held in blind.held] == ["EvidenceMissing"]


STEPS = spec((RESTART, "5m"), (SCALE, "6m"))


def climb(*entries: Any, found: Finding | None = None, **more: Any) -> Plan:
    return decide(inputs(failing(found or finding()), platforms("api"), entries, health_check=STEPS, **more))


def test_the_next_rung_follows_a_remedy_that_did_not_help() -> None:
    (decision,) = climb(entry(1, "Failed")).decisions
    assert (decision.decision, decision.intent.method, decision.intent.replicas) == ("Allowed", UP, (4, 5))
    assert (decision.intent.step, decision.intent.timeout) == (2, timedelta(minutes=6))


def test_a_relapse_counts_against_the_same_episode() -> None:
    done = entry(1, "Succeeded", at=ago(minutes=20), ended=ago(minutes=12))
    (decision,) = climb(done, found=finding(since=ago(minutes=6))).decisions
    assert (decision.intent.method, decision.intent.episode, decision.intent.step) == (UP, 1, 2)
    (fresh,) = climb(done, found=finding(since=ago(minutes=1))).decisions
    assert (fresh.intent.method, fresh.intent.episode, fresh.intent.step) == (Method.EVICT, 2, 1)


def test_rungs_that_cannot_help_are_passed_over() -> None:
    (decision,) = climb(found=finding(remedies=(SCALE,))).decisions
    assert decision.intent.method is UP
    exhausted = climb(entry(1, "Failed", UP), found=finding(remedies=(SCALE,)))
    assert reasons(exhausted) == [("api", "LadderExhausted")]


def test_a_rung_that_cannot_be_done_gives_way_to_the_next() -> None:
    made, pods = platform(4, 1, kind=DaemonSet)
    target = ref(kind="DaemonSet")
    facts = snapshot([made], pods)
    verdicts = failing(finding(target=target))
    both = decide(inputs(verdicts, facts, health_check=spec((SCALE, "5m"), (RESTART, "5m"))))
    assert told(both) == [("api", "Evict", "Allowed", "all")]
    only = decide(inputs(verdicts, facts, health_check=spec((SCALE, "5m"))))
    assert (only.decisions, reasons(only)) == ((), [("api", "NotScalable")])


def test_an_exhausted_ladder_waits_for_a_recovery_that_was_watched() -> None:
    entries = (entry(1, "Failed"), entry(2, "Failed", UP, replicas=(4, 5), at=ago(minutes=100)))
    plan = climb(*entries)
    assert (plan.decisions, reasons(plan)) == ((), [("api", "LadderExhausted")])
    # Ten minutes of health, watched pass by pass, then the next fault: a new episode.
    memory = plan.memory
    for minutes in (1, 4, 8):
        memory = decide(
            inputs(well(), platforms("api"), entries, memory=memory, now=NOW + timedelta(minutes=minutes))
        ).memory
    short = climb(*entries, memory=memory, now=NOW + timedelta(minutes=10))
    assert reasons(short) == [("api", "LadderExhausted")]
    long = climb(*entries, memory=memory, now=NOW + timedelta(minutes=12))
    assert [d.intent.name for d in long.decisions] == ["deployment-api-uid-api-e2s1"]


def test_what_crashes_in_turns_after_a_success_relapses_all_the_same() -> None:
    """Each crash dates its fault anew, and the wait for the next try is longer than a quiet period."""
    facts, entries = platforms("api"), (entry(1, "Succeeded", Method.EVICT, at=ago(minutes=5), ended=NOW),)
    slow = (Policy("safe", policy(backoff={"initial": "30m", "maximum": "2h"})),)

    def look(minutes: float, memory: Memory, since: float | None) -> Plan:
        now = NOW + timedelta(minutes=minutes)
        found = well() if since is None else failing(finding(since=NOW + timedelta(minutes=since)))
        return decide(inputs(found, facts, entries, policies=slow, memory=memory, now=now))

    memory = look(1, {}, None).memory
    for minutes in (5.0, 8.0, 11.0, 14.0):
        plan = look(minutes, memory, minutes)
        memory = plan.memory
        assert [(item.intent.name, item.reason) for item in plan.decisions] == [
            ("deployment-api-uid-api-e1s2", "Backoff")
        ]
    # Once it has been well for a quiet period on end, the next fault is another one.
    for minutes in (15.0, 19.0, 23.0, 26.0):
        memory = look(minutes, memory, None).memory
    [decision] = look(27, memory, 27).decisions
    assert (decision.intent.name, decision.decision) == ("deployment-api-uid-api-e2s1", "Allowed")


def test_pods_that_serve_between_two_crashes_are_not_all_evicted_at_once() -> None:
    names = [f"web-{number}" for number in range(8)]
    made = [platform(2, 0, name) for name in names]
    facts = snapshot([each for each, _ in made], [one for _, pods in made for one in pods])
    wide = {"limit": 50, "window": "1h"}
    bounds = policy(
        maxUnhealthy=1, budget=wide, actions=[{"name": "Restart", "approval": "Automatic", "budget": wide}]
    )
    asked = [finding(f"{name}-0", ref(name), remedies=(RESTART,)) for name in names]
    plan = decide(inputs(failing(*asked), facts, policies=(Policy("safe", bounds),)))
    assert [item.reason for item in plan.decisions] == ["Allowed", *["TooManyUnhealthy"] * 7]


def test_what_a_check_that_sees_nothing_goes_on_to_tell_is_no_health() -> None:
    entries = (entry(1, "Failed"), entry(2, "Failed", UP, replicas=(4, 5)))
    memory = climb(*entries).memory
    for minutes in (1, 5, 9, 13):
        held = inputs(well(), platforms("api"), entries, memory=memory, now=NOW + timedelta(minutes=minutes))
        memory = decide(replace(held, blind=frozenset({"pods-ready"}))).memory
    later = NOW + timedelta(minutes=14)
    assert reasons(climb(*entries, memory=memory, now=later)) == [("api", "LadderExhausted")]


@pytest.mark.parametrize("unwatched", [timedelta(minutes=6), timedelta(days=2)])
def test_what_went_on_while_nobody_looked_is_no_recovery(unwatched: timedelta) -> None:
    """As while a KiroHealthCheck is suspended, or when the clock leaps ahead."""
    entries = (entry(1, "Failed"), entry(2, "Failed", UP, replicas=(4, 5)))
    memory = climb(*entries).memory
    for minutes in (1, 5):
        memory = decide(
            inputs(well(), platforms("api"), entries, memory=memory, now=NOW + timedelta(minutes=minutes))
        ).memory
    again = NOW + timedelta(minutes=5) + unwatched
    memory = decide(inputs(well(), platforms("api"), entries, memory=memory, now=again)).memory
    soon = climb(*entries, memory=memory, now=again + timedelta(minutes=4))
    assert reasons(soon) == [("api", "LadderExhausted")]


def test_blindness_is_no_recovery() -> None:
    entries = (entry(1, "Failed"), entry(2, "Failed", UP, replicas=(4, 5)))
    unknown = {"pods-ready": (Verdict(Status.UNKNOWN, "StaleWatch", "m"), False)}
    memory = climb(*entries).memory
    for minutes in (1, 20):
        facts = inputs(
            unknown, platforms("api"), entries, memory=memory, now=NOW + timedelta(minutes=minutes)
        )
        memory = decide(facts).memory
    assert reasons(climb(*entries, memory=memory, now=NOW + timedelta(minutes=30))) == [
        ("api", "LadderExhausted")
    ]


@pytest.mark.parametrize("ladder", [[], [{"action": "Scale"}]])
def test_a_ladder_without_the_remedy_goes_to_a_person(ladder: Any) -> None:
    short = spec(ladder=ladder)
    plan = decide(inputs(failing(finding(remedies=(RESTART,))), platforms("api"), health_check=short))
    assert reasons(plan) == [("api", "NotOnLadder")]


def test_a_target_whose_action_runs_is_locked_and_not_escalated() -> None:
    last = climb(entry(1, "Failed"), entry(2, "Verifying", UP, replicas=(3, 4)))
    assert told(last) == [("api", "ScaleUp", "Denied", "in-progress")]
    assert last.escalations == ()


@pytest.mark.parametrize(
    ("changes", "entries", "reason"),
    [
        ({"actions": [SPEC["actions"][0] | {"approval": "Manual"}]}, (), "ApprovalRequired"),
        ({"maxConsecutiveFailures": 1}, (entry(1, "Failed"),), "ConsecutiveFailures"),
    ],
)
def test_a_denial_that_only_a_person_can_lift_is_escalated(changes: Any, entries: Any, reason: str) -> None:
    plan = climb(*entries, policies=(Policy("safe", policy(**changes)),))
    assert reasons(plan) == [("api", reason)]


def test_names_are_not_used_again_after_a_denial() -> None:
    denied = entry(1, "Denied", ended=ago(minutes=30))
    (decision,) = climb(denied, entry(2, "Expired", ended=ago(minutes=30))).decisions
    assert (decision.decision, decision.intent.method, decision.intent.step) == ("Allowed", Method.EVICT, 3)


def test_until_is_when_to_think_again() -> None:
    plan = climb(entry(1, "Denied", ended=ago(seconds=10)))
    assert plan.decisions[0].reason == "RetryLater"
    assert plan.next == NOW + timedelta(seconds=20)


GROWN = entry(1, "Succeeded", UP, at=ago(hours=1), ended=ago(minutes=30), replicas=(3, 4))


def back(verdicts: Any = None, *entries: Any, **more: Any) -> Plan:
    facts = more.pop("facts", None) or snapshot([workload()], [pod(f"api-{n}") for n in range(4)])
    return decide(inputs(well() if verdicts is None else verdicts, facts, entries or (GROWN,), **more))


def test_what_was_scaled_up_is_scaled_back() -> None:
    (decision,) = back().decisions
    assert (decision.decision, decision.intent.method, decision.intent.replicas) == ("Allowed", BACK, (4, 3))
    assert (decision.intent.episode, decision.intent.step) == (1, 2)
    assert len(decision.passed) == len(GATES)


def selecting(app: str) -> KiroHealthCheckSpec:
    return KiroHealthCheckSpec.model_validate({"selector": {"matchLabels": {"app": app}}})


def needs(replicas: int) -> dict[str, tuple[Verdict, bool]]:
    verdict = Verdict(Status.PASS, "AsExpected", "m", replicas_needed=((ref(), replicas),))
    return well() | {"resource-utilization": (verdict, False)}


@pytest.mark.parametrize(
    ("verdicts", "entries", "more"),
    [
        (failing(finding()), (), {}),
        ({"pods-ready": (failing(finding())["pods-ready"][0], False)}, (), {}),
        (needs(4), (), {}),
        ({"pods-ready": (Verdict(Status.UNKNOWN, "StaleWatch", "m"), False)}, (), {}),
        ({"pods-ready": (Verdict(Status.SKIPPED, "NotConfigured", "m"), False)}, (), {}),
        (well("other"), (), {}),
        (None, (), {"health_check": selecting("web")}),
        (None, (GROWN, entry(2, "Verifying", target=ref())), {}),
        (None, (entry(1, "Failed", UP, replicas=(3, 4), reason="Reverted"),), {}),
        (None, (GROWN, entry(2, "Succeeded", BACK, replicas=(4, 3))), {}),
        (None, (), {"facts": snapshot([workload(replicas=5)], [])}),
        (None, (), {"facts": snapshot([workload()], [], [autoscaler("api")])}),
        (None, (), {"facts": snapshot([workload()], [], BLIND)}),
        (None, (), {"facts": snapshot([], [])}),
    ],
)
def test_nothing_is_taken_back_that_may_be_needed(verdicts: Any, entries: Any, more: Any) -> None:
    plan = back(verdicts, *entries, **more)
    assert not [d for d in plan.decisions if d.intent.method is BACK]


def test_a_health_check_takes_back_what_it_selects() -> None:
    assert told(back(health_check=selecting("api"))) == [("api", "ScaleBack", "Allowed", "all")]


def test_another_check_that_is_blind_does_not_keep_replicas() -> None:
    blind = well() | {"resource-utilization": (Verdict(Status.UNKNOWN, "NotInstalled", "m"), False)}
    assert told(back(blind)) == [("api", "ScaleBack", "Allowed", "all")]
    assert told(back(needs(3))) == [("api", "ScaleBack", "Allowed", "all")]


def test_scaling_back_waits_for_sustained_health() -> None:
    fresh = entry(1, "Succeeded", UP, at=ago(hours=1), ended=ago(minutes=4), replicas=(3, 4))
    plan = back(None, fresh)
    assert plan.decisions == ()
    assert plan.next == NOW + timedelta(minutes=6)
    # A fault seen in between starts the wait anew.
    memory = back(failing(finding()), now=NOW - timedelta(minutes=3)).memory
    again = back(memory=memory)
    assert again.decisions == ()
    assert again.next == NOW + timedelta(minutes=7)


def test_a_denied_step_back_troubles_nobody() -> None:
    manual = [{"name": "Scale", "budget": {"limit": 1, "window": "1h"}}]
    plan = back(policies=(Policy("safe", policy(actions=manual)),))
    assert told(plan) == [("api", "ScaleBack", "Denied", "approval")]
    assert plan.escalations == ()


def test_an_action_can_be_asked_about_again_before_it_is_done() -> None:
    reserved = Ledger((entry(1, "Reserved"),))
    wanted = intent()
    policies = [Policy("safe", policy())]

    def again(ledger: Ledger) -> Decision:
        return rule(wanted, policies, situation(wanted), ledger, NOW)

    assert again(reserved).gate == "in-progress"
    assert again(reserved.without(wanted.name)).decision == "Allowed"
