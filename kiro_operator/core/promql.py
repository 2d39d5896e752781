"""Expressions that are made around those that users write.

Several can be asked in one query: each part of the answer carries the part's name as a label.
"""

from collections.abc import Mapping

PART = "kiro_part"
"""The label."""
USUAL = "usual"
"""The part that tells what is usual."""
WORST = 100
"""Series that are looked at: of however many there are, those that matter most."""
NUMBERLESS = 25
"""Series without a number that are looked at besides."""


def filled(expression: str, namespace: str) -> str:
    """An expression with the namespace of the KiroHealthCheck in it, in place of ``$namespace``."""
    return expression.replace("$namespace", namespace)


def union(parts: Mapping[str, str]) -> str:
    """One expression with all series of the parts; names of parts are words or numbers."""
    return " or ".join(_part(name, expr) for name, expr in parts.items())


def worst(expression: str, *, lowest: bool = False) -> str:
    """The highest series, or the lowest, and those without a number, which would come last."""
    way = "bottomk" if lowest else "topk"
    numberless = f"({expression}) unless ({expression}) >= -Inf"
    return f"{way}({WORST}, {expression}) or topk({NUMBERLESS}, {numberless})"


def with_usual(expression: str, *, lowest: bool = False) -> str:
    """The worst series as they are now, and each day's median of this hour of the clock as the part USUAL.

    The worst are also those that became so since yesterday. For a range of days that ends now, in steps of
    one day. The hour is the one that the clock is in, whole on every day but today: within it nothing
    changes, so neither does what is said of it.
    """
    # A step of a second finds the present value, and only that, whichever day the range is at.
    now = f"last_over_time(({expression})[1s:1s] @ end())"
    # The comparison takes away what is no number, of which there is no median.
    numbers = f"(({expression}) >= -Inf)[1h:15m]"
    yesterday = f"quantile_over_time(0.5, {numbers} @ end() offset 1d)"
    change = f"{yesterday} - {now}" if lowest else f"{now} - {yesterday}"
    chosen = f"{worst(now, lowest=lowest)} or ({now} and topk({WORST}, {change}))"
    # Hours are where subqueries look by themselves: at the end of this one, an hour from now at most.
    hour = f"last_over_time(quantile_over_time(0.5, {numbers})[1h:1h] offset -1h)"
    return f"{chosen} or {_part(USUAL, f'({hour} and ({chosen}))')}"


def _part(name: str, expression: str) -> str:
    return f'label_replace({expression}, "{PART}", "{name}", "", "")'
