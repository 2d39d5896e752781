"""The status: a function of its inputs, within its bounds, and always consistent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.conditions import ConditionType
from kiro_operator.api.v1alpha1.healthcheck import (
    ApprovalRequest,
    Decision,
    GateState,
    KiroHealthCheckSpec,
    KiroHealthCheckStatus,
    ObjectIdentity,
    ObjectName,
)
from kiro_operator.core.checks import Check, Registered, registry
from kiro_operator.core.conditions import (
    Escalation,
    Judged,
    Outcome,
    Permission,
    broken_off,
    invariants,
    next_transition,
    summarize,
)
from kiro_operator.core.evidence.logs import POD_LOGS
from kiro_operator.core.snapshot import Ref, Source
from kiro_operator.core.verdict import Finding, Status, Verdict

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
ALLOWED = Permission(allowed=True, reason="PolicyAllows", message="within the limits of policy")
EMPTY = KiroHealthCheckStatus()


def registered(name: str = "pods-ready", *, polled: bool = False) -> Registered:
    source = POD_LOGS if polled else Source.PODS
    check = Check(
        title=name,
        section="1",
        command="kubectl get pods -n {namespace} {object}",
        sources=(source,),
        judge=lambda *_: Verdict(Status.PASS, "AsExpected", ""),
    )
    return Registered(name, "responsiveness", "Responsive", check)


def judged(status: Status, name: str = "pods-ready", *, polled: bool = False, **more: Any) -> Judged:
    reason = more.pop("reason", "AsExpected" if status is Status.PASS else "Broken")
    since = more.pop("since", NOW)
    verdict = Verdict(status, reason, more.pop("message", f"{name} says so"), **more)
    return Judged(registered(name, polled=polled), verdict, since)


def outcome(*items: Judged, **more: Any) -> Outcome:
    given: dict[str, Any] = {"generation": 3, "now": NOW, "judged": items, "permission": ALLOWED} | more
    return Outcome(namespace="kiro-system", **given)


def condition(status: KiroHealthCheckStatus, kind: str) -> tuple[str, str]:
    found = next(item for item in status.conditions if item.type == kind)
    return found.status, found.reason


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([judged(Status.PASS)], ("True", "AsExpected")),
        ([judged(Status.WARN)], ("True", "Warnings")),
        ([judged(Status.FAIL)], ("False", "ChecksFailing")),
        ([judged(Status.PASS), judged(Status.FAIL, "b")], ("False", "ChecksFailing")),
        ([judged(Status.UNKNOWN)], ("Unknown", "NotObserved")),
        ([judged(Status.PASS, "b"), judged(Status.UNKNOWN)], ("Unknown", "NotObserved")),
        ([judged(Status.PASS, "b"), judged(Status.UNKNOWN, polled=True)], ("True", "AsExpected")),
        ([judged(Status.UNKNOWN, polled=True)], ("Unknown", "NotObserved")),
        ([judged(Status.FAIL), judged(Status.UNKNOWN, "b")], ("False", "ChecksFailing")),
        ([judged(Status.SKIPPED)], ("Unknown", "NothingToJudge")),
        ([], ("Unknown", "NothingToJudge")),
    ],
)
def test_healthy_says_what_the_verdicts_add_up_to(items: list[Judged], expected: tuple[str, str]) -> None:
    assert condition(summarize(outcome(*items), EMPTY), "Healthy") == expected


def test_an_unhealthy_target_does_not_make_ready_false() -> None:
    status = summarize(outcome(judged(Status.FAIL)), EMPTY)
    assert condition(status, "Ready") == ("True", "Reconciled")
    assert "Stalled" not in {item.type for item in status.conditions}


def test_what_stalls_is_not_ready_and_says_why() -> None:
    problem = Permission(allowed=False, reason="UnknownCheck", message="did you mean pods-ready?")
    status = summarize(outcome(judged(Status.PASS), stalled=problem), EMPTY)
    assert condition(status, "Ready") == ("False", "UnknownCheck")
    assert condition(status, "Stalled") == ("True", "UnknownCheck")


@pytest.mark.parametrize(
    ("reason", "age", "expected"),
    [
        ("Timeout", 59, "True"),
        ("Timeout", 60, "False"),
        ("Forbidden", 0, "False"),
        ("NotInstalled", 0, "False"),
    ],
)
def test_observed_turns_false_after_its_grace(reason: str, age: int, expected: str) -> None:
    item = judged(Status.UNKNOWN, polled=True, reason=reason, since=NOW - timedelta(seconds=age))
    status = summarize(outcome(judged(Status.PASS, "b"), item), EMPTY)
    assert condition(status, "Observed")[0] == expected


def test_too_few_samples_are_no_blind_spot() -> None:
    since = NOW - timedelta(days=1)
    item = judged(Status.UNKNOWN, "decision-accuracy", reason="TooFewSamples", since=since)
    status = summarize(outcome(judged(Status.PASS), item), EMPTY)
    assert condition(status, "Healthy")[0] == condition(status, "Observed")[0] == "True"
    status = summarize(outcome(judged(Status.PASS), judged(Status.UNKNOWN, "b", since=since)), EMPTY)
    assert condition(status, "Healthy")[0] == "Unknown"


def test_the_time_at_which_observed_turns_is_known() -> None:
    item = judged(Status.UNKNOWN, polled=True, reason="Timeout", since=NOW - timedelta(seconds=10))
    assert next_transition([item], NOW) == NOW + timedelta(seconds=50)
    assert next_transition([judged(Status.PASS)], NOW) is None


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    first = summarize(outcome(judged(Status.PASS)), EMPTY)
    later = summarize(outcome(judged(Status.PASS), now=NOW + timedelta(hours=1)), first)
    assert later == first
    failing = summarize(outcome(judged(Status.FAIL), now=NOW + timedelta(hours=1)), later)
    times = {item.type: item.last_transition_time for item in failing.conditions}
    assert times["Healthy"] == NOW + timedelta(hours=1)
    assert times["Ready"] == NOW


def denied(name: str = "kiro", **more: Any) -> Decision:
    given = {
        "action": "Restart",
        "target": ObjectName(kind="Deployment", name=name),
        "check": "pods-ready",
        "decision": "Denied",
        "gate": "budget",
        "reason": "BudgetExhausted",
        "message": "3 of 3 used",
    }
    return Decision.model_validate(given | more)


def asked(state: str) -> ApprovalRequest:
    return ApprovalRequest(
        digest="d" * 64,
        change="Evict of Deployment kiro",
        target=ObjectIdentity(kind="Deployment", name="kiro", uid="u"),
        since=NOW,
        gates=[GateState.model_validate({"gate": "operator-approver", "state": state})],
    )


def test_a_denied_action_is_named_with_its_reason() -> None:
    status = summarize(outcome(judged(Status.FAIL), decisions=[denied()]), EMPTY)
    assert condition(status, "RemediationAllowed") == ("False", "BudgetExhausted")


@settings(max_examples=60, deadline=None)
@given(states=st.lists(st.sampled_from(("", "Waiting", "Approved", "Denied")), max_size=25))
def test_what_a_person_decides_on_is_shown_before_all_else(states: list[str]) -> None:
    """It can be approved by what is shown alone; of the rest as much is shown as has room, in its order."""
    wanted = [
        denied(f"w{number}", approval=asked(state) if state else None) for number, state in enumerate(states)
    ]
    status = summarize(outcome(judged(Status.FAIL), decisions=wanted), EMPTY)
    by_person = [item for item in wanted if item.approval]
    others = [item for item in wanted if not item.approval]
    assert status.decisions == (by_person + others)[:10]
    assert status.decision_count == len(wanted)


def test_an_escalation_is_a_condition() -> None:
    status = summarize(outcome(judged(Status.FAIL), escalations=[Escalation("NoRemedy", "image")]), EMPTY)
    assert condition(status, "Escalated") == ("True", "NoRemedy")
    assert condition(summarize(outcome(judged(Status.PASS)), status), "Escalated") == ("False", "NotNeeded")


def test_a_suspended_check_keeps_its_verdicts_and_drops_stalled() -> None:
    problem = Permission(allowed=False, reason="UnknownCheck", message="x")
    before = summarize(outcome(judged(Status.FAIL), stalled=problem), EMPTY)
    after = summarize(outcome(suspended=True, generation=4), before)
    assert after.checks == before.checks
    assert condition(after, "Ready") == ("True", "Suspended")
    assert condition(after, "Healthy") == condition(before, "Healthy")
    assert "Stalled" not in {item.type for item in after.conditions}


STALLED = Permission(allowed=False, reason="UnknownCheck", message="x")


@pytest.mark.parametrize(
    "before",
    [
        EMPTY,
        summarize(outcome(judged(Status.PASS)), EMPTY),
        summarize(outcome(judged(Status.FAIL), stalled=STALLED), EMPTY),
        summarize(outcome(waiting_for="pods"), EMPTY),
        summarize(outcome(suspended=True), summarize(outcome(judged(Status.PASS)), EMPTY)),
    ],
    ids=["empty", "judged", "stalled", "reconciling", "suspended"],
)
def test_when_work_breaks_off_no_verdict_holds_and_the_rest_stays(before: KiroHealthCheckStatus) -> None:
    problem = Permission(allowed=False, reason="InternalError", message="a fault")
    later = NOW + timedelta(minutes=5)

    after = broken_off(before, problem, 4, later)

    assert all(invariants(after).values())
    assert condition(after, "Ready") == ("False", "InternalError")
    assert condition(after, "Stalled") == ("True", "InternalError")
    kept = {"Ready", "Stalled", "Escalated"}
    assert {item.status for item in after.conditions if item.type not in kept} <= {"Unknown"}
    unchanged = {"observed_generation": 0, "conditions": []}
    assert after.model_copy(update=unchanged) == before.model_copy(update=unchanged)
    assert broken_off(after, problem, 4, later + timedelta(minutes=5)) == after


@settings(max_examples=60, deadline=None)
@given(
    statuses=st.lists(st.sampled_from(Status), max_size=65),
    text=st.sampled_from(("m", "é", "漢", "😀", '"', "\\")),
    size=st.integers(0, 3000),
    findings=st.integers(0, 40),
    stalled=st.booleans(),
    suspended=st.booleans(),
)
def test_every_status_keeps_its_invariants_and_its_bounds(
    statuses: list[Status], text: str, size: int, findings: int, *, stalled: bool, suspended: bool
) -> None:
    problem = Permission(allowed=False, reason="UnknownCheck", message=text * size)
    found = tuple(
        Finding(Ref("Pod", f"pod-{text * 200}-{number}"), "Broken", "m", NOW) for number in range(findings)
    )
    items = [
        replace(judged(status, f"check-{number}", message=text * size, findings=found), began=NOW)
        for number, status in enumerate(statuses)
    ]
    # What another check weighs says as well since when it stands.
    standing = {(item.object.kind, item.object.name): NOW for item in found}
    items[:3] = [replace(item, standing=standing) for item in items[:3]]
    status = summarize(
        outcome(*items, stalled=problem if stalled and not suspended else None, suspended=suspended), EMPTY
    )
    assert all(invariants(status).values())
    assert (
        len(json.dumps(status.model_dump(mode="json", by_alias=True), ensure_ascii=False).encode())
        <= 64 * 1024
    )


def test_the_graver_symptom_and_what_began_first_are_told_first() -> None:
    items = [
        judged(Status.FAIL, "cost", since=NOW - timedelta(hours=9)),
        judged(Status.FAIL, "late", since=NOW - timedelta(minutes=1)),
        judged(Status.FAIL, "early", since=NOW - timedelta(hours=1)),
    ]
    registered_ = items[0].registered
    costs = Registered(registered_.id, "cost-efficiency", ConditionType.COST_EFFICIENT, registered_.check)
    items[0] = Judged(costs, items[0].verdict, items[0].since)
    status = summarize(outcome(*items), EMPTY)
    message = next(item.message for item in status.conditions if item.type == "Healthy")
    assert message == "early: early says so; late: late says so; cost: cost says so"
    symptoms = {item.type: item.message for item in status.conditions}
    assert symptoms["CostEfficient"] == "cost: cost says so"


def test_every_failing_check_is_named_however_much_each_has_to_say() -> None:
    items = [judged(Status.FAIL, f"check-{number:02}", message="m" * 900) for number in range(30)]
    status = summarize(outcome(*items), EMPTY)
    message = next(item.message for item in status.conditions if item.type == "Healthy")
    assert all(item.registered.id in message for item in items)
    assert len(message) <= 1024


def test_a_check_that_does_not_pass_says_what_shows_the_same() -> None:
    finding = Finding(Ref("Pod", "kiro-1"), "Broken", "Pod kiro-1 is broken", NOW)
    failed, passing = judged(Status.FAIL, findings=(finding,)), judged(Status.PASS, "b")
    checks = {item.id: item for item in summarize(outcome(failed, passing), EMPTY).checks}
    assert checks["pods-ready"].command == "kubectl get pods -n kiro-system pod/kiro-1"
    assert checks["b"].command is None


def test_no_credential_gets_into_the_status() -> None:
    words = "Pod web: dial postgres://kiro:hunter2hunter2@db: refused; token=hunter2hunter2"
    finding = Finding(Ref("Pod", "web"), "Broken", words, NOW)
    status = summarize(
        outcome(
            judged(Status.FAIL, message=words, findings=(finding,)),
            judged(Status.UNKNOWN, "b", message=words),
            escalations=[Escalation("NeedsPerson", words)],
        ),
        EMPTY,
    )
    assert "hunter2" not in status.model_dump_json()
    assert status.model_dump_json().count("dial postgres://[redacted]@db: refused") >= 4


def test_no_credential_gets_into_a_command() -> None:
    item = registry()["cpu-usage"]
    query = 'up{dsn="postgres://kiro:hunter2hunter2@db"}'
    parameters = item.check.parameters.model_validate({"query": query})
    verdict = Verdict(Status.FAIL, "CpuHigh", "it is high")
    spec = KiroHealthCheckSpec.model_validate({"prometheus": {"host": "metrics.example:9090"}})
    told = summarize(outcome(Judged(item, verdict, NOW, parameters=parameters), spec=spec), EMPTY)
    command = "promtool query instant http://metrics.example:9090 'up{dsn=\"postgres://[redacted]@db\"}'"
    assert told.checks[0].command == command


def test_the_id_of_a_check_is_no_credential() -> None:
    item = judged(Status.FAIL, "mcp-authorization", message="MCP server docs refuses: password=hunter2")
    status = summarize(outcome(item), EMPTY)
    message = next(item.message for item in status.conditions if item.type == "Healthy")
    assert message.startswith("mcp-authorization: MCP server docs refuses")
    assert "hunter2" not in message


def test_performance_begins_with_the_bottleneck() -> None:
    def failing(name: str, minutes: int) -> Judged:
        item = judged(Status.FAIL, name, since=NOW - timedelta(minutes=minutes), message=f"{name} is bad")
        check = item.registered.check
        return Judged(
            Registered(name, "performance", ConditionType.PERFORMANCE_ADEQUATE, check),
            item.verdict,
            item.since,
        )

    items = [failing("response-time", 5), failing("storage-usage", 30), failing("database-performance", 10)]
    status = summarize(outcome(*items), EMPTY)
    message = next(item.message for item in status.conditions if item.type == "PerformanceAdequate")
    assert message.startswith("bottleneck: storage, since 2026-03-01T11:30:00Z")
    assert all(item.registered.id in message for item in items)
    alone = summarize(outcome(items[0]), EMPTY)
    message = next(item.message for item in alone.conditions if item.type == "PerformanceAdequate")
    assert message == "response-time: response-time is bad"


def test_the_bottleneck_is_what_was_seen_first_whatever_was_reported_first() -> None:
    def failing(name: str, began: int, within: int) -> Judged:
        check = judged(Status.FAIL, name).registered.check
        return Judged(
            Registered(name, "performance", ConditionType.PERFORMANCE_ADEQUATE, check),
            Verdict(Status.FAIL, "Broken", f"{name} is bad"),
            NOW,
            NOW - timedelta(minutes=began),
            timedelta(minutes=within),
        )

    def told(*items: Judged) -> str:
        status = summarize(outcome(*items), EMPTY)
        assert [item.began for item in status.checks] == [item.began for item in items]
        return next(item.message for item in status.conditions if item.type == "PerformanceAdequate")

    slow = failing("response-time", 45, 1)
    assert told(slow, failing("storage-usage", 46, 1)).startswith(
        "bottleneck: storage, since 2026-03-01T11:14:00Z, which explains response-time"
    )
    assert told(slow, failing("storage-usage", 41, 5)).startswith("bottleneck: storage")
    assert told(slow, failing("storage-usage", 41, 1)).startswith("storage-usage: ")


def test_names_that_the_api_would_refuse_silence_nothing() -> None:
    finding = Finding(Ref("k" * 200, "n" * 400), "Broken", f"{'n' * 400} is broken", NOW)
    item = judged(Status.FAIL, findings=(finding,), observed="o" * 300, threshold="t" * 300)
    [told] = summarize(outcome(item), EMPTY).checks
    sizes = [told.objects[0].kind, told.objects[0].name, told.observed or "", told.threshold or ""]
    assert [len(text.encode()) for text in sizes] == [128, 253, 128, 128]
