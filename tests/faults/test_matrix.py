"""A sample of the matrix of faults: `make faults` plays the whole. See docs/faults.md."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from devcluster import ControlPlane
from tests.faults.matrix import plan
from tests.faults.matrix.case import play, record
from tests.faults.matrix.kinds import KINDS
from tests.faults.matrix.mutations import Mutation
from tests.faults.matrix.scenario import Scenario
from tests.faults.matrix.scenarios import SCENARIOS
from tests.harness.approvers import wait_for_vouching

AT_ONCE = 3


def first(mutation: Mutation) -> Mutation:
    """The first write of the same kind."""
    return replace(mutation, number=1)


@pytest.mark.matrix
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_sample_of_faults(own_plane: ControlPlane, scenario: Scenario, tmp_path: Path) -> None:
    wait_for_vouching(own_plane)
    baseline = record(own_plane, scenario, tmp_path)
    cases = plan.sample(baseline)
    played = partial(play, own_plane, baseline, folder=tmp_path)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(played, cases))
        # On a busy machine two writes of a status become one, and there is no second: then the first.
        missed = [result.case for result in results if not result.reached]
        results = [result for result in results if result.reached]
        results += pool.map(played, (replace(case, mutation=first(case.mutation)) for case in missed))

    bad = [result for result in results if not result.good]
    assert not bad, "\n\n".join(
        f"{result.case}: {result.violations} {result.trouble}\n{result.log}" for result in bad
    )
    assert all(result.reached for result in results), [str(each.case) for each in results if not each.reached]
    assert len(results) >= len(KINDS) // plan.SHARE
