"""The oracle itself: it lets a good run pass, and finds each wrong that it is there for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.matrix.audit import Write, accepted
from tests.faults.matrix.oracle import (
    AUTOSCALING,
    CHANGE_BOUNDARY,
    CHANGE_OPTIMIZATION,
    CHANGE_THRESHOLD,
    EDIT_STEERING,
    EVICT,
    RBAC,
    RECONNECT,
    REMOVE_UNUSED,
    RESTART,
    RESTORE,
    RESTORE_STEERING,
    RIGHT_SIZE,
    ROLLBACK,
    SCALE,
    Budget,
    Evidence,
    Remedy,
    Rule,
    done,
    judge,
)

Object = dict[str, Any]
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
HERE = "here"


def event(verb: str, resource: str, name: str, body: Object, *, second: float = 1, **changes: Any) -> Object:
    """A line of the audit log."""
    plural, _, subresource = resource.partition("/")
    return {
        "verb": verb,
        "user": {"username": "operator"},
        "objectRef": {"resource": plural, "subresource": subresource, "namespace": HERE, "name": name},
        "responseStatus": {"code": 200},
        "requestObject": body,
        "requestReceivedTimestamp": (START + timedelta(seconds=second)).isoformat(),
    } | changes


def write(verb: str, resource: str, name: str, body: Object, *, second: float = 1) -> Write:
    return accepted([event(verb, resource, name, body, second=second)], "operator")[0]


def eviction(pod: str = "pod-uid", *, second: float = 1, **preconditions: str) -> Write:
    fence = preconditions or {"uid": pod, "resourceVersion": "7"}
    return write(
        "create", "pods/eviction", "kiro-1", {"deleteOptions": {"preconditions": fence}}, second=second
    )


def restart(intent: str, *, second: float = 1, version: str = "7") -> Write:
    template = {"metadata": {"annotations": {"kiro.dev/restarted-by": intent}}}
    body = {"metadata": {"uid": "u", "resourceVersion": version}, "spec": {"template": template}}
    return write("patch", "deployments", "kiro", body, second=second)


def scale(replicas: int, *, second: float = 1) -> Write:
    body = {"metadata": {"uid": "u", "resourceVersion": "7"}, "spec": {"replicas": replicas}}
    return write("patch", "deployments/scale", "kiro", body, second=second)


def record(name: str, *, second: float = 0) -> Write:
    return write("create", "kiroremediations", "", {"metadata": {"name": name}}, second=second)


def intent(name: str = "one", *, second: float = 0, state: str = "Succeeded", **spec: Any) -> Object:
    target = {"pod": {"uid": "pod-uid"}, "target": {"name": "kiro"}}
    return {
        "metadata": {"name": name, "creationTimestamp": (START + timedelta(seconds=second)).isoformat()},
        "spec": target | spec,
        "status": {"state": state, "actingAt": "2026-01-01T12:00:01Z", "actedAt": "2026-01-01T12:00:01Z"},
    }


GOOD = Evidence(
    namespace=HERE,
    writes=(
        record("one"),
        write("patch", "kirosafetypolicies/status", "policy", {}),
        write("create", "configmaps", "kiro-steering-history", {}),
        write("update", "configmaps", "kiro-steering-history", {}),
        write("patch", "kiroremediations/status", "one", {}),
        eviction(),
        write("patch", "kirohealthchecks/status", "kiro", {}),
        write("update", "leases", "kiro-operator", {}),
    ),
    intents=(intent(),),
    budget=Budget(2, timedelta(minutes=1)),
    remedies=(EVICT, RESTART, SCALE),
    usual={"Evict": 1, "RolloutRestart": 1, "Scale": 2},
)


ANOTHER = {Rule.UNRECORDED, Rule.UNDONE}
"""Something was done, and not what is on record."""


def rules(evidence: Evidence) -> set[Rule]:
    return {violation.rule for violation in judge(evidence)}


def test_a_good_run_passes() -> None:
    assert judge(GOOD) == []


def test_one_intent_that_was_carried_out_twice_is_a_double_action() -> None:
    twice = replace(GOOD, writes=(*GOOD.writes, eviction(second=2)), usual={"Evict": 2})
    assert rules(twice) == {Rule.DOUBLE}


def test_two_intents_for_one_fault_are_a_double_action() -> None:
    """Each is done once, and a run without a fault does one of them."""
    again = intent("two", second=5, pod={"uid": "other"})
    evidence = replace(GOOD, writes=(*GOOD.writes, eviction("other", second=6)), intents=(intent(), again))
    assert rules(evidence) == {Rule.DOUBLE}


def test_what_was_refused_was_not_done() -> None:
    conflict = event("create", "pods/eviction", "kiro-1", {}, responseStatus={"code": 409})
    stranger = event("delete", "pods", "kiro-1", {}, user={"username": "somebody"})
    looked = event("list", "pods", "", {})
    assert accepted([conflict, stranger, looked], "operator") == []


def test_restarts_are_told_by_their_mark() -> None:
    good = replace(GOOD, writes=(record("one"), restart("one")))
    assert judge(good) == []
    assert rules(replace(good, writes=(*good.writes, restart("two")), usual={"RolloutRestart": 2})) == {
        Rule.UNRECORDED
    }
    assert rules(replace(good, writes=(*good.writes, restart("one")), usual={"RolloutRestart": 2})) == {
        Rule.DOUBLE
    }


def test_a_step_that_is_done_again_after_it_was_taken_back_is_no_double() -> None:
    up, back, again = (
        intent("up", second=0, replicas={"after": 4}),
        intent("back", second=10, replicas={"after": 3}),
        intent("again", second=20, replicas={"after": 4}),
    )
    writes = (scale(4, second=1), scale(3, second=11), scale(4, second=21))
    evidence = replace(GOOD, writes=writes, intents=(up, back, again), budget=Budget(9, timedelta(hours=1)))
    assert judge(replace(evidence, usual={"Scale": 3})) == []
    assert rules(replace(evidence, usual={"Scale": 2})) == {Rule.DOUBLE}
    assert rules(replace(evidence, writes=(*writes, scale(4, second=22)), usual={"Scale": 4})) == {
        Rule.DOUBLE
    }


def test_an_action_before_its_record_has_none() -> None:
    early = replace(GOOD, intents=(intent(second=2),))
    assert rules(early) == ANOTHER


def test_what_was_begun_anew_and_denied_is_not_what_was_done() -> None:
    """As when a process that was told of an earlier time proposes the same once more."""
    denied = intent("two", second=1, state="Denied")
    del denied["status"]["actedAt"]
    assert rules(replace(GOOD, intents=(intent(), denied))) == set()
    twice = (*GOOD.writes, eviction(second=2))
    assert Rule.DOUBLE in rules(replace(GOOD, intents=(intent(), denied), writes=twice))


def test_what_is_proposed_anew_in_the_same_second_is_not_what_was_done() -> None:
    proposed = intent("two", second=1, state="Expired") | {"status": {"state": "Expired"}}
    assert rules(replace(GOOD, intents=(intent(), proposed))) == set()
    denied = intent() | {"status": {"state": "Denied"}}
    assert rules(replace(GOOD, intents=(denied, proposed))) == {Rule.UNRECORDED}


def test_what_a_record_tells_of_was_done() -> None:
    never = tuple(write for write in GOOD.writes if write.resource != "pods/eviction")
    assert rules(replace(GOOD, writes=never)) == {Rule.UNDONE}
    denied = intent(state="Denied")
    del denied["status"]["actedAt"]
    assert judge(replace(GOOD, writes=never, intents=(denied,))) == []


def test_the_actions_of_a_run_are_those_of_the_audit_log() -> None:
    assert done(GOOD) == {"Evict": 1}
    assert done(replace(GOOD, writes=())) == {}


def approval(name: str, digest: str, *, second: float = 0, decision: str = "Approve") -> Object:
    made = (START + timedelta(seconds=second)).isoformat()
    return {
        "metadata": {"name": name, "creationTimestamp": made},
        "spec": {"decision": decision, "plan": {"digest": digest}},
    }


def test_what_a_person_has_to_approve_has_an_approval_of_its_own() -> None:
    assert rules(replace(GOOD, manual=True)) == {Rule.UNAPPROVED}
    mine = intent(digest="plan", approvals=[{"name": "given"}])
    good = replace(GOOD, manual=True, intents=(mine,), approvals=(approval("given", "plan"),))
    assert judge(good) == []
    other, late = approval("given", "other"), approval("given", "plan", second=9)
    for wrong in (other, late, approval("given", "plan", decision="Deny"), approval("another", "plan")):
        assert rules(replace(good, approvals=(wrong,))) == {Rule.UNAPPROVED}
    proposed = intent(digest="plan")
    assert rules(replace(good, intents=(proposed,))) == {Rule.UNAPPROVED}
    proposed["status"]["approvals"] = [{"name": "given"}]
    assert judge(replace(good, intents=(proposed,))) == []


@pytest.mark.parametrize("digest", ["plan", "other"])
def test_an_approval_and_a_plan_are_for_one_action(digest: str) -> None:
    """Whether the second action takes the first one's approval, or has one of its own for the same plan."""
    mine = intent(digest="plan", approvals=[{"name": "given"}])
    name = "again" if digest == "plan" else "given"
    again = intent("two", second=5, pod={"uid": "other"}, digest=digest, approvals=[{"name": name}])
    twice = replace(
        GOOD,
        manual=True,
        writes=(*GOOD.writes, eviction("other", second=6)),
        intents=(mine, again),
        usual={"Evict": 2},
        approvals=(approval("given", "plan"), approval(name, digest)),
    )
    assert rules(twice) == {Rule.UNAPPROVED}


