"""What the status tells of a plan, and what the next process knows by it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckStatus
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.conditions import DECISIONS
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.objects import Approval
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.policy.wellness import Memory, Need, Wellness
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.core.verdict import unknown
from kiro_operator.reconcile import plans
from kiro_operator.reconcile.target import Target
from tests.core.policy.make import (
    NOW,
    SPEC,
    ago,
    failing,
    finding,
    inputs,
    platform,
    policy,
    snapshot,
    well,
)
from tests.core.policy.test_approvals import MANUAL, approval, only
from tests.core.policy.test_plans import grown
from tests.reconcile.test_told_words import body

AUTOMATIC: list[Any] = SPEC["actions"]


def plan(
    memory: Memory | None = None, approvals: tuple[Approval, ...] | Unobserved = (), **changes: Any
) -> Plan:
    made, pods = platform()
    policies = (Policy("safe", policy(**changes)),)
    given = inputs(failing(finding()), snapshot([made], pods), policies=policies, memory=memory)
    return decide(replace(given, approvals=approvals))


def back(
    memory: Memory | None = None,
    approvals: tuple[Approval, ...] = (),
    *,
    ill: bool = False,
    blind: bool = False,
    settled: bool = True,
    names: Sequence[str] = ("api",),
    minutes: int = 0,
    **changes: Any,
) -> Plan:
    """Of workloads that were scaled up, and have been well since."""
    verdicts = failing(finding()) if ill else well()
    if blind:
        verdicts = {check: (unknown(Unobserved("Timeout", "late")), False) for check in verdicts}
    if not settled:
        verdicts = {check: (verdict, False) for check, (verdict, _) in verdicts.items()}
    made = [platform(8, int(ill), name=name) for name in names]
    given = inputs(
        verdicts,
        snapshot([each for each, _ in made], [pod for _, pods in made for pod in pods]),
        [grown(name) for name in names],
        policies=(Policy("safe", policy(**changes)),),
        memory=memory,
        now=NOW + timedelta(minutes=minutes),
    )
    return decide(replace(given, approvals=approvals))


def watched(
    memory: Memory, approvals: tuple[Approval, ...] = (), *, minutes: int, until: int, **changes: Any
) -> Plan:
    """The last of looks that are never further apart than a process makes them."""
    for minute in range(minutes, until, 4):
        memory = back(memory, approvals, minutes=minute, **changes).memory
    return back(memory, approvals, minutes=until, **changes)


def restarted(before: Plan) -> Memory:
    """What another process remembers, by the status that is left to it."""
    status = KiroHealthCheckStatus(asked=plans.asked(before))
    target = Target(("kiro-system", "kiro"))
    target.take(body(1, status=status.model_dump(mode="json", by_alias=True, exclude_none=True)))
    return target.memory


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"actions": AUTOMATIC},
        {"actions": AUTOMATIC, "pauseRequests": ["INC-7"]},
        {"actions": MANUAL},
        {"actions": MANUAL[1:]},
        {"mode": "Observe"},
        {"mode": "DryRun"},
    ],
)
@pytest.mark.parametrize("hidden", [False, True])
def test_a_plan_that_was_denied_is_the_same_to_the_next_process(
    meanwhile: dict[str, Any],
    hidden: bool,  # noqa: FBT001
) -> None:
    began = {"uid-api": Wellness(need=Need(ago(hours=1), "pods-ready"))}
    first = plan(began, actions=MANUAL)
    [before] = first.decisions
    denied = approval("Deny", digest=before.intent.digest)
    seen = only("StaleWatch") if hidden else (denied,)

    left = restarted(plan(first.memory, seen, **meanwhile))

    [now] = plan(left, (denied,), actions=AUTOMATIC).decisions
    assert (now.reason, now.intent.digest) == ("ApprovalDenied", before.intent.digest)
    [unseen] = plan(left, only("StaleWatch"), actions=AUTOMATIC).decisions
    assert (unseen.reason, unseen.intent.digest) == ("EvidenceMissing", before.intent.digest)


@pytest.mark.parametrize("meanwhile", [{"actions": AUTOMATIC}, {"actions": MANUAL}, {"mode": "DryRun"}])
def test_a_step_back_that_was_denied_is_the_same_to_the_next_process(meanwhile: dict[str, Any]) -> None:
    first = back(actions=MANUAL)
    [before] = first.decisions
    denied = approval("Deny", digest=before.intent.digest)

    left = restarted(back(first.memory, (denied,), minutes=1, **meanwhile))

    assert not back(left, (denied,), minutes=2, actions=AUTOMATIC).decisions, "it may have failed just now"
    [now] = watched(left, (denied,), minutes=2, until=12, actions=AUTOMATIC).decisions
    assert (now.intent.method, now.reason) == (Method.SCALE_BACK, "ApprovalDenied")
    assert now.intent.digest == before.intent.digest


def test_a_step_back_that_is_not_due_for_a_while_stays_denied() -> None:
    first = back(actions=MANUAL)
    [before] = first.decisions
    denied = (approval("Deny", digest=before.intent.digest),)
    unseen = back(first.memory, denied, blind=True, minutes=1, actions=MANUAL)
    again = back(unseen.memory, denied, minutes=2, actions=MANUAL)
    assert not again.decisions

    [now] = watched(restarted(again), denied, minutes=3, until=13, actions=AUTOMATIC).decisions

    assert (now.reason, now.intent.digest) == ("ApprovalDenied", before.intent.digest)


def test_what_shows_for_a_moment_ends_no_denial_of_a_step_back() -> None:
    first = back(actions=MANUAL)
    [before] = first.decisions
    denied = (approval("Deny", digest=before.intent.digest),)
    moment = back(first.memory, denied, ill=True, settled=False, minutes=1, actions=MANUAL)
    [now] = watched(moment.memory, denied, minutes=2, until=30, actions=AUTOMATIC).decisions
    assert (now.reason, now.intent.digest) == ("ApprovalDenied", before.intent.digest)


def test_the_status_of_a_later_version_is_read_but_for_what_is_new() -> None:
    asked = plans.asked(back(actions=MANUAL))
    status = KiroHealthCheckStatus(asked=asked).model_dump(mode="json", by_alias=True, exclude_none=True)
    status |= {"new": 1, "asked": [item | {"new": {"a": 2}} for item in status["asked"]]}
    target = Target(("kiro-system", "kiro"))
    target.take(body(1, status=status))
    assert list(target.memory) == ["uid-api"]


def test_more_than_a_status_shows_are_the_same_to_the_next_process() -> None:
    names = [f"api-{number:02}" for number in range(2 * DECISIONS)]
    first = back(names=names, actions=MANUAL)
    wanted = {decision.intent.digest for decision in first.decisions}
    assert len(wanted) == len(names)
    later = watched(restarted(first), names=names, minutes=5, until=15, actions=MANUAL)
    assert {decision.intent.digest for decision in later.decisions} == wanted


def test_a_step_back_after_another_illness_is_another_one() -> None:
    first = back(actions=MANUAL)
    ill = back(first.memory, ill=True, minutes=1, actions=MANUAL)
    assert ill.memory["uid-api"].back is None
    later = watched(ill.memory, minutes=2, until=60, actions=MANUAL)
    digests = [plan.decisions[0].intent.digest for plan in (first, later)]
    assert [plan.decisions[0].intent.method for plan in (first, later)] == [Method.SCALE_BACK] * 2
    assert digests[0] != digests[1]


def test_what_nobody_was_asked_about_is_no_request() -> None:
    [decision] = plans.decisions(plan(actions=AUTOMATIC, pauseRequests=["INC-7"]), Ledger())
    assert decision.approval is None
    [decision] = plans.decisions(plan(actions=MANUAL[1:]), Ledger())
    assert decision.approval is None
