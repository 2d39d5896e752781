"""No KiroSafetyPolicy, however malformed, contradictory or hostile, widens what may be done."""

import pytest

from kiro_operator.api.v1alpha1 import KiroSafetyPolicy
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS, ActionName
from kiro_operator.api.v1alpha1.remediation import Method
from kiro_operator.core.policy.approvals import DEFAULT_GATE
from tests.api.test_dropped import known
from tests.core.policy.hostile import (
    ACTIONS,
    DECLARED,
    EXPERT,
    GOOD,
    GREEDY,
    REFUSED,
    SLIPS,
    VALUES,
    WIDEST,
    by_good,
    paths,
    put,
    widened,
    widened_beside,
)
from tests.core.policy.scenes import PROPOSED, SCENES, UP, allowed, taken
from tools.crds import structural


def test_there_are_enough_of_them() -> None:
    documents = {repr(document) for document in (*SLIPS.values(), *GREEDY.values())}
    assert len(documents) >= 1200
    assert repr(GOOD) not in documents


def test_the_good_policy_holds_every_field_and_each_is_tried() -> None:
    fields = set(known(structural(KiroSafetyPolicy)["properties"]["spec"]))
    held = {tuple(step for step in path.split(".") if not step.isdigit()) for path in paths(GOOD)}
    # Of the three bounds of the blast radius a policy has one.
    assert fields - held == {("minHealthy",), ("unhealthyRange",)}
    assert held <= fields
    assert {path[0] for path in fields} <= {path.partition(".")[0] for path in (*VALUES, *EXPERT)}


def test_the_scenes_tell_what_is_allowed_from_what_is_not() -> None:
    done = by_good()
    assert len(done) == len(SCENES)
    # What only a person applies is never done; of what waits for one, these stand for all.
    methods = set(Method) - {Method.ADVISE}
    actions = set(ActionName) - PROPOSALS | {want.action for want in PROPOSED}
    assert set(ACTIONS) == {*map(str, actions)}
    for scenes in (
        [scene for scene in SCENES if done[scene.name]],
        [scene for scene in SCENES if not done[scene.name]],
    ):
        assert {scene.wants.method for scene in scenes} == methods
        assert {scene.wants.action for scene in scenes} == actions
    everything = taken(WIDEST, "widest")
    undone = [scene for scene in SCENES if not allowed(scene, [everything])]
    assert undone == [scene for scene in SCENES if scene.wants in PROPOSED and not scene.approved]


def test_where_the_good_policy_finds_no_harm_it_suspends_nothing() -> None:
    good = taken(GOOD, "good")
    calm = [scene for scene in SCENES if scene.calm]
    assert [scene for scene in calm if allowed(scene, [good]) or not by_good()[scene.name]] == []
    assert calm


@pytest.mark.parametrize("field", [field for field in GOOD if GOOD[field] != WIDEST[field]])
def test_each_field_of_the_good_policy_binds_in_a_scene(field: str) -> None:
    """Or else a policy could widen it, and nothing here would tell."""
    wider = put(field, WIDEST[field])
    assert widened_beside(wider) == []
    if field in DECLARED:
        assert widened(wider) == []
    else:
        assert widened(wider) or field == "approvalGates"


def test_without_the_name_of_a_gate_a_person_is_asked_all_the_same() -> None:
    unnamed = taken(put("approvalGates", []), "unnamed")
    scaled = {scene.approved for scene in SCENES if scene.wants is UP and allowed(scene, [unnamed])}
    assert scaled == {DEFAULT_GATE}


@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_widens_nothing(name: str) -> None:
    slip = SLIPS[name]
    assert repr(slip) in REFUSED or widened(slip) == []
    assert widened_beside(slip) == []


@pytest.mark.parametrize("name", GREEDY)
def test_a_second_policy_widens_nothing(name: str) -> None:
    assert widened_beside(GREEDY[name]) == []
