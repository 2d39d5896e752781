"""Which cases are planned: the rule by which the matrix stays within its time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest

from kiro_operator.api.v1alpha1.healthcheck import ActionName
from kiro_operator.core.remedies import permissions
from tests.faults.matrix import plan
from tests.faults.matrix.case import Baseline, Case, Result
from tests.faults.matrix.kinds import KINDS
from tests.faults.matrix.mutations import EXEC, Mutation
from tests.faults.matrix.oracle import EVICT, RESTART
from tests.faults.matrix.scenarios import SCENARIOS, Outcome
from tests.faults.matrix.whole import what_is_wrong

COURSE = ("kirohealthchecks", "kirohealthchecks", "kirosafetypolicies", "kiroremediations")
NOTHING = Outcome((), 0, 0, 0, (), 0, (), ())


def baselines(action: str = "PATCH deployments") -> list[Baseline]:
    """All scenarios, as if each of them wrote the same."""
    written = [f"PATCH {plural}/status" for plural in COURSE]
    written += [
        "POST kiroremediations",
        action,
        "PATCH kiroremediations/status",
        "PATCH kirohealthchecks/status",
    ]
    count: Counter[str] = Counter()
    mutations = []
    for kind in written:
        count[kind] += 1
        mutations.append(Mutation(kind, count[kind]))
    return [Baseline(scenario, tuple(mutations), NOTHING, {}, ()) for scenario in SCENARIOS]


def test_a_process_is_killed_at_every_write_of_every_scenario() -> None:
    every = baselines()
    for number, baseline in enumerate(every):
        # Before what it shares with those that it comes after, it is killed there.
        before = [item for item in every[:number] if item.scenario.name not in baseline.scenario.after]
        for kind, those in ((plan.KILLED_AFTER, every[:number]), *((kind, before) for kind in plan.KILLED)):
            found = plan.cases(baseline, those)
            assert [case.mutation for case in found if case.kind == kind] == list(baseline.mutations)


def test_every_fault_is_aimed_at_an_action_of_each_full_scenario_and_in_turn_of_each_thin_one() -> None:
    every = baselines()
    found = [{case.kind for case in plan.cases(item, every[:number])} for number, item in enumerate(every)]
    for baseline, kinds in zip(every, found, strict=True):
        assert baseline.scenario.thin or baseline.scenario.after or kinds == KINDS.keys()
    thin = [
        kinds
        for item, kinds in zip(every, found, strict=True)
        if item.scenario.thin and not item.scenario.after
    ]
    assert set.union(*thin) == KINDS.keys()
    assert all(one != other for one, other in pairwise(thin))


def test_a_scenario_that_comes_after_others_is_tried_at_what_is_its_own() -> None:
    every = baselines()
    own = Mutation("PUT configmaps", 1)
    for number, baseline in enumerate(every):
        if baseline.scenario.after:
            longer = replace(baseline, mutations=(*baseline.mutations, own))
            found = plan.cases(longer, every[:number])
            action = plan.moments(longer)[1]
            others = [case for case in found if case.kind != plan.KILLED_AFTER]
            assert {case.mutation for case in others} == {action, own}
            for kind in plan.KILLED - {plan.KILLED_AFTER}:
                assert [case.mutation for case in others if case.kind == kind] == [action, own]
            assert {case.kind for case in found if case.mutation == action} >= set(plan.LIVING)


@pytest.mark.parametrize("kind", ["POST kiroremediations", "POST pods/eviction", EXEC])
def test_a_run_in_which_nothing_is_killed_at_a_record_or_an_action_has_failed(kind: str) -> None:
    def wrong(name: str, written: str) -> list[str]:
        missed = Result(Case("evict", name, Mutation(written, 1)), reached=False)
        return what_is_wrong([missed], promised=0)

    for name in plan.KILLED:
        assert wrong(name, kind) == [f"never killed: evict: {name} at {kind} #1"]
        # Two writes of a status may become one.
        assert wrong(name, "PATCH kirohealthchecks/status") == []
    assert wrong("answer lost", kind) == []


def test_what_a_scenario_comes_after_is_there_before_it() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    for place, scenario in enumerate(SCENARIOS):
        assert set(scenario.after) <= set(names[:place])


def test_each_remedy_that_changes_something_has_a_scenario() -> None:
    """By the name that the oracle knows it by; a restart has two."""
    names = {remedy.name for scenario in SCENARIOS for remedy in scenario.remedies}
    ways = {ActionName.RESTART: {EVICT.name, RESTART.name}}
    wanted = [ways.get(action, {action.value}) for action, rules in permissions().items() if rules]
    assert names == set().union(*wanted)


def test_nothing_is_aimed_at_a_command_that_only_a_fence_could_make_good() -> None:
    every = baselines(EXEC)
    found = [case for number, item in enumerate(every) for case in plan.cases(item, every[:number])]
    aimed = {case.kind for case in found if case.mutation.kind == EXEC}
    assert aimed == KINDS.keys() - plan.BLIND
