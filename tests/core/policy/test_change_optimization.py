"""ChangeOptimization: one step of one declared number, which way the checks agree on, or words why none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from kiro_operator.api.v1alpha1.evidence.optimization import OptimizationEvidence
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName
from kiro_operator.api.v1alpha1.remediation import Method, RemediationState
from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from kiro_operator.core.amended import exact
from kiro_operator.core.checks import registry
from kiro_operator.core.decide import Decision, Plan, Policy, decide
from kiro_operator.core.evidence.aws import AWS_COST, Costs, DayCost
from kiro_operator.core.evidence.optimization_config import OPTIMIZATION_CONFIG, OptimizationConfig
from kiro_operator.core.evidence.optimizations import OPTIMIZATIONS, Optimizations
from kiro_operator.core.optimizations import Wish
from kiro_operator.core.policy.plan import Past
from kiro_operator.core.policy.situation import census, situate
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.proposals import HOLD
from kiro_operator.core.records import DecisionKind, DecisionRecord, RecordObject
from kiro_operator.core.remedies import proposers
from kiro_operator.core.remedies.change_optimization import SETTLING
from kiro_operator.core.remedies.types import Draft, Refusal
from kiro_operator.core.snapshot import AWAITING, Own, Ref, Sample, Snapshot, Unobserved
from kiro_operator.core.verdict import Amendment, Finding, Status, Verdict, passed
from tests.core.policy.make import BLIND, NOW, ago, autoscaler, inputs, platform, policy, snapshot

NAME, KEY = "kiro-optimization", "minimumSavingPercent"
MISSED, WRONG, LESS = "missed-opportunities", "optimization-decisions", "cost-benefit"
BUDGET = {"limit": 5, "window": "1h"}
ACTION = {"name": "ChangeOptimization", "approval": "Manual", "budget": BUDGET}
SECRET = "hunter2-hunter2"  # noqa: S105 - what must not be told


def parameter(
    key: str = KEY, bolder: str = "Lower", low: str = "1", high: str = "50", step: str = "5"
) -> Any:
    return {"key": key, "bolder": bolder, "min": low, "max": high, "step": step}


def declared(*parameters: Any) -> OptimizationEvidence:
    return OptimizationEvidence.model_validate(
        {"configMap": NAME, "parameters": list(parameters) or [parameter()]}
    )


def facts(
    held: OptimizationConfig | Unobserved | None,
    *parameters: Any,
    records: Sequence[DecisionRecord] = (),
    **samples: Any,
) -> Snapshot:
    """A namespace in which that is declared, and stands there."""
    made, pods = platform(failing=0)
    given = {OPTIMIZATION_CONFIG.name: held, OPTIMIZATIONS.name: Optimizations(tuple(records))} | samples
    return replace(
        snapshot([made], pods),
        own=Own("kiro", optimization=declared(*parameters)),
        samples={name: Sample(1, NOW, value) for name, value in given.items()},
    )


def config(*others: str, uid: str = "uid-cm", **numbers: str) -> OptimizationConfig:
    return OptimizationConfig(uid, "7", {}, "", numbers, others)


STANDING = config(**{KEY: "15"})


def amendment(*wishes: tuple[str, Wish]) -> Amendment:
    values = tuple((check, wish.value) for check, wish in wishes)
    return Amendment(ActionName.CHANGE_OPTIMIZATION, Ref("ConfigMap", NAME, "uid-cm"), values)


def draft(seen: Snapshot, *wishes: tuple[str, Wish]) -> Draft | Refusal:
    return proposers()[ActionName.CHANGE_OPTIMIZATION].draft(amendment(*wishes), seen)


def refusal(seen: Snapshot, *wishes: tuple[str, Wish]) -> Refusal:
    refused = draft(seen, *(wishes or [(MISSED, Wish.BOLDER)]))
    assert isinstance(refused, Refusal)
    return refused


# --- steps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bolder", "wish", "value", "bounds", "wanted"),
    [
        ("Lower", Wish.BOLDER, "15", ("1", "50", "5"), "10"),
        ("Lower", Wish.CAUTIOUS, "15", ("1", "50", "5"), "20"),
        ("Raise", Wish.BOLDER, "15", ("1", "50", "5"), "20"),
        ("Raise", Wish.CAUTIOUS, "15", ("1", "50", "5"), "10"),
        # The last step is as long as there is room.
        ("Lower", Wish.BOLDER, "3", ("1", "50", "5"), "1"),
        ("Lower", Wish.CAUTIOUS, "48.5", ("1", "50", "5"), "50"),
        # As a person would write it: no rounding of binary fractions, no exponent, no zeros at the end.
        ("Lower", Wish.BOLDER, "0.3", ("0.1", "0.9", "0.1"), "0.2"),
        ("Raise", Wish.BOLDER, "1.5", ("0", "100", "0.5"), "2"),
        ("Raise", Wish.BOLDER, "900", ("0", "1000", "100"), "1000"),
        ("Raise", Wish.CAUTIOUS, "0", ("-5", "5", "2.25"), "-2.25"),
        ("Raise", Wish.CAUTIOUS, "5.0", ("0", "10", "5"), "0"),
    ],
)
def test_a_step(bolder: str, wish: Wish, value: str, bounds: tuple[str, str, str], wanted: str) -> None:
    seen = facts(config(**{KEY: value}), parameter(KEY, bolder, *bounds))
    made = draft(seen, (MISSED, wish))
    assert isinstance(made, Draft)
    assert json.loads(made.patch) == {"data": {KEY: wanted}}
    assert json.loads(made.undo) == {"data": {KEY: value}}
    assert made.diff == f"{KEY}: {value} → {wanted}"


def test_the_first_that_has_room_is_moved_and_no_other() -> None:
    more = (parameter(), parameter("maxChanges", "Raise", "1", "9", "1"))
    both = config(**{KEY: "1", "maxChanges": "4"})
    made = draft(facts(both, *more), (MISSED, Wish.BOLDER))
    assert isinstance(made, Draft)
    assert json.loads(made.patch) == {"data": {"maxChanges": "5"}}
    made = draft(facts(both, *more), (WRONG, Wish.CAUTIOUS))
    assert isinstance(made, Draft)
    assert json.loads(made.patch) == {"data": {KEY: "6"}}


@pytest.mark.parametrize(
    ("held", "reason", "words", "lasting"),
    [
        (config(KEY), "NotANumber", f"{KEY} is no number", True),
        (config(), "KeyMissing", f"has no key {KEY}", True),
        (config(**{KEY: "51"}), "OutOfBounds", f"{KEY} is not between 1 and 50", True),
        (config(**{KEY: "0.999999"}), "OutOfBounds", f"{KEY} is not between 1 and 50", True),
        (config(**{KEY: "1"}), "AtBound", f"nothing makes it bolder ({KEY} at least 1)", True),
        (config(**{KEY: "1.0"}), "AtBound", f"nothing makes it bolder ({KEY} at least 1)", True),
        (None, "TargetGone", "is not there", True),
        (BLIND, "StaleWatch", BLIND.message, False),
    ],
)
def test_what_cannot_be_moved_is_refused_in_words(
    held: Any,
    reason: str,
    words: str,
    lasting: bool,  # noqa: FBT001
) -> None:
    refused = refusal(facts(held))
    assert (refused.reason, refused.lasting) == (reason, lasting)
    assert words in refused.message
    assert f"ConfigMap {NAME}" in refused.message


def test_the_number_that_comes_first_has_to_be_in_order_before_another_is_moved() -> None:
    two = (parameter(), parameter("maxChanges", "Raise", "1", "9", "1"))
    assert refusal(facts(config(KEY, maxChanges="4"), *two)).reason == "NotANumber"
    assert refusal(facts(config(**{KEY: "1", "maxChanges": "9"}), *two)).reason == "AtBound"


def test_opposite_wishes_are_told_with_who_has_them() -> None:
    refused = refusal(facts(STANDING), (MISSED, Wish.BOLDER), (WRONG, Wish.CAUTIOUS), (LESS, Wish.CAUTIOUS))
    assert refused.reason == "Contradictory"
    assert f"bolder by {MISSED}, and more cautious by {LESS} and {WRONG}" in refused.message
    assert isinstance(draft(facts(STANDING), (WRONG, Wish.CAUTIOUS), (LESS, Wish.CAUTIOUS)), Draft)


def test_what_is_declared_no_more_is_not_moved() -> None:
    seen = facts(STANDING)
    assert refusal(replace(seen, own=Own("kiro"))).reason == "NotDeclared"
    other = declared().model_copy(update={"config_map": "another"})
    assert refusal(replace(seen, own=Own("kiro", optimization=other))).reason == "NotDeclared"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ({"safetyConfig": {"name": NAME, "data": {"a": "b"}}}, "SafetyConfig"),
        ({"containment": {"configMap": NAME, "key": "mode", "value": "off"}}, "SafetyConfig"),
        ({"safetyConfig": {"data": {"a": "b"}}}, ""),
    ],
)
def test_what_keeps_operations_safe_is_not_moved(part: dict[str, Any], reason: str) -> None:
    seen = replace(facts(STANDING), policies={"p0": policy(**part)})
    made = draft(seen, (MISSED, Wish.BOLDER))
    assert (made.reason if isinstance(made, Refusal) else "") == reason


# --- what is declared -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"low": "50"}, "min that is below max"),
        ({"low": "51"}, "min that is below max"),
        ({"step": "0"}, "step above 0"),
        ({"step": "-1"}, "step above 0"),
        ({"step": "49.000001"}, "no more than max - min"),
        ({"low": "1%"}, "write a number in quotes"),
        ({"high": "1e3"}, "write a number in quotes"),
        ({"step": "5\n"}, "write a number in quotes"),
        ({"step": "\u0665"}, "write a number in quotes"),
        ({"bolder": "Up"}, "'Lower' or 'Raise'"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(changes: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        declared(parameter(**changes))


@pytest.mark.parametrize("bounds", [("1", "50", "49"), ("0.1", "0.3", "0.2"), ("-5", "-1", "0.000001")])
def test_bounds_that_are_just_in_order_are_taken(bounds: tuple[str, str, str]) -> None:
    [taken] = declared(parameter(KEY, "Lower", *bounds)).parameters
    assert (taken.min, taken.max, taken.step) == bounds


# --- who asks -------------------------------------------------------------------------------------------


def record(number: int, days: float = 3, **fields: Any) -> DecisionRecord:
    made: dict[str, Any] = {
        "kind": DecisionKind.DECISION,
        "id": f"d-{number}",
        "action": "rightsize",
        "time": NOW - timedelta(days=days),
        "object": RecordObject("Deployment", "kiro", f"web-{number}"),
    }
    return DecisionRecord(**(made | fields))


def saved(*amounts: float) -> list[DecisionRecord]:
    """Decisions that were predicted to save 100."""
    return [
        record(number, predicted_saving=100.0, realised_saving=amount)
        for number, amount in enumerate(amounts)
    ]


def asked(check_id: str, records: Sequence[DecisionRecord], seen: Snapshot | None = None) -> set[str | None]:
    """What the findings of a check that fails wish."""
    verdict = judged(check_id, seen or facts(STANDING, records=records))
    assert verdict.status is Status.FAIL
    return {dict(item.amendment.values)[check_id] if item.amendment else None for item in verdict.findings}


def judged(check_id: str, seen: Snapshot) -> Verdict:
    check = registry()[check_id].check
    return check.judge(seen, check.parameters(), NOW)


OPPORTUNITY = record(1, 9, kind=DecisionKind.OPPORTUNITY)


@pytest.mark.parametrize(
    ("check_id", "records", "wish"),
    [
        (MISSED, [OPPORTUNITY], "Bolder"),
        (WRONG, [record(number, reverted=number < 6) for number in range(12)], "Cautious"),
        (WRONG, [record(number, wrong=number < 6) for number in range(12)], "Cautious"),
        (LESS, saved(*[4] * 8), "Cautious"),
        # More than was promised is no harm, and some that saved less among them prove nothing.
        (LESS, saved(*[900] * 8), None),
        (LESS, saved(*[900] * 8, 4, 4), None),
        ("optimization-strategy", saved(*[0] * 8), "Cautious"),
    ],
)
def test_what_a_check_that_fails_wishes(
    check_id: str, records: list[DecisionRecord], wish: str | None
) -> None:
    assert asked(check_id, records) == {wish}


@pytest.mark.parametrize(
    ("records", "wish"),
    [
        # Spend of an account moves for many reasons.
        ([], None),
        (saved(0, 0, 0, 0), None),
        # As many of them as a verdict by them alone would take.
        (saved(0, 0, 0, 0, 0), "Cautious"),
    ],
)
def test_by_spend_nothing_is_said_of_how_boldly_decisions_are_made(
    records: list[DecisionRecord], wish: str | None
) -> None:
    days = tuple(DayCost((NOW - timedelta(days=number)).date(), 100.0) for number in reversed(range(45)))
    spend = Costs("123456789012", "USD", days, NOW)
    both = [*records, *(record(10 + number, 12 + number) for number in range(8))]
    seen = facts(STANDING, records=both, **{AWS_COST.name: spend})
    assert asked("optimization-strategy", both, seen) == {wish}


def test_nothing_is_wished_where_nothing_is_declared_and_no_uid_known_where_it_cannot_be_read() -> None:
    seen = facts(STANDING, records=[OPPORTUNITY])
    [found] = judged(MISSED, replace(seen, own=Own("kiro"))).findings
    assert found.amendment is None
    for held, uid in ((STANDING, "uid-cm"), (BLIND, ""), (None, "")):
        [found] = judged(MISSED, facts(held, records=[OPPORTUNITY])).findings
        assert found.amendment is not None
        assert found.amendment.target == Ref("ConfigMap", NAME, uid)


# --- the proposal ---------------------------------------------------------------------------------------


def lenient(**changes: Any) -> KiroSafetyPolicySpec:
    return policy(**({"actions": [ACTION], "scale": None} | changes))


def failing(
    check: str, wish: Wish, *, uid: str = "uid-cm", **changes: Any
) -> dict[str, tuple[Verdict, bool]]:
    target = Ref("ConfigMap", NAME, uid)
    made = Amendment(ActionName.CHANGE_OPTIMIZATION, target, ((check, wish.value),))
    finding = Finding(Ref("Deployment", "web"), "Fault", "Deployment web", ago(days=9), amendment=made)
    return {check: (Verdict(Status.FAIL, "Fault", "Deployment web", (finding,)), True)} | changes


BOLDER = failing(MISSED, Wish.BOLDER)
BOTH = BOLDER | failing(WRONG, Wish.CAUTIOUS)


def plan(
    verdicts: dict[str, tuple[Verdict, bool]],
    *past: Past,
    seen: Snapshot | None = None,
    spec: KiroSafetyPolicySpec | None = None,
) -> Plan:
    given = inputs(verdicts, seen or facts(STANDING), (), policies=(Policy("p0", spec or lenient()),))
    return decide(replace(given, proposals=past))


def live(**data: str) -> dict[str, Any]:
    return {
        "metadata": {"name": NAME, "uid": "uid-cm", "resourceVersion": "7"},
        "data": {KEY: "15", "token": SECRET} | data,
    }


def proposed(**changes: Any) -> Past:
    """The proposal that a first plan makes, on record."""
    [new] = plan(BOLDER).proposals
    intent = exact(new.intent, live(), None, NOW)
    assert intent is not None
    fields: dict[str, Any] = {"state": RemediationState.PROPOSED, "open": True, "mine": True}
    made = {"intent": intent, "name": intent.name, "made_at": NOW - timedelta(hours=1)}
    return Past(**(fields | made | changes))


def ended(state: str, reason: str, at: timedelta) -> Past:
    return proposed(state=RemediationState(state), open=False, reason=reason, ended_at=NOW - at)


def test_it_changes_one_key_and_tells_nothing_else_of_the_config_map() -> None:
    past = proposed()
    intent = past.intent
    assert (intent.method, intent.target.uid, intent.check) == (Method.PATCH, "uid-cm", MISSED)
    assert intent.change is not None
    assert json.loads(intent.change.patch) == {"data": {KEY: "10"}}
    assert json.loads(intent.change.undo) == {"data": {KEY: "15"}}
    assert intent.change.diff == f"data.{KEY}: 15 → 10"
    assert SECRET not in repr(intent)
    [decision] = plan(BOLDER, past).decisions
    assert (decision.gate, decision.reason) == ("approval", "ApprovalRequired")


def test_what_changed_since_the_sample_is_neither_proposed_upon_nor_put_on_record() -> None:
    [new] = plan(BOLDER).proposals
    assert exact(new.intent, live(**{KEY: SECRET}), None, NOW) is None
    assert exact(new.intent, live(**{KEY: "40"}), None, NOW) is None
    assert exact(new.intent, live() | {"data": {}}, None, NOW) is None


def told(made: Plan) -> Decision:
    """The one decision, which is that nothing is proposed."""
    assert not made.proposals
    assert not made.escalations
    [decision] = made.decisions
    assert (decision.decision, decision.gate, decision.standings) == ("Denied", "proposal", ())
    return decision


def test_why_nothing_is_proposed_is_told() -> None:
    both = told(plan(BOTH))
    assert both.reason == "Contradictory"
    assert f"bolder by {MISSED}, and more cautious by {WRONG}" in both.message
    assert told(plan(BOLDER, seen=facts(config(KEY)))).reason == "NotANumber"
    assert told(plan(BOLDER, seen=facts(config(**{KEY: "1"})))).reason == "AtBound"
    denied = Unobserved("Forbidden", "add to the Role")
    assert told(plan(BOLDER, seen=facts(denied))).message.endswith("add to the Role")
    # In a dry run as well; and not what passes by itself, or what nobody wants to have proposed.
    assert told(plan(BOTH, spec=lenient(mode="DryRun"))).reason == "Contradictory"
    for made in (
        plan(BOLDER, seen=facts(AWAITING)),
        plan(BOTH, spec=lenient(actions=[])),
        plan(BOTH, spec=lenient(mode="Observe")),
        plan({name: (verdict, False) for name, (verdict, _) in BOTH.items()}),
    ):
        assert (made.decisions, made.proposals) == ((), ())


def test_what_is_as_it_would_be_needs_no_words() -> None:
    scaler = autoscaler("api")
    bounds = Amendment(
        ActionName.CHANGE_AUTOSCALING, Ref("HorizontalPodAutoscaler", "hpa"), (("maxReplicas", "0"),)
    )
    finding = Finding(bounds.target, "PinnedAtMax", "hpa", ago(days=1), amendment=bounds)
    verdicts = {"autoscaling-configuration": (Verdict(Status.FAIL, "PinnedAtMax", "hpa", (finding,)), True)}
    spec = lenient(actions=[ACTION | {"name": "ChangeAutoscaling"}])
    gone = plan(verdicts, spec=spec, seen=snapshot())
    assert [item.reason for item in gone.decisions] == ["TargetGone"]
    there = plan(verdicts, spec=spec, seen=snapshot(autoscalers=[scaler]))
    assert (there.decisions, there.proposals) == ((), ())


def withdrawn(verdicts: dict[str, tuple[Verdict, bool]], past: Past, seen: Snapshot | None = None) -> str:
    made = plan(verdicts, past, seen=seen)
    assert not made.proposals
    [gone] = made.withdrawn
    assert gone.state is RemediationState.EXPIRED
    return f"{gone.reason}: {gone.message}"


def test_it_is_withdrawn_when_it_is_not_called_for_any_more() -> None:
    well = {MISSED: (passed("well"), False)}
    assert withdrawn(well, proposed()).startswith("Healed")
    assert f"by {WRONG}" in withdrawn(BOTH, proposed())
    assert withdrawn(BOLDER, proposed(), facts(config(**{KEY: "12"}))).startswith("Superseded")
    assert withdrawn(BOLDER, proposed(), facts(config(KEY))).startswith("NotANumber")
    assert withdrawn(failing(MISSED, Wish.BOLDER, uid="uid-new"), proposed()).startswith("Changed")
    assert not plan(BOLDER, proposed(), seen=facts(BLIND)).withdrawn


def test_a_step_the_other_way_is_another_proposal_however_small_it_is() -> None:
    fine = facts(config(**{KEY: "45"}), parameter(step="1"))
    [new] = plan(BOLDER, seen=fine).proposals
    intent = exact(new.intent, live(**{KEY: "45"}), None, NOW)
    assert intent is not None
    past = proposed(intent=intent, name=intent.name)
    assert not plan(BOLDER, past, seen=fine).withdrawn
    assert withdrawn(failing(WRONG, Wish.CAUTIOUS), past, fine).startswith("Superseded")


@pytest.mark.parametrize(
    ("state", "reason", "at", "again"),
    [
        # What was done shows late, and so nothing follows soon, the other way neither.
        ("Succeeded", "InForce", SETTLING - timedelta(hours=1), False),
        ("Succeeded", "InForce", SETTLING, True),
        ("Failed", "Reverted", SETTLING - timedelta(hours=1), False),
        # What was not done may be called for again, once somebody has had a day.
        ("Expired", "Contradictory", HOLD - timedelta(hours=1), False),
        ("Expired", "Contradictory", HOLD, True),
        ("Denied", "ApprovalDenied", SETTLING * 5, False),
    ],
)
def test_how_soon_the_next_step_follows(state: str, reason: str, at: timedelta, again: bool) -> None:  # noqa: FBT001
    past = ended(state, reason, at)
    assert len(plan(BOLDER, past).proposals) == again
    if state in {"Succeeded", "Failed"}:
        lower = facts(config(**{KEY: "10"}))
        assert len(plan(BOLDER, past, seen=lower).proposals) == again
        assert len(plan(failing(WRONG, Wish.CAUTIOUS), past, seen=lower).proposals) == again


def test_a_protected_config_map_is_left_though_it_is_approved() -> None:
    for annotation, protected in (("", False), ("true", True)):
        seen = facts(replace(STANDING, protected=annotation))
        situation = situate(proposed().intent, seen, Ledger(), census(seen))
        assert (situation.observed, situation.protected) == (True, protected)
    other = facts(replace(STANDING, uid="uid-new"))
    assert not situate(proposed().intent, other, Ledger(), census(other)).observed


def test_it_is_one_of_those_that_a_person_decides_on() -> None:
    assert ActionName.CHANGE_OPTIMIZATION in PROPOSALS


def test_a_step_whose_end_does_not_tell_rests_as_well() -> None:
    lower = facts(config(**{KEY: "10"}))
    gone = ended("Expired", "HealthCheckDeleted", timedelta(hours=1))
    assert plan(BOLDER, gone, seen=lower).proposals
    assert not plan(BOLDER, replace(gone, acted=True), seen=lower).proposals
