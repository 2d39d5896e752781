"""No KiroSafetyPolicy, however malformed, contradictory or hostile, widens what may be done."""

import pytest

from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.policy.approvals import DEFAULT_GATE
from tests.core.policy.hostile import (
    GOOD,
    GREEDY,
    REFUSED,
    SLIPS,
    WIDEST,
    by_good,
    put,
    widened,
    widened_beside,
)
from tests.core.policy.scenes import SCENES, allowed, taken


def test_there_are_enough_of_them() -> None:
    documents = {repr(document) for document in (*SLIPS.values(), *GREEDY.values())}
    assert len(documents) >= 200
    assert repr(GOOD) not in documents


def test_the_scenes_tell_what_is_allowed_from_what_is_not() -> None:
    done = by_good()
    assert len(done) == len(SCENES)
    # A command in a pod, what only a person applies, and what is given back have tests of their own.
    methods = set(Method) - {Method.EXEC, Method.ADVISE, Method.GIVE_BACK}
    assert {scene.wants for scene in SCENES if done[scene.name]} == methods
    assert {scene.wants for scene in SCENES if not done[scene.name]} == methods
    everything = taken(WIDEST, "widest")
    assert [scene.name for scene in SCENES if not allowed(scene, [everything])] == []


@pytest.mark.parametrize("field", [field for field in GOOD if GOOD[field] != WIDEST[field]])
def test_each_field_of_the_good_policy_binds_in_a_scene(field: str) -> None:
    """Or else a policy could widen it, and nothing here would tell."""
    wider = put(field, WIDEST[field])
    assert widened_beside(wider) == []
    assert widened(wider) or field == "approvalGates"


def test_without_the_name_of_a_gate_a_person_is_asked_all_the_same() -> None:
    unnamed = taken(put("approvalGates", []), "unnamed")
    scaled = {
        scene.approved for scene in SCENES if scene.wants is Method.SCALE_UP and allowed(scene, [unnamed])
    }
    assert scaled == {DEFAULT_GATE}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_widens_nothing(name: str) -> None:
    slip = SLIPS[name]
    assert repr(slip) in REFUSED or widened(slip) == []
    assert widened_beside(slip) == []


@pytest.mark.parametrize("name", GREEDY)
def test_a_second_policy_widens_nothing(name: str) -> None:
    assert widened_beside(GREEDY[name]) == []
