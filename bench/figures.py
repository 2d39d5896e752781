"""What a benchmark returns: figures, each with its target and whether that was met."""

import math
from collections.abc import Sequence

from msgspec import Struct


class Spread(Struct, frozen=True):
    """How a series of measurements is spread."""

    samples: int
    p50: float
    p90: float
    p99: float
    max: float


class Figure(Struct, frozen=True, kw_only=True):
    """One measured figure.

    Attributes:
        group: The benchmark it comes from.
        name: What was measured.
        unit: Of all values.
        value: The one that is held against the bound.
        bound: The most that is wanted; None when the figure is shown for orientation only.
        spread: The series that the value sums up, where there is one.
        note: How to read it.
    """

    group: str
    name: str
    unit: str
    value: float
    bound: float | None = None
    spread: Spread | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        return None if self.bound is None else self.value <= self.bound


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that so large a share of an ordered series does not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(series: Sequence[float]) -> Spread:
    """The percentiles of a series.

    Raises:
        ValueError: it is empty.
    """
    if not series:
        raise ValueError("nothing was measured")
    ordered = sorted(series)
    return Spread(
        len(ordered), quantile(ordered, 0.5), quantile(ordered, 0.9), quantile(ordered, 0.99), ordered[-1]
    )


def milliseconds(
    group: str, name: str, seconds: Sequence[float], *, bound: float | None = None, note: str = ""
) -> Figure:
    """A figure of latencies, shown by its median in milliseconds."""
    told = spread([1000 * value for value in seconds])
    return Figure(group=group, name=name, unit="ms", value=told.p50, bound=bound, spread=told, note=note)


def ratio(group: str, name: str, value: float, bound: float) -> Figure:
    """How many times the physical limit a figure is."""
    return Figure(group=group, name=name, unit="floors", value=value, bound=bound)


def notes(figures: Sequence[Figure]) -> list[str]:
    """What is to be known of the figures; what holds of several is said once."""
    by_note: dict[str, list[str]] = {}
    for figure in figures:
        if figure.note:
            by_note.setdefault(figure.note, []).append(figure.name)
    return [note if len(names) > 1 else f"{names[0]}: {note}" for note, names in by_note.items()]
