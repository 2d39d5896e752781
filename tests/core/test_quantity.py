"""Quantities as Kubernetes writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("500m", 0.5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("128Mi", 128 * 2**20),
        ("1G", 1e9),
        ("2e3", 2000),
        ("3E", 3e18),
        ("129e6", 129e6),
        ("12345678n", 0.012345678),
        ("0", 0),
    ],
)
def test_parsed(text: str, number: float) -> None:
    assert parse_quantity(text) == pytest.approx(number)


@pytest.mark.parametrize("text", ["", "1 Gi", "m", "1mi", "1GiB", "--1", "1e", "one"])
def test_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quantity"):
        parse_quantity(text)


@given(st.integers(0, 10**9))
def test_milli_is_a_thousandth(number: int) -> None:
    assert parse_quantity(f"{number}m") == pytest.approx(number / 1000)
