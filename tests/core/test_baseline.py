"""What is usual, and what is worse than that."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.baseline import DAY, Baseline, baseline, degraded, present_and_past

NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=32)


def test_one_odd_day_does_not_move_it() -> None:
    found = baseline([10.0, 11.0, 9.0, 10.0, 500.0], 3)
    assert found is not None
    assert (found.usual, found.days) == (10.0, 5)
    assert found.deviation == pytest.approx(1.4826)


def test_too_few_days() -> None:
    assert baseline([1.0, 1.0], 3) is None
    assert baseline([1.0, math.nan, math.inf], 2) is None
    assert baseline([], 0) is None


@pytest.mark.parametrize(
    ("value", "usual", "lower", "expected"),
    [
        (15.0, Baseline(10.0, 0.1, 7), False, False),
        (15.1, Baseline(10.0, 0.1, 7), False, True),
        (20.0, Baseline(10.0, 4.0, 7), False, False),  # within its ordinary scatter
        (5.0, Baseline(10.0, 0.1, 7), True, False),
        (4.9, Baseline(10.0, 0.1, 7), True, True),
        (15.1, Baseline(10.0, 0.1, 7), True, False),  # better, not worse
        (0.01, Baseline(0.0, 0.0, 7), False, True),  # anything is more than nothing: the floor is for that
        (0.0, Baseline(0.0, 0.0, 7), False, False),
    ],
)
def test_degraded(value: float, usual: Baseline, *, lower: bool, expected: bool) -> None:
    assert degraded(value, usual, 50, lower_is_worse=lower) is expected


def test_present_and_past() -> None:
    now = 1_000 * DAY
    points = [(now - 2 * DAY, 1.0), (now - DAY, 2.0), (now, 3.0)]
    assert present_and_past(points, now + 4) == (3.0, (1.0, 2.0))
    assert present_and_past(points[:2], now + 4) == (None, (1.0, 2.0))
    assert present_and_past(points[2:], now) == (3.0, ())
    assert present_and_past([], now) == (None, ())


@given(st.lists(NUMBERS, max_size=40), st.integers(0, 10))
def test_a_baseline_is_finite_and_between_what_was_seen(values: list[float], least: int) -> None:
    found = baseline(values, least)
    finite = [value for value in values if math.isfinite(value)]
    assert (found is None) == (not finite or len(finite) < least)
    if found is not None:
        assert min(finite) <= found.usual <= max(finite)
        assert found.deviation >= 0
        assert not degraded(found.usual, found, 50)
