"""What the status tells of a plan, and what the next process knows by it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckStatus
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.objects import Approval
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.policy.wellness import Memory, Need, Wellness
from kiro_operator.core.snapshot import Unobserved
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
    minutes: int = 0,
    **changes: Any,
) -> Plan:
    """Of a workload that was scaled up, and has been well since."""
    made, pods = platform(8, int(ill))
    given = inputs(
        failing(finding()) if ill else well(),
        snapshot([made], pods),
        [grown("api")],
        policies=(Policy("safe", policy(**changes)),),
        memory=memory,
        now=NOW + timedelta(minutes=minutes),
    )
    return decide(replace(given, approvals=approvals))


def restarted(before: Plan) -> Memory:
    """What another process remembers, by the status that is left to it."""
    status = KiroHealthCheckStatus(decisions=plans.decisions(before, Ledger()))
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

    [now] = back(left, (denied,), minutes=2, actions=AUTOMATIC).decisions
    assert (now.intent.method, now.reason) == (Method.SCALE_BACK, "ApprovalDenied")
    assert now.intent.digest == before.intent.digest


def test_a_step_back_after_another_illness_is_another_one() -> None:
    first = back(actions=MANUAL)
    ill = back(first.memory, ill=True, minutes=1, actions=MANUAL)
    assert ill.memory["uid-api"].back is None
    later = back(ill.memory, minutes=60 * 24, actions=MANUAL)
    digests = [plan.decisions[0].intent.digest for plan in (first, later)]
    assert [plan.decisions[0].intent.method for plan in (first, later)] == [Method.SCALE_BACK] * 2
    assert digests[0] != digests[1]


def test_what_nobody_was_asked_about_is_no_request() -> None:
    [decision] = plans.decisions(plan(actions=AUTOMATIC, pauseRequests=["INC-7"]), Ledger())
    assert decision.approval is None
    [decision] = plans.decisions(plan(actions=MANUAL[1:]), Ledger())
    assert decision.approval is None
