"""Intervals against published values, and what holds of all of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiro_operator.core.statistics import difference, percentage, wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17: 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("before", "after", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17: 873-890, table II, method 10.
        ((48, 80), (56, 70), 0.0524, 0.3339),
        ((3, 10), (9, 10), 0.1705, 0.8090),
        ((0, 10), (10, 10), 0.6075, 1.0),
    ],
)
def test_difference(before: tuple[int, int], after: tuple[int, int], low: float, high: float) -> None:
    assert difference(before, after) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(("successes", "trials"), [(2, 1), (-1, 5)])
def test_what_is_no_share(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(successes, trials)


samples = st.integers(0, 2000).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials)))


@given(samples)
def test_the_share_lies_within_and_more_of_the_same_is_surer(sample: tuple[int, int]) -> None:
    successes, trials = sample
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    if trials:
        assert low - 1e-12 <= successes / trials <= high + 1e-12
        tighter = wilson(2 * successes, 2 * trials)
        assert low <= tighter[0] + 1e-12
        assert tighter[1] <= high + 1e-12
        mirrored = wilson(trials - successes, trials)
        assert mirrored == pytest.approx((1 - high, 1 - low))


@given(samples, samples)
def test_a_difference_turned_round_is_its_negative(one: tuple[int, int], two: tuple[int, int]) -> None:
    low, high = difference(one, two)
    assert -1 <= low <= high <= 1
    assert difference(two, one) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("good", "rated"), [(0, 3), (3, 3), (1, 3)])
def test_three_tell_nothing(good: int, rated: int) -> None:
    low, high = wilson(good, rated)
    assert high - low > 0.5


def test_shares_are_told_as_figures() -> None:
    assert [percentage(share) for share in (0.0, 0.049, 0.3, 0.999, 1.0)] == [
        "about 0.0%", "about 4.9%", "about 30%", "about 100%", "about 100%",
    ]  # fmt: skip
