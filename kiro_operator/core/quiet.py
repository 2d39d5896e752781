"""Figures that move with every reading, and the words they stand in, which do not.

A check tells a measurement by ``figure``, ``forecast`` or ``tally``. What was told stays while each such
figure is near what it was and nothing else differs: at the edge of a rounding nothing is written.
Everything that is not marked so, such as a line, a version, a threshold or a name, is told as it is.
"""

import math
import re
from collections.abc import Sequence

from msgspec.structs import replace

from kiro_operator.core.findings import summary
from kiro_operator.core.verdict import Finding, Verdict

NEAR = {"about": 0.2, "roughly": 0.5}
"""By the word before a figure, the share by which it and a new one may differ untold."""
CHANCE = 4.0
"""A count of what happens at random moves untold by so many times its square root: two counts of the same
thing differ by more once in hundreds of readings."""

_TIMES = " times"
_LARGE = 1e12
_FIGURE = re.compile(
    rf"\b({'|'.join(NEAR)}) (-?[0-9]+(?:\.[0-9]+)?(?:e\+[0-9]+)?)(?![0-9.]*[0-9])({_TIMES})?"
)
_SLACK = 1e-9


def figure(value: float, unit: str = "") -> str:
    """A measurement as it is told."""
    return f"about {_digits(value)}{unit}"


def forecast(value: float, unit: str) -> str:
    """What measurements lead to expect: small differences between them make large ones of it."""
    return f"roughly {_digits(value)}{unit}"


def tally(count: int) -> str:
    """How often something was seen that comes by chance."""
    return f"about {count if count < 10 else _digits(count)}{_TIMES}"


def _digits(value: float) -> str:
    """Two digits, none of them finer than a tenth."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= _LARGE:
        return f"{value:.1e}"
    places = min(1, 1 - math.floor(math.log10(abs(value)))) if value else 1
    return f"{round(value, places):.{max(0, places)}f}"


def kept(told: Verdict | None, new: Verdict) -> Verdict:
    """The new verdict, in the words that were told of it already where these still hold."""
    if told is None or (told.status, told.reason) != (new.status, new.reason):
        return new
    findings = _findings(told.findings, new.findings)
    message = _message(told, new)
    if findings is None or message is None:
        return new
    if not (_near(told.observed, new.observed) and _near(told.threshold, new.threshold)):
        return new
    return replace(new, message=message, findings=findings, observed=told.observed, threshold=told.threshold)


def _findings(told: Sequence[Finding], new: Sequence[Finding]) -> tuple[Finding, ...] | None:
    """The new findings in the words of the old; None where these do not hold any more."""
    if not told:
        return tuple(new)  # a verdict of an earlier process has nothing left of them but its message
    if [(one.object, one.reason) for one in told] != [(one.object, one.reason) for one in new]:
        return None
    pairs = list(zip(told, new, strict=True))
    if not all(_holds(one.message, other) for one, other in pairs):
        return None
    return tuple(
        other if one.message == other.message else replace(other, message=one.message) for one, other in pairs
    )


def _holds(told: str, finding: Finding) -> bool:
    return any(_near(told, words) for words in (finding.message, *finding.equally))


def _message(told: Verdict, new: Verdict) -> str | None:
    """The message that was told, if it still holds: by itself, or because its findings' words do."""
    if _near(told.message, new.message):
        return told.message
    by_findings = told.findings and told.message == summary(told.findings)
    return told.message if by_findings and new.message == summary(new.findings) else None


def _near(told: str | None, new: str | None) -> bool:
    """Whether two texts are the same but for figures, and these near each other."""
    if told is None or new is None or told == new:
        return told == new
    if _FIGURE.sub(r"\1 #\3", told) != _FIGURE.sub(r"\1 #\3", new):
        return False
    return all(
        _unmoved(NEAR[one[1]], float(one[2]), float(other[2]), by_chance=bool(one[3]))
        for one, other in zip(_FIGURE.finditer(told), _FIGURE.finditer(new), strict=True)
    )


def _unmoved(near: float, told: float, new: float, *, by_chance: bool) -> bool:
    share = near * max(abs(told), abs(new))
    chance = CHANCE * math.sqrt(abs(told)) if by_chance else 0.0
    return abs(new - told) <= max(share, _last_place(told), _last_place(new), chance) + _SLACK


def _last_place(value: float) -> float:
    """What two roundings of nearly the same differ by at most."""
    return 1.0 if abs(value) >= 10 else 0.1