def command(second: float, argv: tuple[str, ...] = ("env", "mcp-client", "reconnect")) -> Object:
    """Its method is GET, and it is told of twice: when it begins and when it ends."""
    query = "&".join(f"command={item}" for item in argv)
    uri = f"/api/v1/namespaces/{HERE}/pods/kiro-1/exec?container=kiro&{query}"
    return event("get", "pods/exec", "kiro-1", {}, second=second, requestURI=uri, auditID=f"at-{second}")


def test_commands_are_counted() -> None:
    asked = intent(pod={"name": "kiro-1"}, command={"argv": ["env", "mcp-client", "reconnect"]})
    looks = [
        command(0.5, ("env", "mcp-client", "test-connection")),
        command(0.7, ("tail", "-c", "9", "/var/log/kiro")),
    ]
    good = replace(
        GOOD,
        remedies=(RECONNECT,),
        intents=(asked,),
        usual={RECONNECT.name: 2},
        writes=accepted([*looks, command(1), command(1)], "operator"),
    )
    assert judge(good) == []
    twice = accepted([command(1), command(2)], "operator")
    assert rules(replace(good, writes=twice)) == {Rule.DOUBLE}
    other = accepted([command(1, ("env", "mcp-client", "resync"))], "operator")
    assert rules(replace(good, writes=other)) == ANOTHER


