"""What is usual: a metric held against its own history in the same hour of the clock.

The usual value is the median of that hour over previous days, which one odd day does not move.
How far values scatter is the median absolute deviation, scaled so that it equals the standard deviation
of a normal distribution: a metric that is never steady does not count as degraded for being so again.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct

DAY = 86_400.0
NORMAL = 1.4826
"""Standard deviations in one median absolute deviation, of a normal distribution."""
SCATTER = 3.0
"""A change for the worse within so many deviations is the metric's ordinary noise."""
NEAR = DAY / 2
"""Seconds around now within which a point is the present value, of a series with one point a day."""


class Baseline(Struct, frozen=True):
    """What is usual."""

    usual: float
    deviation: float
    """As a standard deviation, robust."""
    days: int
    """How many days it rests on."""


def baseline(values: Iterable[float], least: int) -> Baseline | None:
    """The baseline over one value a day; None while there are fewer numbers than ``least``."""
    numbers = [value for value in values if math.isfinite(value)]
    if not numbers or len(numbers) < least:
        return None
    usual = median(numbers)
    deviation = NORMAL * median(abs(value - usual) for value in numbers)
    return Baseline(usual, deviation, len(numbers))


def degraded(value: float, usual: Baseline, percent: float, *, lower_is_worse: bool = False) -> bool:
    """Whether a value is worse than usual by more than a share, and by more than the ordinary scatter."""
    change = usual.usual - value if lower_is_worse else value - usual.usual
    return change > abs(usual.usual) * percent / 100 and change > SCATTER * usual.deviation


def present_and_past(
    points: Sequence[tuple[float, float]], at: float
) -> tuple[float | None, tuple[float, ...]]:
    """The present value of a series with one point a day, and the values of the days before.

    The present value is None when the series has ended; it may be NaN.
    """
    present: float | None = None
    past: list[float] = []
    for time, value in points:
        if abs(at - time) < NEAR:
            present = value
        elif time < at:
            past.append(value)
    return present, tuple(past)
