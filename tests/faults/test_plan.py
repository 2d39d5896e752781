"""Which cases are planned: the rule by which the matrix stays within its time."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from tests.faults.matrix import plan
from tests.faults.matrix.case import Baseline
from tests.faults.matrix.kinds import KINDS
from tests.faults.matrix.mutations import EXEC, Mutation
from tests.faults.matrix.scenarios import SCENARIOS, Outcome

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
        # What a scenario begins with is aimed at there.
        before = [item for item in every[:number] if item.scenario.name != baseline.scenario.after]
        found = plan.cases(baseline, before)
        for kind in plan.KILLED:
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


def test_nothing_is_aimed_at_a_command_that_only_a_fence_could_make_good() -> None:
    every = baselines(EXEC)
    found = [case for number, item in enumerate(every) for case in plan.cases(item, every[:number])]
    aimed = {case.kind for case in found if case.mutation.kind == EXEC}
    assert aimed == KINDS.keys() - plan.BLIND
