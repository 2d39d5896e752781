"""Amounts in messages: measurements as figures, the others as Kubernetes reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.checks.cost_efficiency import _amounts, _history
from kiro_operator.core.evidence.prices import Prices
from kiro_operator.core.quantity import parse_quantity
from kiro_operator.core.snapshot import Ref

MIB, GIB = 2.0**20, 2.0**30
PRICES = Prices(currency="EUR", cpu_core_hour=0.03)


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
        (_amounts.wasted(1.234, 2.5 * GIB), "about 1.2 cores and about 2.5Gi of memory"),
        (_amounts.wasted(0.01, 2.5 * GIB), "about 2.5Gi of memory"),
        (_amounts.wasted(0.01, 5.0), ""),
        (_amounts.a_month(PRICES, cores=3), ", about 66 EUR a month"),
        (_amounts.a_month(PRICES), ""),
        (_amounts.a_month(None, cores=3), ""),
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
