"""The worst is told first, whenever it began."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from kiro_operator.api.v1alpha1.healthcheck import ActionName, KiroHealthCheckStatus
from kiro_operator.core.checks import registry
from kiro_operator.core.conditions import Judged, Outcome, Permission, summarize
from kiro_operator.core.gravity import IMPROVABLE, OUT_OF_SERVICE, UNSAFE, gravity
from kiro_operator.core.snapshot import Ref
from kiro_operator.core.verdict import Finding, Status, Verdict

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALLOWED = Permission(allowed=True, reason="PolicyAllows", message="within the limits of policy")


def judged(check: str, minutes: int = 0, status: Status = Status.FAIL, *remedies: ActionName) -> Judged:
    finding = Finding(Ref("Pod", check), "Broken", f"{check} is broken", NOW, remedies=remedies)
    findings = (finding,) if status is Status.FAIL else ()
    since = NOW - timedelta(minutes=minutes)
    return Judged(registry()[check], Verdict(status, "Broken", f"{check} is broken", findings), since)


def summary(*items: Judged) -> KiroHealthCheckStatus:
    outcome = Outcome(generation=1, namespace="kiro-system", now=NOW, judged=items, permission=ALLOWED)
    return summarize(outcome, KiroHealthCheckStatus())


def told(kind: str, *items: Judged) -> tuple[str, list[str]]:
    """The condition's reason, and the checks it names, in its order."""
    condition = next(item for item in summary(*items).conditions if item.type == kind)
    return condition.reason, [line.partition(":")[0] for line in condition.message.split("; ")]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("Responsive", ["pods-ready", "steering-permissions", "steering-syntax", "hooks-syntax"]),
        ("AutonomyEffective", ["aws-identity", "safety-config", "node-capacity", "escalation-triggers"]),
        ("PerformanceAdequate", ["error-rate", "response-time"]),
    ],
)
def test_a_symptom_begins_with_the_worst_whatever_began_first(condition: str, expected: list[str]) -> None:
    items = [judged(check, minutes) for minutes, check in enumerate(expected)]
    for order in permutations(items):
        assert told(condition, *order) == ("ChecksFailing", expected)


def test_of_the_same_gravity_what_waits_for_a_person_and_then_what_began_first() -> None:
    items = [
        judged("pods-ready", 60, Status.FAIL, ActionName.RESTART),
        judged("network-connectivity", 10),
        judged("mcp-connection", 20),
    ]
    assert told("Responsive", *items)[1] == ["mcp-connection", "network-connectivity", "pods-ready"]


def test_a_fault_comes_first_then_what_cannot_be_seen_and_then_a_warning() -> None:
    fail, warn, blind = (
        judged("hooks-syntax", 0, Status.FAIL),
        judged("pods-ready", 60, Status.WARN),
        judged("workloads-available", 90, Status.UNKNOWN),
    )
    assert told("Responsive", blind, warn, fail) == ("ChecksFailing", ["hooks-syntax"])
    assert told("Responsive", blind, warn) == ("NotObserved", ["workloads-available"])
    assert told("Responsive", warn) == ("Warnings", ["pods-ready"])


def test_so_does_the_column_of_what_fails() -> None:
    status = summary(judged("over-provisioned", 90), judged("steering-syntax", 60), judged("pods-ready"))
    assert status.failing == "pods-ready +2"


def test_each_check_has_one_gravity() -> None:
    named = [*OUT_OF_SERVICE, *UNSAFE, *IMPROVABLE]
    assert len(set(named)) == len(named)
    assert set(named) <= set(registry())


def test_what_an_earlier_process_found_waits_for_a_person_as_far_as_is_known() -> None:
    held = Verdict(Status.FAIL, "CrashLoopBackOff", "of an earlier process")
    assert gravity("pods-ready", held) < gravity(
        "pods-ready", judged("pods-ready", 0, Status.FAIL, ActionName.RESTART).verdict
    )
