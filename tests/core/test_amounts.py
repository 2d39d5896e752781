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
def test_steps_enclose_an_amount_and_are_their_own(amount: float) -> None:
    low, high = _amounts.down(amount), _amounts.up(amount)
    assert low <= amount * (1 + 1e-8)
    assert high >= amount * (1 - 1e-8)
    assert low > amount / 2.1
    assert high < amount * 2.1
    assert _amounts.down(low) == pytest.approx(low)
    assert _amounts.up(high) == pytest.approx(high)


@given(st.floats(min_value=0, max_value=2.0**60))
def test_memory_is_never_too_little_nor_waste_too_much(amount: float) -> None:
    right = _amounts.memory_up(amount)
    assert right >= max(amount, 16 * MIB) * (1 - 1e-8)
    assert right <= max(amount, 16 * MIB) * 1.26
    assert _amounts.memory_down(amount) <= amount * (1 + 1e-8)
    assert parse_quantity(_amounts.size(right)) == pytest.approx(right)


@given(st.floats(min_value=0, max_value=100_000))
def test_cores_are_quantities(amount: float) -> None:
    right = _amounts.cpu_up(amount)
    assert right >= amount * (1 - 1e-8)
    assert parse_quantity(_amounts.cores(right)) == pytest.approx(right, abs=0.0005)


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
        (_amounts.up(-1.0), 0.0),
        (_amounts.up(5e-324), 0.0),
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
