"""Amounts in messages: coarse, never overstated, and read as Kubernetes reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.checks.cost_efficiency import _amounts, _history
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import Ref

amounts = st.floats(min_value=1e-6, max_value=1e15)
MIB = 2.0**20


@given(amounts)
def test_a_step_is_below_its_amount_and_its_own(amount: float) -> None:
    low = _amounts.down(amount)
    assert amount / 2.1 < low <= amount * (1 + 1e-8)
    assert _amounts.down(low) == pytest.approx(low)


@given(st.floats(min_value=0, max_value=2.0**60))
def test_waste_is_never_told_too_high(amount: float) -> None:
    assert _amounts.memory_down(amount) <= amount * (1 + 1e-8)


@given(st.integers(min_value=0, max_value=100_000_000))
def test_cores_are_quantities(millicores: int) -> None:
    assert parse_quantity(_amounts.cores(millicores / 1000)) == pytest.approx(millicores / 1000)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (_amounts.cores(0.3), "300m"),
        (_amounts.cores(2.0), "2"),
        (_amounts.cores(7.5), "7500m"),
        (_amounts.size(3 * 2.0**30), "3Gi"),
        (_amounts.size(1280 * MIB), "1280Mi"),
        (_amounts.money(157.3, "EUR"), "150 EUR"),
        (_amounts.money(0.087, "EUR"), "0.075 EUR"),
        (_amounts.down(0.0), 0.0),
        (_amounts.memory_down(5.0), 0.0),
    ],
)
def test_words(shown: object, expected: object) -> None:
    assert shown == expected


@pytest.mark.parametrize(
    ("ref", "known", "exact", "expected"),
    [
        (Ref("Deployment", "kiro"), ["kiro-7d4b9c6f5", "kiro"], [], ["kiro-7d4b9c6f5"]),
        (Ref("Deployment", "kiro"), ["kiro-db-7d4b9c6f5", "kiro-agent", "other-7d4b9c6f5"], [], []),
        (Ref("Deployment", "kiro"), ["kiro-db", "kiro-7d4b9c6f5"], ["kiro-db"], ["kiro-7d4b9c6f5"]),
        (Ref("StatefulSet", "kiro-db"), ["kiro-db", "kiro-db-7d4b9c6f5"], ["kiro-db"], ["kiro-db"]),
    ],
)
def test_whose_history_it_is(ref: Ref, known: list[str], exact: list[str], expected: list[str]) -> None:
    assert _history.owners(ref, known, frozenset(exact)) == expected
