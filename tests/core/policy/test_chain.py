"""The chain of gates: its order, that each is asked, and whose answer counts."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import WRITES, Method
from kiro_operator.api.v1alpha1.safetypolicy import Storm
from kiro_operator.core.objects import TemplateAnnotations
from kiro_operator.core.policy.gates import GATES, run_gates
from kiro_operator.core.policy.plan import Policy
from kiro_operator.core.policy.ruling import rule
from kiro_operator.core.policy.types import Entry, Ledger
from kiro_operator.core.snapshot import Ref
from tests.core.policy.asking import EVICT, ROLL, UP
from tests.core.policy.make import (
    BLIND,
    NOW,
    SPEC,
    ago,
    entry,
    intent,
    platform,
    policy,
    ref,
    situation,
    snapshot,
)

NAMES = [name for name, _ in GATES]
NOON = {"name": "noon", "schedule": "0 11 * * *", "duration": "2h", "timeZone": "UTC"}
OF_SCALING = {"autoscaler", "gitops", "scale-limits"}
OF_PODS = {"disruption", "recently-remediated"}
PATCH, CREATE = Method.PATCH, Method.CREATE
PAST = ago(hours=20)


def spec_of(shut: set[str]) -> dict[str, Any]:
    """Changes to a policy that shut each of these gates."""
    changes: dict[str, dict[str, Any]] = {
        "mode": {"mode": "Observe"},
        "approval": {"actions": [{**each, "approval": "Manual"} for each in SPEC["actions"]]},
        "allowed-actions": {"actions": []},
        "pause-requests": {"pauseRequests": ["audit"]},
        "forbidden-windows": {"forbiddenWindows": [NOON]},
        "maintenance-windows": {"maintenanceWindows": [NOON | {"schedule": "0 1 * * *"}]},
        "scale-limits": {"scale": {"floor": 1, "ceiling": 4, "step": 1}},
        "budget": {"budget": {"limit": 0, "window": "1h"}},
    }
    merged: dict[str, Any] = {}
    for name, change in changes.items():
        if name in shut:
            merged |= change
    return merged


def past_of(shut: set[str]) -> tuple[Entry, ...]:
    """A past that shuts each of these gates for an intent of the second episode."""
    entries: dict[str, tuple[Entry, ...]] = {
        "gitops": tuple(entry(step, "Failed", UP, at=PAST, reason="Reverted") for step in (1, 2)),
        "in-progress": (entry(3, "Verifying", EVICT, at=PAST),),
        "cooldown": (entry(4, "Succeeded", EVICT, at=ago(minutes=1)),),
        "backoff": (entry(1, "Failed", EVICT, episode=2, at=PAST, ended=ago(minutes=1)),),
        "consecutive-failures": tuple(
            entry(step, "Failed", EVICT, episode=2, at=PAST, ended=ago(hours=10)) for step in (2, 3, 4)
        ),
    }
    return tuple(item for name, items in entries.items() if name in shut for item in items)


def binding(method: Method) -> list[str]:
    """The gates that can be shut for a method, in their order."""
    free = OF_PODS | OF_SCALING if method in WRITES else {"disruption"} if method is UP else OF_SCALING
    return [name for name in NAMES if name not in free]


@pytest.mark.parametrize("method", [ROLL, UP, PATCH, CREATE])
def test_the_first_gate_that_is_shut_decides(method: Method) -> None:
    """All that can be are shut at once; as each is opened, the next one in the order decides."""
    target = Ref("ConfigMap", "api", ref().uid) if method in WRITES else ref()
    wanted = intent(method, target=target, episode=2, step=9)
    mine = binding(method)
    shut = set(mine)
    for name in mine:
        ruling = ruled(wanted, shut)
        assert ruling.gate == name
        assert ruling.denial is not None
        assert [passed.gate for passed in ruling.passed] == NAMES[: NAMES.index(name)]
        assert all(passed.message for passed in ruling.passed)
        shut.remove(name)
    through = ruled(wanted, shut)
    assert through.denial is None
    assert [passed.gate for passed in through.passed] == NAMES


def ruled(wanted: Any, shut: set[str]) -> Any:
    restarted = "2026-06-10T11:59:00Z" if "recently-remediated" in shut else ""
    made, pods = platform(paused="disruption" in shut, template=TemplateAnnotations(restarted_at=restarted))
    changes: dict[str, Any] = {}
    if wanted.method in WRITES:  # of a ConfigMap: there, and no workload
        changes |= {"workload": None, "observed": True}
    if "protected" in shut:
        changes["protected"] = True
    if "autoscaler" in shut:
        changes["autoscaler"] = "hpa"
    if "blast-radius" in shut:
        changes["unhealthy_pods"] = 4
    if "storm" in shut:
        changes["storm"] = Storm(since=NOW)
    facts = situation(wanted, snapshot([made], pods), **changes)
    return run_gates(wanted, policy(**spec_of(shut)), facts, Ledger(past_of(shut)), NOW)


def test_every_gate_is_shut_by_something_here() -> None:
    """Otherwise the test above would prove nothing of the ones that are left out."""
    for name in NAMES:
        method = UP if name in OF_SCALING else ROLL
        ruling = ruled(intent(method, episode=2, step=9), {name})
        assert ruling.gate == name


@pytest.mark.parametrize("method", [method for method in Method if method is not Method.ADVISE])
def test_without_evidence_nothing_passes(method: Method) -> None:
    wanted = intent(method)
    blind = situation(wanted, snapshot([], BLIND, BLIND))
    ruling = run_gates(wanted, policy(), blind, Ledger(), NOW)
    assert ruling.denial is not None
    assert ruling.denial.reason == ("AppliedByPerson" if method is Method.ADVISE else "EvidenceMissing")


def test_what_a_person_applies_never_passes() -> None:
    ruling = run_gates(intent(Method.ADVISE), policy(), situation(), Ledger(), NOW)
    assert (ruling.gate, ruling.denial is not None) == ("approval", True)


@pytest.mark.parametrize("field", [name for name in SPEC if name not in {"mode", "actions"}])
def test_without_a_field_nothing_passes(field: str) -> None:
    dropped: dict[str, Any] = {field: None}
    ruling = run_gates(intent(UP), policy(**dropped), situation(intent(UP)), Ledger(), NOW)
    assert ruling.denial is not None
    assert ruling.denial.reason == "PolicyIncomplete"
    assert ruling.denial.needs_person


def test_the_narrowest_policy_wins_whatever_the_order() -> None:
    """Of several policies that deny, the gate that comes first in the order is told."""
    paused, spent = policy(pauseRequests=["audit"]), policy(budget={"limit": 0, "window": "1h"})
    policies = [Policy("a", policy()), Policy("b", spent), Policy("c", paused)]
    for order in (policies, policies[::-1], policies[1:] + policies[:1]):
        decision = rule(intent(), order, situation(), Ledger(), NOW)
        assert (decision.decision, decision.gate) == ("Denied", "pause-requests")
        assert [passed.gate for passed in decision.passed] == NAMES[: NAMES.index("pause-requests")]
    dry = [Policy("a", policy()), Policy("b", policy(mode="DryRun"))]
    assert rule(intent(), dry, situation(), Ledger(), NOW).decision == "DryRun"
    assert rule(intent(), dry[:1], situation(), Ledger(), NOW).decision == "Allowed"


LASTS, OVER = Storm(since=ago(hours=1)), Storm(since=ago(hours=1), subsided=ago(minutes=1))
SHUT = {
    "person": Policy("", policy(stormCooldown=None)),
    "no time": Policy("", policy(), storm=LASTS),
    "late": Policy("", policy(stormCooldown="20m"), storm=OVER),
    "early": Policy("", policy(stormCooldown="10m"), storm=OVER),
    "open": Policy("", policy()),
}
"""Policies by how the gate `storm` answers under each."""


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (("person", "no time"), ("PolicyIncomplete", None, True)),
        (("person", "late"), ("PolicyIncomplete", None, True)),
        (("person", "early", "no time", "late", "open"), ("PolicyIncomplete", None, True)),
        (("no time", "late"), ("TooManyUnhealthy", None, False)),
        (("late", "no time", "early"), ("TooManyUnhealthy", None, False)),
        (("early", "late"), ("StormCooldown", NOW + timedelta(minutes=19), False)),
        (("early", "open"), ("StormCooldown", NOW + timedelta(minutes=9), False)),
    ],
)
def test_of_policies_that_deny_at_one_gate_the_one_that_holds_longest_is_told(
    answers: tuple[str, ...], expected: Any
) -> None:
    for order in (answers, answers[::-1]):
        policies = [replace(SHUT[answer], name=f"p{number}") for number, answer in enumerate(order)]
        decision = rule(intent(), policies, situation(), Ledger(), NOW)
        assert decision.gate == "storm"
        assert (decision.reason, decision.until, decision.needs_person) == expected


def test_of_policies_that_hold_as_long_the_first_by_name_is_told() -> None:
    """In whatever order they are given."""
    first, second = Policy("a", policy(pauseRequests=["audit"])), Policy("b", policy(pauseRequests=["move"]))
    told = {
        rule(intent(), order, situation(), Ledger(), NOW).message
        for order in ([first, second], [second, first])
    }
    assert len(told) == 1
    assert "audit" in told.pop()


def test_a_policy_that_cannot_be_read_allows_nothing() -> None:
    broken = Policy("b", None, "spec.cooldown: odd")
    decision = rule(intent(), [Policy("a", policy()), broken], situation(), Ledger(), NOW)
    assert (decision.decision, decision.gate, decision.reason) == ("Denied", "policy", "PolicyUnusable")
    assert "spec.cooldown: odd" in decision.message
    assert rule(intent(), [], situation(), Ledger(), NOW).reason == "NoPolicy"


def test_until_is_told_with_the_denial() -> None:
    cooling = Ledger((entry(4, "Succeeded", EVICT, at=ago(minutes=1)),))
    decision = rule(intent(episode=2), [Policy("a", policy())], situation(), cooling, NOW)
    assert (decision.gate, decision.reason) == ("cooldown", "Cooldown")
    assert decision.until == NOW + timedelta(minutes=4)
    later = rule(intent(episode=2), [Policy("a", policy())], situation(), cooling, decision.until)
    assert later.decision == "Allowed"
