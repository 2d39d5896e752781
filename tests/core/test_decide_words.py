"""What a plan says to people, and what an intent carries: word for word, field by field."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.core.decide import Decision, Escalation, Held, Plan, Policy, decide, rule
from kiro_operator.core.objects import DaemonSet
from kiro_operator.core.policy.types import Entry, Ledger, reserved
from kiro_operator.core.snapshot import Ref, Unobserved
from tests.core.policy.make import (
    BLIND,
    NOW,
    RESTART,
    SCALE,
    ago,
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
)

SAID = "Pod api-0: CrashLoopBackOff"


def planned(*entries: Entry, **more: Any) -> Plan:
    made, pods = platform()
    facts = more.pop("facts", snapshot([made], pods))
    found = more.pop("found", (finding(),))
    return decide(inputs(failing(*found), facts, entries, **more))


def escalated(reason: str, message: str, target: Ref | None = None) -> tuple[Escalation, ...]:
    return (Escalation(target or ref(), "pods-ready", reason, "CrashLoopBackOff", message),)


def test_what_no_remedy_helps_against() -> None:
    plan = planned(found=(finding(remedies=()),))
    assert plan.escalations == escalated("NoRemedy", f"Deployment api: no remedy helps against it: {SAID}")
    more = planned(found=(finding(remedies=()), finding("api-1", remedies=())))
    assert more.escalations[0].message.endswith(f"{SAID} (1 more findings)")


def test_a_bare_pod() -> None:
    bare = Ref("Pod", "api-0", "uid-api-0")
    plan = planned(found=(finding(target=bare),), facts=snapshot([], [pod("api-0", owner="", ready=False)]))
    assert plan.escalations == escalated(
        "BarePod", f"Pod api-0: nothing would bring this pod back: {SAID}", bare
    )


def test_what_has_a_controller_of_its_own() -> None:
    job = Ref("Job", "nightly", "uid-nightly")
    plan = planned(found=(finding(target=job),))
    assert plan.escalations == escalated(
        "NotSupported", f"Job nightly: a Job is left to its own controller: {SAID}", job
    )


def test_replica_sets_that_cannot_be_seen() -> None:
    owner = Ref("ReplicaSet", "api-rs", "uid-api-rs")
    made, pods = platform()
    facts = replace(snapshot([made], pods), replica_sets=Unobserved("Forbidden", "add the rule"))
    plan = planned(found=(finding(target=owner),), facts=facts)
    assert plan.held == (Held(owner, "pods-ready", RESTART, "EvidenceMissing", "replicasets: add the rule"),)
    assert plan.escalations == ()
    seen = planned(found=(finding(target=owner),))
    assert seen.escalations[0].reason == "NotSupported"


def test_a_workload_that_is_not_to_be_seen() -> None:
    plan = planned(facts=snapshot([], [pod("api-0", ready=False)]))
    message = "Deployment api is not to be seen, or is another object by now"
    assert plan.held == (Held(ref(), "pods-ready", RESTART, "EvidenceMissing", message),)


def test_pods_that_are_being_replaced_already() -> None:
    made, pods = platform()
    leaving = [pod("api-0", ready=False, deleted=NOW), *pods[1:]]
    plan = planned(facts=snapshot([made], leaving))
    message = "the failing pods of Deployment api are being replaced already"
    assert plan.held == (Held(ref(), "pods-ready", RESTART, "PodsReplaced", message),)


def test_a_ladder_that_holds_nothing_that_helps() -> None:
    plan = planned(health_check=spec((SCALE, "5m")), found=(finding(remedies=(RESTART,)),))
    assert plan.escalations == escalated(
        "NotOnLadder", f"Deployment api: the ladder holds nothing that helps: {SAID}"
    )


def test_a_ladder_that_did_not_help() -> None:
    plan = planned(entry(1, "Failed"), health_check=spec((RESTART, "5m")))
    assert plan.escalations == escalated(
        "LadderExhausted", f"Deployment api: what the ladder holds did not help: {SAID}"
    )


def test_the_first_rung_that_cannot_be_done_is_told() -> None:
    made, pods = platform(kind=DaemonSet)
    target = ref(kind="DaemonSet")
    plan = planned(
        health_check=spec((SCALE, "5m"), (SCALE, "6m")),
        found=(finding(target=target),),
        facts=snapshot([made], pods),
    )
    assert plan.escalations == escalated(
        "NotScalable",
        f"DaemonSet api runs one pod a node: it has no replicas: {SAID}",
        target,
    )


def test_a_denial_that_calls_a_person_says_why() -> None:
    plan = planned(policies=(Policy("safe", policy(actions=[])),))
    message = "Restart is not listed in spec.actions of the policy (listed: none)"
    assert plan.escalations == (
        Escalation(ref(), "pods-ready", "ActionNotAllowed", "CrashLoopBackOff", message),
    )


@pytest.mark.parametrize("timeout", ["5m", "7m"])
def test_what_an_intent_carries(timeout: str) -> None:
    (decision,) = planned(health_check=spec((RESTART, timeout), stabilization="45s")).decisions
    wanted = decision.intent
    assert (wanted.check, wanted.reason, wanted.message) == ("pods-ready", "CrashLoopBackOff", SAID)
    assert wanted.timeout == timedelta(minutes=int(timeout[0]))
    assert wanted.stabilization == timedelta(seconds=45)
    assert (wanted.action, wanted.method, wanted.target, wanted.api_version) == (
        RESTART,
        Method.EVICT,
        ref(),
        "apps/v1",
    )


@pytest.mark.parametrize(
    ("ladder", "expected"),
    [
        (((RESTART, "5m"), (SCALE, "7m"), (SCALE, "9m")), timedelta(minutes=7)),
        (((RESTART, "7m"),), timedelta(minutes=5)),  # as a step that says nothing of it
    ],
)
def test_a_step_back_has_the_time_of_a_step_up(ladder: Any, expected: timedelta) -> None:
    made, pods = platform(4, 0)
    grown = entry(1, "Succeeded", Method.SCALE_UP, at=ago(hours=3), ended=ago(hours=2), replicas=(3, 4))
    checked = spec(*ladder, stabilization="45s")
    (decision,) = decide(inputs(well(), snapshot([made], pods), [grown], health_check=checked)).decisions
    wanted = decision.intent
    assert (wanted.method, wanted.replicas, wanted.timeout) == (Method.SCALE_BACK, (4, 3), expected)
    assert wanted.stabilization == timedelta(seconds=45)
    assert (wanted.reason, wanted.check) == ("Recovered", "pods-ready")
    assert wanted.message == "Deployment api stayed well: back from 4 towards 3 replicas"


def test_what_is_reserved_is_what_was_wanted() -> None:
    wanted = intent(Method.SCALE_UP, episode=2, step=3)
    assert reserved(wanted, NOW) == Entry(
        name=wanted.name,
        action=SCALE,
        method=Method.SCALE_UP,
        target=ref(),
        episode=2,
        step=3,
        state=RemediationState.RESERVED,
        reserved_at=NOW,
        replicas=(4, 5),
        check="pods-ready",
    )


ASKED = (situation(), Ledger(), NOW)


def test_the_words_of_a_ruling() -> None:
    wanted = intent()
    none = rule(wanted, (), *ASKED)
    assert none == Decision(
        wanted, "Denied", "policy", "NoPolicy", "no KiroSafetyPolicy is named: observation only"
    )
    broken = rule(wanted, (Policy("b", None, "odd"), Policy("a", policy())), *ASKED)
    assert broken == Decision(
        wanted,
        "Denied",
        "policy",
        "PolicyUnusable",
        "KiroSafetyPolicy b cannot be used: odd",
        needs_person=True,
    )
    dry = rule(wanted, (Policy("a", policy(mode="DryRun")),), *ASKED)
    assert (dry.decision, dry.gate, dry.reason) == ("DryRun", "mode", "ModeDryRun")
    words = "the policy is in mode DryRun: this would be done now"
    assert dry.message == f"{words}: Evict of Deployment api: Pod api-0"
    free = rule(wanted, (Policy("a", policy()),), *ASKED)
    assert (free.decision, free.gate, free.reason) == ("Allowed", "all", "Allowed")
    assert free.message == "all 19 gates let it through"
    assert dry.passed
    assert free.passed
    long = rule(wanted, (Policy("b", None, "x" * 2000),), *ASKED)
    assert len(long.message) == 1024


def test_a_suspended_health_check_plans_nothing() -> None:
    asleep = spec().model_copy(update={"suspend": True})
    plan = planned(entry(1, "Failed"), health_check=asleep)
    assert (plan.decisions, plan.escalations, plan.held) == ((), (), ())
    assert set(plan.memory) == {"uid-api"}


def test_blind_to_pods_a_restart_is_held() -> None:
    made, _ = platform()
    plan = planned(facts=snapshot([made], BLIND))
    assert plan.held == (Held(ref(), "pods-ready", RESTART, "EvidenceMissing", "pods: the watch is stale"),)
