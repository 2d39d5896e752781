"""Shares of small samples, with how far they can be trusted."""

import math

from kiro_operator.core.quiet import figure

Z = 1.96
"""Two-sided 95 %."""

Interval = tuple[float, float]


def wilson(successes: int, trials: int, z: float = Z) -> Interval:
    """Wilson's score interval of a share: what the true share may be, given the sample.

    Nothing is known from no trials: (0, 1).

    Raises:
        ValueError: the counts are no sample.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no share")
    if not trials:
        return 0.0, 1.0
    share = successes / trials
    spread = z * math.sqrt(share * (1 - share) / trials + (z / (2 * trials)) ** 2)
    middle = share + z * z / (2 * trials)
    scale = 1 + z * z / trials
    low = 0.0 if successes == 0 else max(0.0, (middle - spread) / scale)
    high = 1.0 if successes == trials else min(1.0, (middle + spread) / scale)
    return low, high


def difference(before: tuple[int, int], after: tuple[int, int], z: float = Z) -> Interval:
    """Newcombe's interval of the difference of two shares, after less before; each (successes, trials).

    Raises:
        ValueError: the counts are no sample.
    """
    low_1, high_1 = wilson(*before, z)
    low_2, high_2 = wilson(*after, z)
    if not before[1] or not after[1]:
        return -1.0, 1.0
    one, two = before[0] / before[1], after[0] / after[1]
    below = math.hypot(two - low_2, high_1 - one)
    above = math.hypot(high_2 - two, one - low_1)
    return max(-1.0, two - one - below), min(1.0, two - one + above)


def percentage(share: float) -> str:
    """A share as a percentage, told so that it does not tick."""
    return figure(100 * share, "%")
