"""Plans for several targets at once, from where each stands on its ladder."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.objects import Annotations, Workload
from kiro_operator.core.policy.types import Entry
from kiro_operator.core.policy.wellness import Need, Wellness
from tests.core.policy.asking import BACK, EVICT, ROLL, UP
from tests.core.policy.make import (
    NOW,
    RESTART,
    SCALE,
    ago,
    entry,
    failing,
    finding,
    inputs,
    platform,
    policy,
    ref,
    snapshot,
    spec,
    well,
)
from tests.core.policy.test_approvals import MANUAL


def planned(*entries: Entry, ill: int = 1, **more: Any) -> Plan:
    made, pods = platform(replicas=8, failing=ill)
    found = [finding(f"api-{number}") for number in range(ill)]
    return decide(inputs(failing(*found), snapshot([made], pods), entries, **more))


def methods(plan: Plan) -> list[Method]:
    return [decision.intent.method for decision in plan.decisions]


def two(*, first: dict[str, Any] | None = None, **changes: Any) -> list[tuple[str, str]]:
    """What is decided on two workloads, of which the one that is failing longest comes first."""
    (api, pods), (web, others) = platform(**(first or {})), platform(name="web")
    found = (finding(since=ago(minutes=9)), finding("web-0", ref("web"), since=ago(minutes=5)))
    policies = (Policy("safe", policy(**changes)),)
    plan = decide(inputs(failing(*found), snapshot([api, web], [*pods, *others]), policies=policies))
    return [(decision.intent.target.name, decision.decision) for decision in plan.decisions]


def test_what_is_allowed_uses_the_budget_of_what_comes_after_it() -> None:
    budget = {"limit": 1, "window": "1h"}
    assert two(budget=budget) == [("api", "Allowed"), ("web", "Denied")]
    assert two(budget=budget, mode="DryRun") == [("api", "DryRun"), ("web", "Denied")]
    assert two(budget=budget, first={"protected": "true"}) == [("api", "Denied"), ("web", "Allowed")]


@pytest.mark.parametrize(
    ("past", "ladder", "ill", "expected"),
    [
        ([], [RESTART], 3, EVICT),
        ([], [RESTART], 5, ROLL),
        # One that did not help is a sign that the fault is in the workload.
        ([entry(1, "Failed", EVICT)], [RESTART], 1, ROLL),
        # Those evicted before count with those that fail, on whichever rung.
        ([entry(1, "Succeeded", EVICT, at=ago(minutes=9))], [RESTART], 3, EVICT),
        ([entry(n, "Succeeded", EVICT, at=ago(minutes=9)) for n in (1, 2)], [RESTART], 3, ROLL),
        (
            [
                entry(1, "Failed", UP, at=ago(minutes=40)),
                *(entry(n, "Succeeded", EVICT, at=ago(minutes=9)) for n in (2, 3)),
            ],
            [SCALE, RESTART],
            3,
            ROLL,
        ),
    ],
)
def test_how_much_is_restarted(past: list[Entry], ladder: list[Any], ill: int, expected: Method) -> None:
    checked = spec(*((action, "5m") for action in ladder))
    assert methods(planned(*past, ill=ill, health_check=checked)) == [expected]


SCALED = policy(scale={"floor": 1, "ceiling": 20, "step": 3})


def test_a_step_up_is_as_wide_as_the_policy_says() -> None:
    (decision,) = planned(health_check=spec((SCALE, "5m")), policies=(Policy("safe", SCALED),)).decisions
    assert decision.intent.replicas == (8, 11)


def grown(name: str, state: str = "Succeeded", hours: float = 2) -> Entry:
    return entry(1, state, UP, target=ref(name), at=ago(hours=3), ended=ago(hours=hours), replicas=(1, 8))


def given_back(workloads: Sequence[str], entries: Sequence[Entry], **more: Any) -> Plan:
    made = [platform(8, 0, name=name) for name in workloads]
    facts = snapshot([each for each, _ in made], [pod for _, pods in made for pod in pods])
    return decide(inputs(well(), facts, entries, policies=(Policy("safe", SCALED),), **more))


def test_a_step_back_is_as_wide_as_the_policy_says() -> None:
    (decision,) = given_back(["api"], [grown("api")]).decisions
    assert (decision.intent.method, decision.intent.replicas) == (BACK, (8, 5))


@pytest.mark.parametrize(
    "before",
    [
        (entry(1, "Failed", EVICT, target=ref("a")),),
        (grown("a"), entry(2, "Verifying", EVICT, target=ref("a"))),
    ],
)
def test_a_target_that_gives_nothing_back_does_not_keep_others_from_it(before: tuple[Entry, ...]) -> None:
    plan = given_back(["a", "b"], [*before, grown("b")])
    assert [(each.intent.target.name, each.intent.method) for each in plan.decisions] == [("b", BACK)]


def test_it_is_given_back_once_it_has_been_well_for_that_long() -> None:
    after = spec().remediation.scale_back_after
    hours = after.total_seconds() / 3600
    assert methods(given_back(["api"], [grown("api", hours=hours)])) == [BACK]
    early = given_back(["api"], [grown("api", hours=hours - 0.1)])
    assert methods(early) == []
    assert early.next == NOW + timedelta(hours=0.1)


def test_a_process_that_has_just_started_gives_nothing_back() -> None:
    """The one before may have seen it fail a moment ago."""
    first = given_back(["api"], [grown("api")], memory={})
    after = spec().remediation.scale_back_after
    assert (methods(first), first.next) == ([], NOW + after)
    memory = first.memory
    for minutes in (4, 8):
        memory = given_back(
            ["api"], [grown("api")], memory=memory, now=NOW + timedelta(minutes=minutes)
        ).memory
    assert methods(given_back(["api"], [grown("api")], memory=memory, now=NOW + after)) == [BACK]


@pytest.mark.parametrize(("changes", "asked"), [({}, False), ({"actions": MANUAL}, True)])
def test_since_when_it_may_give_back_is_remembered_and_who_was_asked(
    changes: dict[str, Any],
    asked: bool,  # noqa: FBT001
) -> None:
    made, pods = platform(8, 0)
    (ill, more) = platform(8, 1, name="web")
    first = inputs(
        {**failing(finding("web-0", ref("web"))), **well("memory-usage")},
        snapshot([made, ill], [*pods, *more]),
        [replace(grown("api"), check="memory-usage")],
        policies=(Policy("safe", policy(**changes)),),
        health_check=spec((SCALE, "5m")),
    )
    plan = decide(first)
    assert sorted(methods(plan)) == [BACK, UP]
    api, web = plan.memory["uid-api"], plan.memory["uid-web"]
    assert (api.need, api.back) == (None, Need(NOW, "memory-usage", asked=asked))
    assert (web.need, web.back) == (Need(NOW, "pods-ready", asked=asked), None)

    later = decide(replace(first, memory=plan.memory, now=NOW + timedelta(minutes=1)))

    assert {item.intent.digest for item in later.decisions} == {item.intent.digest for item in plan.decisions}
    assert {item.intent.asked for item in later.decisions} == {asked}
    assert later.memory["uid-api"].back == api.back


def revised(made: Workload, revision: str) -> Workload:
    annotations = Annotations(revision=revision)
    return replace(made, metadata=replace(made.metadata, annotations=annotations))


@pytest.mark.parametrize("back", ["", "back"])
def test_another_pod_template_is_another_plan(back: str) -> None:
    digests: list[str] = []
    for revision in ("7", "8", "7"):
        made, pods = platform(8, 0 if back else 1)
        facts = snapshot([revised(made, revision)], pods)
        found = inputs(well(), facts, [grown("api")]) if back else inputs(failing(finding()), facts)
        (decision,) = decide(found).decisions
        digests.append(decision.intent.digest)
    assert digests[0] == digests[2]
    assert digests[0] != digests[1]


def test_what_no_remedy_is_named_for_wants_none() -> None:
    assert planned().memory["uid-api"].need == Need(NOW, "pods-ready")
    made, pods = platform()
    hopeless = decide(inputs(failing(finding(remedies=())), snapshot([made], pods)))
    assert not hopeless.memory


def test_a_need_that_is_over_is_forgotten_with_its_target_in_the_records() -> None:
    made, pods = platform(4, 0)
    needed = Wellness(need=Need(ago(hours=3), "pods-ready", over_since=ago(hours=1)))
    plan = decide(
        inputs(well(), snapshot([made], pods), [entry(1, "Succeeded", EVICT)], memory={"uid-api": needed})
    )
    assert plan.memory["uid-api"].need is None
