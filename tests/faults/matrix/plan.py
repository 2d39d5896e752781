"""Which cases there are, and a sample of them."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults.matrix.case import Baseline, Case
from tests.faults.matrix.kinds import KINDS
from tests.faults.matrix.mutations import Mutation
from tests.faults.matrix.scenarios import SCENARIOS

SHARE = 3
"""One of so many pairs of scenario and fault is in the sample."""
STORM = "storm"
STORM_SHARE = 3
"""A storm is so many evictions at once: what leaves the process alive is aimed at every third write."""
TOLD = frozenset(
    {
        "POST kiroremediations",
        "PATCH kiroremediations/status",
        "PATCH kirohealthchecks/status",
        "PATCH kirosafetypolicies/status",
    }
)
"""What is no action."""


def cases(baseline: Baseline, before: Baseline | None) -> list[Case]:
    """All cases of a scenario.

    Args:
        baseline: Of the scenario.
        before: Of one that it begins with: what comes there already is aimed at there.
    """
    known = frozenset(before.mutations if before else ())
    return [
        Case(baseline.scenario.name, name, mutation)
        for name, kind in KINDS.items()
        for mutation in (_every(baseline, name) if kind.everywhere else moments(baseline))
        if mutation not in known
    ]


def _every(baseline: Baseline, kind: str) -> Sequence[Mutation]:
    thinned = baseline.scenario.name == STORM and "killed" not in kind
    return baseline.mutations[:: STORM_SHARE if thinned else 1]


def moments(baseline: Baseline) -> list[Mutation]:
    """The last record, its action, and what is told next of it: where most is at stake."""
    record = [m for m in baseline.mutations if m.kind == "POST kiroremediations"][-1]
    action = [m for m in baseline.mutations if m.kind not in TOLD][-1]
    after = baseline.mutations[baseline.mutations.index(action) + 1 :]
    told = next(m for m in after if m.kind == "PATCH kiroremediations/status")
    return [record, action, told]


def sample(baseline: Baseline) -> list[Case]:
    """Every third fault of a scenario, each of them in two scenarios, at kinds of writes that take turns.

    The first or second write of its kind: how many more there are changes from run to run, and these do not.
    """
    place = [scenario.name for scenario in SCENARIOS].index(baseline.scenario.name)
    kinds = sorted({mutation.kind for mutation in baseline.mutations})
    chosen = []
    for number, name in enumerate(KINDS):
        if (number + place) % SHARE == 0:
            kind = kinds[(number // SHARE + place) % len(kinds)]
            mutation = Mutation(kind, 1 + number % 2 if kind.endswith("/status") else 1)
            chosen.append(Case(baseline.scenario.name, name, mutation))
    return chosen
