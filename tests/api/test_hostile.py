"""The API server before hostile policies: it refuses them, or what it stores widens nothing."""

import json
from typing import Any

import pytest

from kiro_operator.api.v1alpha1.safetypolicy import KiroSafetyPolicySpec
from tests.api.server import Server, decoded
from tests.core.policy.hostile import GOOD, GREEDY, REFUSED, SLIPS, widened, widened_beside

DOCUMENTS = SLIPS | GREEDY


def document(spec: Any, name: str = "hostile") -> str:
    return json.dumps(
        {
            "apiVersion": "kiro.dev/v1alpha1",
            "kind": "KiroSafetyPolicy",
            "metadata": {"name": name},
            "spec": spec,
        }
    )


def test_the_good_policy_is_stored_as_it_is(server: Server) -> None:
    stored = server.stored("KiroSafetyPolicy", document(GOOD))
    assert stored is not None
    assert decoded(stored).spec == KiroSafetyPolicySpec.model_validate(GOOD)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_policy_is_refused_or_widens_nothing(server: Server, name: str) -> None:
    """As a client sends it that has unknown fields dropped: strict ones see fewer of them through."""
    hostile = DOCUMENTS[name]
    stored = server.stored("KiroSafetyPolicy", document(hostile))
    if stored is None:
        return
    assert repr(hostile) not in REFUSED
    assert name in GREEDY or widened(stored["spec"]) == []
    assert widened_beside(stored["spec"]) == []
