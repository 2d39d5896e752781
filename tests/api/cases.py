"""What a mistaken or hostile document is: one stretch of a valid one, written otherwise."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    """One slip.

    Attributes:
        kind: Whose document it is made in.
        name: What is wrong, for the test's name.
        old: The stretch of the valid document.
        new: What stands there instead.
        says: What strict kubectl must say, the part of it that helps.
    """

    kind: str
    name: str
    old: str
    new: str
    says: str


Row = tuple[str, str, str, str]


def table(kind: str, rows: tuple[Row, ...]) -> tuple[Case, ...]:
    """Cases of one kind."""
    return tuple(Case(kind, *row) for row in rows)