@pytest.mark.parametrize(
    ("method", "message", "found"),
    [
        ("Exec", "the command may have been run, and is not run twice", set()),
        ("Exec", "the command did not begin and end in time, and may go on in the pod; watching", set()),
        ("Exec", "the command ended with exit status 0", {Rule.UNDONE}),
        ("Evict", "the command may have been run, and is not run twice", {Rule.UNDONE}),
    ],
)
def test_only_a_command_may_be_told_of_without_having_been_run(
    method: str, message: str, found: set[Rule]
) -> None:
    """By what is told when it is told first: how it ends says nothing of that any more."""
    told = [
        {"state": "Acting", "actedAt": None},
        {"state": "Verifying", "actedAt": "2026-01-01T12:00:01Z", "message": message},
        {"state": "Failed", "actedAt": "2026-01-01T12:00:01Z", "message": "it did not help"},
    ]
    writes = [write("patch", "kiroremediations/status", "one", {"status": status}) for status in told]
    asked = intent(method=method, state="Failed")
    assert rules(replace(GOOD, writes=(record("one"), *writes), intents=(asked,))) == found
    # One that was not about to be sent yet cannot have been.
    assert rules(replace(GOOD, writes=(record("one"), *writes[1:]), intents=(asked,))) == {Rule.UNDONE}


def test_the_one_role_and_its_binding_lie_outside_of_the_namespace() -> None:
    narrow = {"rules": [{"verbs": ["get"]}]}
    target = {"kind": "ClusterRole", "name": "kiro"}
    asked = intent(target=target, change={"patch": '{"rules": [{"verbs": ["get"]}]}'})
    body = {"metadata": {"uid": "u", "resourceVersion": "7"}} | narrow
    written = replace(write("patch", "clusterroles", "kiro", body), namespace="")
    good = replace(GOOD, remedies=(RBAC,), intents=(asked,), usual={RBAC.name: 1}, writes=(written,))
    assert judge(good) == []
    assert rules(replace(good, writes=(replace(written, name="admin"),))) == ANOTHER
    assert Rule.FOREIGN in rules(replace(good, writes=(replace(written, resource="roles"),)))


def restore(verb: str, metadata: Object, data: Object) -> Write:
    return write(verb, "configmaps", "config", {"metadata": metadata, "data": data})


def test_restores_are_told_by_what_they_write() -> None:
    asked = intent(target={"name": "config"}, change={"patch": '{"data": {"mode": "safe", "other": null}}'})
    version = {"uid": "u", "resourceVersion": "7"}
    told = {"mode": "safe", "other": None}
    good = replace(GOOD, remedies=(RESTORE,), intents=(asked,), usual={RESTORE.name: 1})
    assert judge(replace(good, writes=(restore("patch", version, told),))) == []
    assert judge(replace(good, writes=(restore("create", {"name": "config"}, told),))) == []
    assert rules(replace(good, writes=(restore("patch", {"uid": "u"}, told),))) == {Rule.UNFENCED}
    assert rules(replace(good, writes=(restore("patch", version, {"mode": "free"}),))) == ANOTHER


