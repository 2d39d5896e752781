"""What status.decisions shows of an action that cannot even be put to the gates."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.healthcheck import ActionName, Decision, ObjectName
from kiro_operator.core.decide import Held, Plan, decide
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.snapshot import Ref
from kiro_operator.reconcile.plans import decisions, escalations
from tests.core.policy.make import (
    BLIND,
    NOW,
    RESTART,
    entry,
    failing,
    finding,
    inputs,
    platform,
    pod,
    ref,
    snapshot,
)

MADE, PODS = platform()
LEAVING = [pod("api-0", ready=False, deleted=NOW), *PODS[1:]]
HELD = Held(ref(), "mcp-connection", ActionName.RECONNECT_MCP, "NoReadyPod", "no pod of it is ready")


def test_it_is_denied_with_why_and_calls_nobody() -> None:
    plan = Plan(held=(HELD, HELD))
    [shown] = decisions(plan, Ledger())
    assert shown == Decision(
        action=ActionName.RECONNECT_MCP,
        target=ObjectName(kind="Deployment", name="api"),
        check="mcp-connection",
        decision="Denied",
        gate="target",
        reason="NoReadyPod",
        message="no pod of it is ready",
    )
    assert escalations(plan) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (snapshot([MADE], BLIND), "EvidenceMissing"),
        (snapshot([], PODS), "EvidenceMissing"),
        (snapshot([MADE], LEAVING), "PodsReplaced"),
    ],
)
def test_it_says_the_same_at_each_look(facts: Any, reason: str) -> None:
    looks = []
    for minutes in (0, 1, 90):
        given = inputs(failing(finding()), facts, now=NOW + timedelta(minutes=minutes))
        looks.append(decisions(decide(given), Ledger()))
    assert [(item.action, item.gate, item.reason) for item in looks[0]] == [(RESTART, "target", reason)]
    assert looks[0] == looks[1] == looks[2]


def test_it_is_shown_behind_what_the_gates_have_ruled_on() -> None:
    other, more = platform(name="web")
    facts = snapshot([MADE, other], [*LEAVING, *more])
    plan = decide(inputs(failing(finding(), finding("web-0", ref("web"))), facts))
    shown = [(item.target.name, item.decision, item.gate) for item in decisions(plan, Ledger())]
    assert shown == [("web", "Allowed", "all"), ("api", "Denied", "target")]


@pytest.mark.parametrize("reason", ["AlreadySet", "AwaitingSamples", "Healed", "NotDesired"])
def test_what_the_next_look_ends_is_not_shown(reason: str) -> None:
    assert decisions(Plan(held=(replace(HELD, reason=reason),)), Ledger()) == []


@pytest.mark.parametrize(
    ("state", "target", "shown"),
    [("Verifying", ref(), 0), ("Succeeded", ref(), 1), ("Verifying", ref("web"), 1)],
)
def test_while_an_action_runs_on_the_target_that_one_is_told(state: str, target: Ref, shown: int) -> None:
    ledger = Ledger((entry(1, state, target=target),))
    assert len(decisions(Plan(held=(HELD,)), ledger)) == shown


def test_a_name_that_the_api_would_refuse_silences_nothing() -> None:
    found = Ref("k" * 200, "a" * 400)
    [shown] = decisions(Plan(held=(replace(HELD, target=found),)), Ledger())
    assert (len(shown.target.kind), len(shown.target.name)) == (128, 253)
