"""Which cases there are, and a sample of them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.matrix.case import Baseline, Case
from tests.faults.matrix.kinds import KINDS
from tests.faults.matrix.mutations import EXEC, Mutation
from tests.faults.matrix.scenarios import SCENARIOS

SHARE = 12
"""One of so many pairs of scenario and fault is in the sample."""
TURNS = 5
"""Of a thin scenario, one of so many faults that leave the process alive is played; which, takes turns."""
LATER = 2
"""One that comes after others waits so many times as long for its turn."""
KILLED_AFTER = "killed after the write"
"""Aimed at every write of every scenario, but for those of Events and Leases, which are not counted."""
KILLED = frozenset({"killed before the write", KILLED_AFTER})
"""The other one, too, but for writes that a scenario has in common with one that it comes after."""
LIVING = [name for name, kind in KINDS.items() if kind.everywhere and name not in KILLED]
"""Aimed at the action, and in turns at every other write, of a thin scenario at each fifth of these."""
BLIND = frozenset({"write sent twice", "paused past its Lease, and its write arrives then"})
"""Faults that no sender can make good, but for the fence; a command in a pod has none."""
RECORD = "POST kiroremediations"
TOLD = frozenset(
    {
        RECORD,
        "PATCH kiroremediations/status",
        "PATCH kirohealthchecks/status",
        "PATCH kirosafetypolicies/status",
        "PUT configmaps",
    }
)
"""What is no action; a history of steering documents is put there, and an action patches."""


def cases(baseline: Baseline, before: Sequence[Baseline]) -> list[Case]:
    """All cases of a scenario.

    Args:
        baseline: Of the scenario.
        before: Of those before it. A write that one of those has which it comes after is aimed at there, but
            for its own action, and for a kill after it; a right is taken away where it is first needed.
    """
    scenario, turn = baseline.scenario, sum(item.scenario.thin for item in before)
    known = {m for item in before if item.scenario.name in scenario.after for m in item.mutations}
    known.discard(moments(baseline)[1])
    taken = frozenset(name for item in before for name in item.rights)
    chosen = [
        (name, mutation)
        for number, (name, kind) in enumerate(KINDS.items())
        for mutation in (_every(baseline, name) if kind.everywhere else _some(baseline, number + turn))
        if not (name in BLIND and mutation.kind == EXEC)
    ]
    chosen += [(name, _begins(baseline)) for name in baseline.rights if name not in taken]
    return [
        Case(scenario.name, name, mutation)
        for name, mutation in chosen
        if mutation not in known or name == KILLED_AFTER
    ]


def _every(baseline: Baseline, kind: str) -> Sequence[Mutation]:
    """All writes for a process that is killed; where it lives on, its share of them."""
    if kind in KILLED:
        return baseline.mutations
    action = moments(baseline)[1]
    others = [mutation for mutation in baseline.mutations if mutation != action]
    share = len(LIVING) * (TURNS if baseline.scenario.thin else 1)
    return [action, *others[LIVING.index(kind) :: share]]


def _some(baseline: Baseline, turn: int) -> Sequence[Mutation]:
    """The action, and before or after it in turns; of a thin scenario the action, for some of the faults.

    A command has no fence to rest on: each fault is played at it, where it is run first.
    """
    record, action, told = moments(baseline)
    if baseline.scenario.after:
        return [action] if turn % (LATER * TURNS) == 0 else []
    if baseline.scenario.thin:
        return [action] if action.kind == EXEC or turn % TURNS == 0 else []
    return [action, (record, told)[turn % 2]]


def _begins(baseline: Baseline) -> Mutation:
    """Where a right is taken away."""
    record, action, _ = moments(baseline)
    return action if baseline.scenario.thin else record


def moments(baseline: Baseline) -> list[Mutation]:
    """Where most is at stake: the last record, its action, and what is told next of it."""
    record = [m for m in baseline.mutations if m.kind == RECORD][-1]
    action = [m for m in baseline.mutations if m.kind not in TOLD][-1]
    after = baseline.mutations[baseline.mutations.index(action) + 1 :]
    told = next(m for m in after if m.kind == "PATCH kiroremediations/status")
    return [record, action, told]


def is_owed(case: Case) -> bool:
    """Whether a process has to be killed there: at a record or an action.

    There are as many of these in each run. How many writes tell of them changes: on a busy machine two of a
    status become one.
    """
    return case.kind in KILLED and case.mutation.kind not in TOLD - {RECORD}


def sample(baseline: Baseline) -> list[Case]:
    """Every twelfth fault of a scenario, each of them in one or two, at kinds of writes that take turns.

    And one right that is taken away.

    The first or second write of its kind: how many more there are changes from run to run, and these do not.
    """
    place = [scenario.name for scenario in SCENARIOS].index(baseline.scenario.name)
    kinds = sorted({mutation.kind for mutation in baseline.mutations})
    chosen = []
    for number, name in enumerate(KINDS):
        if (number + place) % SHARE == 0:
            kind = kinds[(number // SHARE + place) % len(kinds)]
            if name in BLIND and kind == EXEC:
                kind = RECORD
            mutation = Mutation(kind, 1 + number % 2 if kind.endswith("/status") else 1)
            chosen.append(Case(baseline.scenario.name, name, mutation))
    # What is watched is asked for again at once; other rights may not be needed any more by then.
    rights = [name for name in baseline.rights if "anew" not in name and "list/watch" in name]
    right = rights[place % len(rights)]
    return [*chosen, Case(baseline.scenario.name, right, _begins(baseline))]