@pytest.mark.parametrize(
    ("remedy", "resource", "key"),
    [
        (AUTOSCALING, "horizontalpodautoscalers", "spec"),
        (RIGHT_SIZE, "deployments", "spec"),
        (REMOVE_UNUSED, "deployments", "spec"),
        (ROLLBACK, "deployments", "spec"),
        (CHANGE_BOUNDARY, "kirosafetypolicies", "spec"),
        (CHANGE_THRESHOLD, "kirohealthchecks", "spec"),
        (RESTORE_STEERING, "configmaps", "data"),
        (EDIT_STEERING, "configmaps", "data"),
        (CHANGE_OPTIMIZATION, "configmaps", "data"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_patch_is_told_by_what_its_record_says(remedy: Remedy, resource: str, key: str) -> None:
    asked = intent(target={"name": "kiro"}, change={"patch": json.dumps({key: {"limit": "4"}})})
    version = {"metadata": {"uid": "u", "resourceVersion": "7"}}

    def judged(name: str = "kiro", fence: Object = version, **content: Any) -> set[Rule]:
        written = write("patch", resource, name, fence | {key: content})
        usual = {remedy.name: 1}
        return rules(replace(GOOD, remedies=(remedy,), intents=(asked,), usual=usual, writes=(written,)))

    assert judged(limit="4") == set()
    assert judged(limit="4", fence={"metadata": {"uid": "u"}}) == {Rule.UNFENCED}
    assert judged(limit="5") == judged(limit="4", other="1") == judged("other", limit="4") == ANOTHER


def test_an_operator_ends_for_its_lease_only_and_does_nothing_after_it() -> None:
    assert rules(replace(GOOD, crashes=1)) == {Rule.CRASH}
    assert rules(replace(GOOD, late=("POST eviction: 201",))) == {Rule.LATE}


def test_an_action_that_its_record_denies_is_charged_to_no_budget() -> None:
    denied = intent(state="Denied")
    del denied["status"]["actedAt"]
    assert rules(replace(GOOD, intents=(denied,))) == {Rule.UNRECORDED}


@pytest.mark.parametrize(("last", "found"), [(30, {Rule.BUDGET}), (61, set()), (62, set())])
def test_the_window_of_the_budget_slides(last: int, found: set[Rule]) -> None:
    pods = ("a", "b", "c")
    writes = tuple(eviction(pod, second=at) for pod, at in zip(pods, (1, 20, last), strict=True))
    intents = tuple(intent(pod, pod={"uid": pod}) for pod in pods)
    assert rules(replace(GOOD, writes=writes, intents=intents, usual={"Evict": 3})) == found


@pytest.mark.parametrize("state", ["Reserved", "Acting", "Verifying"])
def test_an_intent_that_never_ends_is_lost(state: str) -> None:
    assert rules(replace(GOOD, intents=(intent(state=state),))) == {Rule.LOST}


def test_an_intent_that_is_gone_is_lost() -> None:
    assert rules(replace(GOOD, writes=(*GOOD.writes, record("two")))) == {Rule.LOST}


@pytest.mark.parametrize(
    "unfenced",
    [
        replace(GOOD, writes=(eviction(uid="pod-uid"),)),
        replace(GOOD, writes=(restart("one", version=""),)),
    ],
)
def test_an_action_without_a_version_is_unfenced(unfenced: Evidence) -> None:
    assert rules(unfenced) == {Rule.UNFENCED}


@pytest.mark.parametrize(
    "foreign",
    [
        replace(eviction(second=0.5), namespace="elsewhere"),
        write("delete", "pods", "kiro-1", {}),
        write("patch", "deployments/status", "kiro", {}),
        write("patch", "kirohealthchecks", "kiro", {}),
        write("update", "configmaps", "kiro-steering", {}),
        write("patch", "configmaps", "kiro-steering-history", {}),
        replace(write("create", "namespaces", "new", {}), namespace=""),
    ],
    ids=str,
)
def test_what_is_none_of_its_business_is_foreign(foreign: Write) -> None:
    assert Rule.FOREIGN in rules(replace(GOOD, writes=(*GOOD.writes, foreign)))


def test_a_remedy_that_the_scenario_does_not_bring_about_is_foreign() -> None:
    assert rules(replace(GOOD, remedies=(RESTART,))) == {Rule.FOREIGN, Rule.UNDONE}
